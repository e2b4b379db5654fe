//! Who would be worse off: the gain within each value of a field.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_core::plugin::TaskError;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::correction::Correction;

/// The gain among the rows that have one value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceEffect {
    /// The field.
    pub field: String,
    /// Its value.
    pub value: String,
    /// Rows.
    pub rows: usize,
    /// Mean gain as a share of the opponent's loss on these rows; negative where the challenger is worse.
    pub gain: f64,
    /// Lower end of the 95 % interval, uncorrected.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// One-sided probability of so great a loss if the challenger were as good here, corrected for the number of slices.
    pub p_worse: f64,
}

/// Mean and standard error where rows of one block are alike (Liang and Zeger 1986, with the factor for few blocks), and the number of
/// blocks. `None` with fewer than two blocks.
fn clustered(gains: &[f64], labels: &[i64]) -> Option<(f64, f64, usize)> {
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    let mut blocks: BTreeMap<i64, f64> = BTreeMap::new();
    for (gain, label) in gains.iter().zip(labels) {
        *blocks.entry(*label).or_default() += gain - mean;
    }
    let count = blocks.len() as f64;
    let squares: f64 = blocks.values().map(|sum| sum * sum).sum();
    let rows = gains.len() as f64;
    (blocks.len() > 1).then(|| (mean, (squares * count / (count - 1.0)).sqrt() / rows, blocks.len()))
}

/// The probability of a mean of `mean` or less if the true one were 0.
fn p_worse(mean: f64, standard_error: f64, blocks: usize) -> f64 {
    if standard_error == 0.0 {
        return if mean < 0.0 { 0.0 } else { 1.0 };
    }
    StudentsT::new(0.0, 1.0, blocks as f64 - 1.0).map_or(1.0, |student| student.cdf(mean / standard_error))
}

/// The one-sided probability of so low a mean gain if the true one were 0; 1 with fewer than two blocks.
pub fn p_of_loss(gains: &[f64], blocks: &[i64]) -> f64 {
    clustered(gains, blocks).map_or(1.0, |(mean, error, blocks)| p_worse(mean, error, blocks))
}

/// A row's gain, the opponent's loss, and the block that it belongs to.
pub struct Judged<'a> {
    /// Gains of the challenger.
    pub gains: &'a [f64],
    /// Losses of the opponent.
    pub other_losses: &'a [f64],
    /// Blocks of rows that are alike.
    pub blocks: &'a [i64],
}

/// The effect in every slice with at least `fewest` rows, in the order of fields and values. `fields` are names with each row's value.
///
/// # Errors
/// A field with so many values that a table of them says nothing.
pub fn slice_effects(
    judged: &Judged<'_>,
    fields: &[(String, Vec<Option<Arc<str>>>)],
    fewest: usize,
    correction: Correction,
) -> Result<Vec<SliceEffect>, TaskError> {
    let mut effects = Vec::new();
    for (field, values) in fields {
        let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, value) in values.iter().enumerate() {
            if let Some(value) = value {
                rows_of.entry(value).or_default().push(row);
            }
        }
        rows_of.retain(|_, rows| rows.len() >= fewest);
        if rows_of.len() > MOST {
            return Err(TaskError::permanent(format!(
                "`{field}` makes {} slices of {fewest} rows and more, {MOST} are the most",
                rows_of.len()
            ))
            .with_help("name a coarser field under `guard_rails: { slices: { fields } }`, or raise `fewest_rows`"));
        }
        for (value, rows) in rows_of {
            let take = |of: &[f64]| -> Vec<f64> { rows.iter().map(|row| of[*row]).collect() };
            let labels: Vec<i64> = rows.iter().map(|row| judged.blocks[*row]).collect();
            let loss = take(judged.other_losses).iter().sum::<f64>() / rows.len() as f64;
            let Some((mean, error, blocks)) = clustered(&take(judged.gains), &labels).filter(|_| loss > 0.0) else {
                continue;
            };
            let reach =
                StudentsT::new(0.0, 1.0, blocks as f64 - 1.0).map_or(0.0, |student| student.inverse_cdf(0.975)) * error;
            effects.push(SliceEffect {
                field: field.clone(),
                value: value.to_owned(),
                rows: rows.len(),
                gain: mean / loss,
                lower: (mean - reach) / loss,
                upper: (mean + reach) / loss,
                p_worse: p_worse(mean, error, blocks),
            });
        }
    }
    let adjusted = correction.adjust(&effects.iter().map(|effect| effect.p_worse).collect::<Vec<_>>());
    for (effect, p) in effects.iter_mut().zip(adjusted) {
        effect.p_worse = p;
    }
    Ok(effects)
}

/// Slices of one field.
const MOST: usize = 500;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::fixture::{self, near};
    use super::*;

    #[test]
    fn errors_over_blocks_are_those_of_statsmodels() {
        for case in fixture::all().cluster {
            let (mean, error, blocks) = clustered(&case.gains, &case.labels).unwrap();
            assert!(
                near(mean, case.mean) && near(error, case.standard_error),
                "{mean} {error}"
            );
            let p = p_worse(mean, error, blocks);
            assert!((p - case.p_worse).abs() < 1e-9, "{p} is not {}", case.p_worse);
        }
    }

    #[test]
    fn the_slice_that_suffers_is_found_among_many() {
        let rows = 4_000;
        let values: Vec<Option<Arc<str>>> = (0..rows).map(|row| Some(format!("s{:02}", row % 20).into())).collect();
        // Everyone gains a little, the seventh slice loses much.
        let gains: Vec<f64> = (0..rows)
            .map(|row| if row % 20 == 7 { -0.5 } else { 0.1 } + f64::from(row * 7919 % 13 - 6) * 0.1)
            .collect();
        let blocks: Vec<i64> = (0..rows).map(|row| i64::from(row / 100)).collect();
        let losses = vec![2.0; rows as usize];
        let judged = Judged {
            gains: &gains,
            other_losses: &losses,
            blocks: &blocks,
        };
        let effects = slice_effects(&judged, &[("station".to_owned(), values)], 50, Correction::Holm).unwrap();
        let suffering: Vec<&str> = effects
            .iter()
            .filter(|effect| effect.p_worse < 0.05)
            .map(|effect| effect.value.as_str())
            .collect();
        assert_eq!((effects.len(), suffering), (20, vec!["s07"]));
        assert!((effects[7].gain + 0.25).abs() < 0.05, "half a unit of two: {effects:?}");
    }
}
