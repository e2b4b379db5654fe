//! Functions whose last bit must not depend on the C library: training, serving and tests on other machines agree only
//! if exp, ln and sin come from one implementation.

/// e to the power of `x`.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Natural logarithm.
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Sine, argument in radians.
pub fn sin(x: f64) -> f64 {
    libm::sin(x)
}

/// Cosine, argument in radians.
pub fn cos(x: f64) -> f64 {
    libm::cos(x)
}

/// Arc sine, in radians.
pub fn asin(x: f64) -> f64 {
    libm::asin(x)
}

/// The logistic function: log odds to probability.
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// Probability to log odds, kept finite at 0 and 1.
pub fn log_odds(p: f64) -> f64 {
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    ln(p / (1.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logistic_and_log_odds_undo_each_other() {
        for x in [-12.0, -1.5, 0.0, 0.3, 9.0] {
            assert!((log_odds(logistic(x)) - x).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn certain_probabilities_stay_finite() {
        assert!(log_odds(0.0).is_finite());
        assert!(log_odds(1.0).is_finite());
    }
}
