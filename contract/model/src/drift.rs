//! The profile of the training rows: what requests are compared with, one by one and window by window.
//!
//! [`Profile`] stands in the bundle. [`Reference`] is the same as something to count against, [`Counts`] a window that fills, and
//! [`Calibration`] says which of its measures are alarms. Where a [`Season`] was declared, a window is compared with the mixture of its own
//! seasons.

mod calibration;
mod counts;
mod expected;
mod season;
mod seasons;
#[cfg(test)]
mod simulation;
mod spread;
mod statistics;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use calibration::{Calibration, Drift};
pub use counts::{Counts, Reference};
pub use season::Season;
pub use seasons::{FieldCounts, SeasonCounts, Seasons};
pub use statistics::psi;

use crate::schema::{Column, Rows, Schema};

/// Number of quantile bins that a numeric field is profiled with.
const BINS: usize = 10;

/// What training saw of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldProfile {
    /// Numbers.
    Number {
        /// Smallest.
        least: f64,
        /// Largest.
        greatest: f64,
        /// Inner edges of the quantile bins, ascending.
        edges: Vec<f64>,
        /// Share of missing values.
        missing: f64,
        /// Share of the other values in each bin: where many are equal, bins are not. Bundles of earlier programs have none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shares: Vec<f64>,
    },
    /// Categories.
    Text {
        /// Rows per category.
        counts: BTreeMap<String, u64>,
        /// Share of missing values.
        missing: f64,
    },
    /// Civil times, in seconds.
    Timestamp {
        /// First.
        first: i64,
        /// Last that is still answered for: the last training row's and the horizon.
        last: i64,
        /// Share of missing values.
        missing: f64,
    },
}

/// Profile of every field, in schema order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// One per field.
    pub fields: Vec<FieldProfile>,
    /// How many rows it was read off; 0 in bundles of earlier programs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows: u64,
    /// What was answered to rows that the model did not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerProfile>,
    /// How all this differs by season, where that was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seasons: Option<Seasons>,
}

/// How answers are spread: the numbers, or the probabilities of yes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerProfile {
    /// How many answers.
    pub rows: u64,
    /// Their spread.
    pub spread: FieldProfile,
}

fn is_zero(rows: &u64) -> bool {
    *rows == 0
}

impl Profile {
    /// Reads the profile off training rows. Times up to `horizon` seconds after the last row count as in range.
    pub fn learn(rows: &Rows, horizon: i64) -> Self {
        Self {
            fields: rows.columns().iter().map(|column| profile(column, horizon)).collect(),
            rows: rows.len() as u64,
            answers: None,
            seasons: None,
        }
    }

    /// The same with how answers to rows that the model did not see are spread; none if there are none.
    #[must_use]
    pub fn with_answers(self, answers: &[f64]) -> Self {
        let answers = (!answers.is_empty()).then(|| AnswerProfile {
            rows: answers.len() as u64,
            spread: profile(&Column::Number(answers.to_vec()), 0),
        });
        Self { answers, ..self }
    }

    /// The same with how the training rows, and the answers, are spread in each season. The time of a row stands in field `field`;
    /// `answered` has the times of the rows that answers were given to, and the answers, none if there are none.
    #[must_use]
    pub fn with_seasons(self, season: Season, field: usize, rows: &Rows, answered: (&Column, &[f64])) -> Self {
        let seasons = Some(Seasons::learn(&self, season, field, rows, answered));
        Self { seasons, ..self }
    }

    /// The positions of the fields whose value training never saw the like of: a number outside of the range, a category
    /// that did not occur, a time before the first row or beyond the horizon, a missing value where none was missing.
    pub fn out_of_distribution(&self, rows: &Rows, row: usize) -> Vec<usize> {
        let fields = self.fields.iter().zip(rows.columns()).enumerate();
        fields
            .filter(|(_, (profile, column))| profile.is_outside(column, row))
            .map(|(field, _)| field)
            .collect()
    }

    /// True if it has a profile per field, of the field's type, whose numbers make sense.
    pub fn fits(&self, schema: &Schema) -> bool {
        use crate::schema::FieldKind;
        let answers = self.answers.as_ref().map(|answers| &answers.spread);
        self.fields.iter().chain(answers).all(FieldProfile::is_sound)
            && answers.is_none_or(|spread| matches!(spread, FieldProfile::Number { .. }))
            && self.fields.len() == schema.fields.len()
            && self.fields.iter().zip(&schema.fields).all(|(profile, field)| {
                matches!(
                    (profile, field.kind),
                    (FieldProfile::Number { .. }, FieldKind::Number)
                        | (FieldProfile::Text { .. }, FieldKind::Text)
                        | (FieldProfile::Timestamp { .. }, FieldKind::Timestamp)
                )
            })
            && self.seasons.as_ref().is_none_or(|seasons| seasons.fits(self, schema))
    }
}

impl FieldProfile {
    /// True if edges ascend, shares are shares, and there is one for each bin.
    fn is_sound(&self) -> bool {
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        match self {
            FieldProfile::Number {
                edges, missing, shares, ..
            } => {
                let ascend = edges.windows(2).all(|pair| pair[0] < pair[1]);
                let sum: f64 = shares.iter().sum();
                let whole = shares.is_empty() || (shares.len() == edges.len() + 1 && (sum - 1.0).abs() < 1e-6);
                ascend
                    && edges.iter().all(|edge| edge.is_finite())
                    && whole
                    && shares.iter().all(is_share)
                    && is_share(missing)
            }
            FieldProfile::Text { counts, missing } => {
                let total = counts.values().try_fold(0_u64, |sum, count| sum.checked_add(*count));
                total.is_some() && is_share(missing)
            }
            FieldProfile::Timestamp { missing, .. } => is_share(missing),
        }
    }

    fn is_outside(&self, column: &Column, row: usize) -> bool {
        match (self, column) {
            (
                FieldProfile::Number {
                    least,
                    greatest,
                    missing,
                    ..
                },
                Column::Number(values),
            ) => {
                let value = values[row];
                if value.is_nan() {
                    *missing == 0.0
                } else {
                    value < *least || value > *greatest
                }
            }
            (FieldProfile::Text { counts, missing }, Column::Text(values)) => match &values[row] {
                None => *missing == 0.0,
                Some(value) => !counts.contains_key(value.as_ref()),
            },
            (FieldProfile::Timestamp { first, last, missing }, Column::Timestamp(values)) => match values[row] {
                None => *missing == 0.0,
                Some(value) => value < *first || value > *last,
            },
            _ => true,
        }
    }
}

fn profile(column: &Column, horizon: i64) -> FieldProfile {
    let missing_rows = (0..column.len()).filter(|row| column.is_missing(*row)).count();
    let missing = if column.is_empty() {
        0.0
    } else {
        missing_rows as f64 / column.len() as f64
    };
    match column {
        Column::Number(values) => {
            let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
            sorted.sort_by(f64::total_cmp);
            let at = |share: f64| {
                sorted
                    .get(((sorted.len() as f64 - 1.0) * share) as usize)
                    .copied()
                    .unwrap_or(0.0)
            };
            let mut edges: Vec<f64> = (1..BINS).map(|bin| at(bin as f64 / BINS as f64)).collect();
            edges.dedup();
            let mut counts = vec![0_u64; edges.len() + 1];
            for value in &sorted {
                counts[edges.partition_point(|edge| edge < value)] += 1;
            }
            // Counted first: shares that are added up come to a little more than the whole.
            let whole = sorted.len() as f64;
            let shares = match sorted.is_empty() {
                true => Vec::new(),
                false => counts.into_iter().map(|count| count as f64 / whole).collect(),
            };
            FieldProfile::Number {
                least: at(0.0),
                greatest: at(1.0),
                edges,
                missing,
                shares,
            }
        }
        Column::Text(values) => {
            let mut counts = BTreeMap::new();
            for value in values.iter().flatten() {
                *counts.entry(value.to_string()).or_default() += 1;
            }
            FieldProfile::Text { counts, missing }
        }
        Column::Timestamp(values) => {
            let seen = || values.iter().flatten().copied();
            let last = seen().max().unwrap_or_default().saturating_add(horizon);
            FieldProfile::Timestamp {
                first: seen().min().unwrap_or_default(),
                last,
                missing,
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn rows(number: f64, text: Option<&str>, time: Option<i64>) -> Rows {
        let columns = vec![
            Column::Number(vec![1.0, number]),
            Column::Text(vec![Some("a".into()), text.map(Into::into)]),
            Column::Timestamp(vec![Some(100), time]),
        ];
        Rows::new(columns).unwrap()
    }

    #[test]
    fn bins_of_equal_values_keep_their_share_and_nonsense_is_not_sound() {
        for count in 1..3_000 {
            assert!(profile(&Column::Number(vec![0.1; count]), 0).is_sound(), "{count} rows");
        }
        let column = Column::Number([vec![0.0; 60], vec![1.0; 30], vec![2.0; 10]].concat());
        let FieldProfile::Number { edges, shares, .. } = profile(&column, 0) else {
            unreachable!("numbers have a profile of numbers");
        };
        assert_eq!(edges, [0.0, 1.0]);
        assert!(
            (shares[0] - 0.6).abs() < 1e-9 && (shares[2] - 0.1).abs() < 1e-9,
            "{shares:?}"
        );
        let sound = |edges: Vec<f64>, shares: Vec<f64>| {
            let least = 0.0;
            let profile = FieldProfile::Number {
                least,
                greatest: 1.0,
                edges,
                missing: 0.0,
                shares,
            };
            profile.is_sound()
        };
        assert!(sound(vec![0.0, 1.0], vec![0.2, 0.3, 0.5]) && sound(vec![0.0], Vec::new()));
        assert!(!sound(vec![0.0, 1.0], vec![0.5, 0.5]));
        assert!(!sound(vec![1.0, 0.0], Vec::new()));
        assert!(!sound(vec![0.0], vec![-1.0, 2.0]));
        assert!(!sound(vec![0.0], vec![f64::NAN, 1.0]));
    }

    #[test]
    fn each_field_moved_out_of_range_is_named() {
        let profile = Profile::learn(&rows(5.0, Some("b"), Some(200)), 1000);
        let outside = |number, text, time| profile.out_of_distribution(&rows(number, text, time), 1);
        assert_eq!(outside(3.0, Some("a"), Some(1200)), Vec::<usize>::new());
        assert_eq!(outside(5.1, Some("a"), Some(150)), [0]);
        assert_eq!(outside(f64::NAN, Some("a"), Some(150)), [0]);
        assert_eq!(outside(1.0, Some("c"), Some(150)), [1]);
        assert_eq!(outside(1.0, None, Some(1201)), [1, 2]);
        assert_eq!(outside(0.9, Some("z"), Some(99)), [0, 1, 2]);
    }
}
