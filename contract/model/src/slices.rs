//! Slices of the rows (stations, say) whose targets the model is known to underestimate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceRisk {
    /// Rows of the last training weeks.
    pub rows: u64,
    /// Share of them whose target was above the prediction by more than the margin, drawn towards the overall share by
    /// [`SHRINKAGE`] rows.
    pub share: f64,
    /// True if answers for the slice say 'may be underestimated'.
    pub flagged: bool,
}

/// Underestimation by the value of one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SliceRisks {
    /// Position of the field in the schema.
    pub field: usize,
    /// A row counts as underestimated when its target exceeds the prediction by more than this, in the target's unit.
    pub margin: f64,
    /// Share over all rows.
    pub overall: f64,
    /// Per value.
    pub slices: BTreeMap<String, SliceRisk>,
}

/// Rows of the overall share that are mixed into a slice's own.
pub const SHRINKAGE: f64 = 40.0;

/// A slice is flagged when its shrunken share exceeds the overall share by this factor.
const FACTOR: f64 = 1.25;

impl SliceRisks {
    /// Learns from rows that the predictor did not see. `slice` is the value of `field` per row.
    pub fn learn(field: usize, margin: f64, slice: &[Option<&str>], actual: &[f64], predicted: &[f64]) -> Self {
        let under = |row: usize| f64::from(u8::from(actual[row] > predicted[row] + margin));
        let overall = crate::metrics::mean((0..actual.len()).map(under));
        let overall = if overall.is_nan() { 0.0 } else { overall };
        let mut counts: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (row, value) in slice.iter().enumerate() {
            if let Some(value) = value {
                let entry = counts.entry(value).or_default();
                entry.0 += 1.0;
                entry.1 += under(row);
            }
        }
        let slices = counts.into_iter().map(|(value, (rows, under))| {
            let share = (under + SHRINKAGE * overall) / (rows + SHRINKAGE);
            let risk = SliceRisk {
                rows: rows as u64,
                share,
                flagged: share > overall * FACTOR,
            };
            (value.to_owned(), risk)
        });
        Self {
            field,
            margin,
            overall,
            slices: slices.collect(),
        }
    }

    /// The risk of a slice; one that was not seen has the overall share.
    pub fn risk(&self, slice: Option<&str>) -> SliceRisk {
        let found = slice.and_then(|slice| self.slices.get(slice)).copied();
        found.unwrap_or(SliceRisk {
            rows: 0,
            share: self.overall,
            flagged: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slice_with_evidence_is_flagged() {
        let mut slice = vec![Some("slow"); 100];
        slice.extend(vec![Some("usual"); 300]);
        slice.push(Some("rare"));
        let actual: Vec<f64> = (0..401)
            .map(|row| if row < 60 || row % 10 == 0 { 100.0 } else { 0.0 })
            .collect();
        let risks = SliceRisks::learn(0, 30.0, &slice, &actual, &vec![50.0; 401]);
        assert!(risks.risk(Some("slow")).flagged);
        assert!(!risks.risk(Some("usual")).flagged);
        assert!(!risks.risk(Some("rare")).flagged, "one row is no evidence");
        assert_eq!(risks.risk(Some("new")).share, risks.overall);
    }
}
