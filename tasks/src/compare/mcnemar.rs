//! Whose decisions are right where the two differ: McNemar (1947).

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

/// Fewer rows than these on which one alone is right are counted by the binomial distribution, more by chi-square.
const EXACT_BELOW: u64 = 25;

/// Rows on which exactly one of two classifiers is right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mcnemar {
    /// Only the challenger is right.
    pub only_challenger: u64,
    /// Only the opponent is right.
    pub only_opponent: u64,
    /// Two-sided probability of a difference as great as this if both were right equally often.
    pub p: f64,
    /// True if `p` comes from the binomial distribution; otherwise from chi-square with the correction for continuity.
    pub exact: bool,
}

/// Counts the rows that one alone decides rightly. It takes rows as independent; where neighbors are alike, `p` is
/// smaller than it should be.
pub fn mcnemar(challenger_right: impl Iterator<Item = bool>, opponent_right: impl Iterator<Item = bool>) -> Mcnemar {
    let (mut ours, mut theirs) = (0_u64, 0_u64);
    for (our, their) in challenger_right.zip(opponent_right) {
        ours += u64::from(our && !their);
        theirs += u64::from(their && !our);
    }
    let (p, exact) = probability(ours, theirs);
    Mcnemar {
        only_challenger: ours,
        only_opponent: theirs,
        p,
        exact,
    }
}

fn probability(ours: u64, theirs: u64) -> (f64, bool) {
    let differing = ours + theirs;
    if differing < EXACT_BELOW {
        let tail = Binomial::new(0.5, differing).map_or(0.5, |binomial| binomial.cdf(ours.min(theirs)));
        return ((2.0 * tail).min(1.0), true);
    }
    let distance = (ours.abs_diff(theirs) as f64 - 1.0).max(0.0);
    let statistic = distance * distance / differing as f64;
    (
        ChiSquared::new(1.0).map_or(1.0, |chi_square| chi_square.sf(statistic)),
        false,
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn probabilities_are_those_of_statsmodels() {
        for case in fixture::all().mcnemar {
            let (p, exact) = probability(case.ours, case.theirs);
            assert_eq!(exact, case.exact);
            assert!(
                (p - case.p).abs() < 1e-9,
                "{} and {}: {p} is not {}",
                case.ours,
                case.theirs,
                case.p
            );
        }
    }

    #[test]
    fn only_rows_on_which_they_differ_count() {
        let found = mcnemar(
            [true, true, false, false, true].into_iter(),
            [true, false, true, false, false].into_iter(),
        );
        assert_eq!((found.only_challenger, found.only_opponent), (2, 1));
    }
}
