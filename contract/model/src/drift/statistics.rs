//! Distances between what was counted and what was expected.

/// Population stability index: sum of (q - p) ln(q / p) over the bins, with half a row in empty ones. Reported because people know it;
/// it decides nothing.
pub fn psi(counts: &[u64], shares: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    if total == 0.0 {
        return 0.0;
    }
    let floor = 0.5 / total;
    let pairs = counts.iter().zip(shares);
    pairs
        .map(|(count, share)| {
            let (found, expected) = ((*count as f64 / total).max(floor), share.max(floor));
            (found - expected) * crate::arithmetic::ln(found / expected)
        })
        .sum()
}

/// Kolmogorov and Smirnov's greatest distance between two distribution functions, looked at on the edges of the bins.
pub(super) fn ks(counts: &[u64], shares: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    if total == 0.0 {
        return 0.0;
    }
    let (mut found, mut expected, mut greatest) = (0.0, 0.0, 0.0_f64);
    for (count, share) in counts.iter().zip(shares) {
        found += *count as f64 / total;
        expected += share;
        greatest = greatest.max((found - expected).abs());
    }
    greatest
}

/// Pearson's chi-square: sum of (found - expected)^2 / expected over the bins.
pub(super) fn chi_square(counts: &[u64], shares: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let pairs = counts.iter().zip(shares).filter(|(_, share)| **share > 0.0);
    pairs
        .map(|(count, share)| {
            let expected = total * share;
            (*count as f64 - expected) * (*count as f64 - expected) / expected.max(f64::MIN_POSITIVE)
        })
        .sum()
}

/// The chance of at least `least` among `rows` that each come with chance `share`.
pub(super) fn binomial_tail(rows: u64, share: f64, least: u64) -> f64 {
    if least == 0 || share >= 1.0 {
        return 1.0;
    }
    if least > rows || share <= 0.0 {
        return 0.0;
    }
    // From the smaller end, so that nothing is lost to rounding; each term from the one before.
    let ratio = crate::arithmetic::ln(share / (1.0 - share));
    let mut log_term = rows as f64 * crate::arithmetic::ln(1.0 - share);
    let mut below = 0.0;
    let mut above = 0.0;
    for count in 0..=rows {
        let term = crate::arithmetic::exp(log_term);
        if count < least {
            below += term;
        } else {
            above += term;
        }
        log_term += crate::arithmetic::ln((rows - count) as f64 / (count + 1) as f64) + ratio;
    }
    (above / (below + above)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_books() {
        let (counts, shares) = ([30, 50, 20], [0.25, 0.5, 0.25]);
        assert!((ks(&counts, &shares) - 0.05).abs() < 1e-12);
        // 25/25 + 0 + 25/25.
        assert!((chi_square(&counts, &shares) - 2.0).abs() < 1e-12);
        let expected = 0.05 * (0.3_f64 / 0.25).ln() - 0.05 * (0.2_f64 / 0.25).ln();
        assert!((psi(&counts, &shares) - expected).abs() < 1e-12);
        assert_eq!((ks(&[0, 0], &[0.5, 0.5]), psi(&[0, 0], &[0.5, 0.5])), (0.0, 0.0));
    }

    #[test]
    fn the_tail_of_the_binomial_is_exact() {
        // R: pbinom(2, 10, 0.1, lower.tail = FALSE), pbinom(0, 1000, 0.001, lower.tail = FALSE)
        assert!((binomial_tail(10, 0.1, 3) - 0.070_190_826_4).abs() < 1e-9);
        assert!((binomial_tail(1000, 0.001, 1) - 0.632_304_575_2).abs() < 1e-9);
        assert_eq!((binomial_tail(10, 0.1, 0), binomial_tail(10, 0.1, 11)), (1.0, 0.0));
        assert!((binomial_tail(100, 0.99, 100) - 0.99_f64.powi(100)).abs() < 1e-12);
    }
}
