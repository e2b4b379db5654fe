//! What a window of rows looks like, counted in the bins of the training's profile.

use super::{FieldProfile, Profile};
use crate::schema::{Column, Rows};

/// Categories that have a bin of their own; the rest, and what training never saw, share the last.
const CATEGORIES: usize = 19;

/// The bins of a field, and how the training's rows were spread over them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bins {
    /// Numbers by upper edges; a number above the last edge is in the bin after it.
    Number { edges: Vec<f64>, least: f64, greatest: f64 },
    /// The most frequent categories; all others share the bin after them.
    Text {
        categories: Vec<String>,
        known: Vec<String>,
    },
    /// Times move on; only whether they are in range counts.
    Timestamp { first: i64, last: i64 },
}

/// A field of the reference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) bins: Bins,
    /// Share of the rows with a value in each bin.
    pub(super) shares: Vec<f64>,
    /// Training rows with a value.
    pub(super) rows: f64,
    /// Chance that a row like those of the training has no value.
    pub(super) missing: f64,
    /// Chance that a value like those of the training is out of range or a new category.
    pub(super) outside: f64,
}

/// What was counted of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) bins: Vec<u64>,
    pub(super) missing: u64,
    pub(super) outside: u64,
}

impl Expected {
    /// The reference of a field. `rows` is how many rows trained it, 0 if the bundle does not say.
    pub(super) fn of(profile: &FieldProfile, rows: u64) -> Expected {
        match profile {
            FieldProfile::Number {
                least,
                greatest,
                edges,
                missing,
                shares,
            } => {
                let with_value = present(rows, *missing);
                let even = vec![1.0 / (edges.len() + 1) as f64; edges.len() + 1];
                Expected {
                    shares: if shares.is_empty() { even } else { shares.clone() },
                    rows: with_value,
                    missing: chance(*missing, rows),
                    // Of rows in random order the next is the least or the greatest of all with this chance.
                    outside: 2.0 / (with_value + 1.0),
                    bins: Bins::Number {
                        edges: edges.clone(),
                        least: *least,
                        greatest: *greatest,
                    },
                }
            }
            FieldProfile::Text { counts, missing } => {
                let total: u64 = counts.values().sum();
                let mut by_count: Vec<(&String, u64)> = counts.iter().map(|(name, count)| (name, *count)).collect();
                by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
                let split = by_count.len().min(CATEGORIES);
                let total_or_one = total.max(1) as f64;
                let mut shares: Vec<f64> = by_count[..split]
                    .iter()
                    .map(|(_, count)| *count as f64 / total_or_one)
                    .collect();
                let rest = by_count[split..].iter().map(|(_, count)| *count).sum::<u64>() as f64;
                // Good (1953): new categories come as often as categories came once.
                let once = by_count.iter().filter(|(_, count)| *count == 1).count() as f64;
                let outside = (once + 1.0) / (total as f64 + 2.0);
                shares.push((rest / total_or_one).max(outside));
                let sum: f64 = shares.iter().sum();
                for share in &mut shares {
                    *share /= sum;
                }
                Expected {
                    shares,
                    rows: total as f64,
                    missing: chance(*missing, rows.max(total)),
                    outside,
                    bins: Bins::Text {
                        categories: by_count[..split].iter().map(|(name, _)| (*name).clone()).collect(),
                        known: counts.keys().cloned().collect(),
                    },
                }
            }
            FieldProfile::Timestamp { first, last, missing } => Expected {
                shares: Vec::new(),
                rows: present(rows, *missing),
                missing: chance(*missing, rows),
                outside: 2.0 / (present(rows, *missing) + 1.0),
                bins: Bins::Timestamp {
                    first: *first,
                    last: *last,
                },
            },
        }
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            bins: vec![0; self.shares.len()],
            ..Counted::default()
        }
    }

    /// Counts the rows of a column. Values of another type than the reference's count as outside.
    pub(super) fn count(&self, column: &Column, counted: &mut Counted) {
        match (&self.bins, column) {
            (Bins::Number { .. }, Column::Number(values)) => {
                for value in values {
                    self.count_number(*value, counted);
                }
            }
            (Bins::Text { categories, known }, Column::Text(values)) => {
                for value in values {
                    let Some(value) = value else {
                        counted.missing += 1;
                        continue;
                    };
                    let bin = categories.iter().position(|category| **category == **value);
                    counted.bins[bin.unwrap_or(categories.len())] += 1;
                    counted.outside +=
                        u64::from(bin.is_none() && known.binary_search_by(|known| known.as_str().cmp(value)).is_err());
                }
            }
            (Bins::Timestamp { first, last }, Column::Timestamp(values)) => {
                for value in values {
                    match value {
                        None => counted.missing += 1,
                        Some(value) => counted.outside += u64::from(value < first || value > last),
                    }
                }
            }
            _ => counted.outside += column.len() as u64,
        }
    }

    pub(super) fn count_number(&self, value: f64, counted: &mut Counted) {
        let Bins::Number { edges, least, greatest } = &self.bins else {
            return;
        };
        if value.is_nan() {
            counted.missing += 1;
        } else {
            counted.bins[edges.partition_point(|edge| *edge < value)] += 1;
            counted.outside += u64::from(value < *least || value > *greatest);
        }
    }
}

/// Rows with a value; where the number of rows is not known, as if there were few, which makes thresholds wide.
fn present(rows: u64, missing: f64) -> f64 {
    let rows = if rows == 0 { 1000.0 } else { rows as f64 };
    (rows * (1.0 - missing)).max(1.0)
}

/// A share as seen, drawn a little towards one half: what never happened in so many rows may still happen (Laplace).
fn chance(share: f64, rows: u64) -> f64 {
    let rows = if rows == 0 { 1000.0 } else { rows as f64 };
    (share * rows + 1.0) / (rows + 2.0)
}

/// A window that fills.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    pub(super) rows: u64,
    pub(super) fields: Vec<Counted>,
    pub(super) answers: Option<Counted>,
    pub(super) strange: u64,
}

/// The profile as something to count against.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub(super) names: Vec<String>,
    pub(super) fields: Vec<Expected>,
    pub(super) answers: Option<Expected>,
    pub(super) answer: String,
}

impl Reference {
    /// The reference of a bundle: its profile, the names of its fields and of its answer.
    pub fn new(profile: &Profile, names: Vec<String>, answer: String) -> Reference {
        Reference {
            names,
            fields: profile
                .fields
                .iter()
                .map(|field| Expected::of(field, profile.rows))
                .collect(),
            answers: profile
                .answers
                .as_ref()
                .map(|answers| Expected::of(&answers.spread, answers.rows)),
            answer,
        }
    }

    /// An empty window.
    pub fn counts(&self) -> Counts {
        Counts {
            rows: 0,
            fields: self.fields.iter().map(Expected::counted).collect(),
            answers: self.answers.as_ref().map(Expected::counted),
            strange: 0,
        }
    }

    /// Adds rows of the reference's fields, what was answered to them (the number, or the probability of yes), and how many of them
    /// were flagged as unlike the training's.
    pub fn count(&self, counts: &mut Counts, rows: &Rows, answers: &[f64], strange: u64) {
        counts.rows += rows.len() as u64;
        counts.strange += strange;
        for ((expected, column), counted) in self.fields.iter().zip(rows.columns()).zip(&mut counts.fields) {
            expected.count(column, counted);
        }
        if let (Some(expected), Some(counted)) = (&self.answers, &mut counts.answers) {
            for answer in answers {
                expected.count_number(*answer, counted);
            }
        }
    }
}

impl Counts {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}
