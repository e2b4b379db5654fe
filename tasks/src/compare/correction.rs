//! Many tests at once: probabilities that allow for how many there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How probabilities of many tests are corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// At most one false alarm in twenty comparisons, however many slices there are (Holm 1979).
    #[default]
    Holm,
    /// At most one in twenty alarms is false (Benjamini and Hochberg 1995). Finds more.
    BenjaminiHochberg,
}

impl Correction {
    /// Corrected probabilities, in the order given.
    pub fn adjust(self, probabilities: &[f64]) -> Vec<f64> {
        let count = probabilities.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
        let mut adjusted = vec![1.0; count];
        match self {
            Self::Holm => {
                let mut greatest = 0.0_f64;
                for (rank, index) in order.iter().enumerate() {
                    greatest = greatest.max(probabilities[*index] * (count - rank) as f64);
                    adjusted[*index] = greatest.min(1.0);
                }
            }
            Self::BenjaminiHochberg => {
                let mut least = 1.0_f64;
                for (rank, index) in order.iter().enumerate().rev() {
                    least = least.min(probabilities[*index] * count as f64 / (rank + 1) as f64);
                    adjusted[*index] = least;
                }
            }
        }
        adjusted
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, near};
    use super::*;

    #[test]
    fn corrected_probabilities_are_those_of_statsmodels() {
        for case in fixture::all().correction {
            for (correction, expected) in [
                (Correction::Holm, &case.holm),
                (Correction::BenjaminiHochberg, &case.benjamini_hochberg),
            ] {
                let adjusted = correction.adjust(&case.p);
                assert!(
                    adjusted
                        .iter()
                        .zip(expected)
                        .all(|(found, expected)| near(*found, *expected)),
                    "{correction:?}: {adjusted:?} is not {expected:?}"
                );
            }
        }
    }
}
