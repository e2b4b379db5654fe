//! What is expected of a field: its bins, and how rows like those of the training are spread over them.

use super::FieldProfile;
use super::seasons::FieldCounts;
use crate::schema::Column;

/// Categories that have a bin of their own; the rest, and what training never saw, share the last.
const CATEGORIES: usize = 19;
/// Rows of a season that training needs at least, so that its distances mean something.
const FEWEST: u64 = 50;

/// The bins of a field.
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

/// How rows like those of the training are spread.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shares {
    /// Share of the rows with a value in each bin.
    pub(super) bins: Vec<f64>,
    /// Training rows with a value.
    pub(super) rows: f64,
    /// Chance that such a row has no value.
    pub(super) missing: f64,
    /// Chance that such a value is out of range or a new category.
    pub(super) outside: f64,
}

/// A field of the reference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) bins: Bins,
    /// All training rows.
    pub(super) whole: Shares,
    /// Those of each season; none where training had too few rows of it. Empty: seasons are not told apart.
    pub(super) seasons: Vec<Option<Shares>>,
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
        let (bins, whole) = match profile {
            FieldProfile::Number {
                least,
                greatest,
                edges,
                missing,
                shares,
            } => {
                let with_value = present(rows, *missing);
                let even = vec![1.0 / (edges.len() + 1) as f64; edges.len() + 1];
                let whole = Shares {
                    bins: if shares.is_empty() { even } else { shares.clone() },
                    rows: with_value,
                    missing: chance(*missing, rows),
                    // Of rows in random order the next is the least or the greatest of all with this chance.
                    outside: 2.0 / (with_value + 1.0),
                };
                let bins = Bins::Number {
                    edges: edges.clone(),
                    least: *least,
                    greatest: *greatest,
                };
                (bins, whole)
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
                let once = by_count.iter().filter(|(_, count)| *count == 1).count() as f64;
                let outside = new_category(once, total as f64);
                shares.push((rest / total_or_one).max(outside));
                let sum: f64 = shares.iter().sum();
                for share in &mut shares {
                    *share /= sum;
                }
                let whole = Shares {
                    bins: shares,
                    rows: total as f64,
                    missing: chance(*missing, rows.max(total)),
                    outside,
                };
                let bins = Bins::Text {
                    categories: by_count[..split].iter().map(|(name, _)| (*name).clone()).collect(),
                    known: counts.keys().cloned().collect(),
                };
                (bins, whole)
            }
            FieldProfile::Timestamp { first, last, missing } => {
                let whole = Shares {
                    bins: Vec::new(),
                    rows: present(rows, *missing),
                    missing: chance(*missing, rows),
                    outside: 2.0 / (present(rows, *missing) + 1.0),
                };
                let bins = Bins::Timestamp {
                    first: *first,
                    last: *last,
                };
                (bins, whole)
            }
        };
        Expected {
            bins,
            whole,
            seasons: Vec::new(),
        }
    }

    /// The same with a season more, of which training had `rows` rows.
    pub(super) fn add_season(&mut self, counts: &FieldCounts, rows: u64) {
        let with_value: f64 = counts.bins.iter().map(|count| *count as f64).sum();
        let shares = (rows >= FEWEST).then(|| Shares {
            bins: self.whole.near(&counts.bins, with_value),
            rows: with_value.max(1.0),
            missing: chance(counts.missing as f64 / rows as f64, rows),
            // What is out of the range of all is out of the season's, too.
            outside: match self.bins {
                Bins::Text { .. } => new_category(counts.once as f64, with_value),
                Bins::Number { .. } => 2.0 / (with_value + 1.0),
                Bins::Timestamp { .. } => self.whole.outside,
            },
        });
        self.seasons.push(shares);
    }

    /// What is expected of a window with so many rows of each season: the sum of what is expected of each. Distances leave out rows of
    /// seasons that training had too few rows of; for all else these count like any training row.
    pub(super) fn mixed(&self, seasons: &[u64]) -> Shares {
        let total = seasons.iter().map(|rows| *rows as f64).sum::<f64>();
        if self.seasons.is_empty() || total == 0.0 {
            return self.whole.clone();
        }
        let mut mixed = Shares {
            bins: vec![0.0; self.whole.bins.len()],
            rows: 0.0,
            missing: 0.0,
            outside: 0.0,
        };
        let (mut weights, mut doubt) = (0.0, 0.0);
        for (shares, rows) in self.seasons.iter().zip(seasons) {
            let rows = *rows as f64;
            let weight = shares.as_ref().map_or(0.0, |shares| rows * (1.0 - shares.missing));
            let shares = shares.as_ref().unwrap_or(&self.whole);
            mixed.missing += rows / total * shares.missing;
            mixed.outside += rows / total * shares.outside;
            for (sum, share) in mixed.bins.iter_mut().zip(&shares.bins) {
                *sum += weight * share;
            }
            weights += weight;
            doubt += weight * weight / shares.rows;
        }
        if weights == 0.0 {
            return Shares {
                bins: self.whole.bins.clone(),
                rows: self.whole.rows,
                ..mixed
            };
        }
        for share in &mut mixed.bins {
            *share /= weights;
        }
        // As many rows of one kind would say as much about these shares.
        mixed.rows = weights * weights / doubt;
        mixed
    }

    /// True if rows of that season are compared with some of the training.
    pub(super) fn knows(&self, season: usize) -> bool {
        self.seasons.is_empty() || self.seasons[season].is_some()
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            bins: vec![0; self.whole.bins.len()],
            ..Counted::default()
        }
    }

    /// Counts the rows of a column, whose seasons these are where they are told apart. Values of another type than the reference's count
    /// as outside.
    pub(super) fn count(&self, column: &Column, seasons: &[usize], counted: &mut Counted) {
        let is_known = |row: usize| seasons.get(row).is_none_or(|season| self.knows(*season));
        match (&self.bins, column) {
            (Bins::Number { .. }, Column::Number(values)) => {
                for (row, value) in values.iter().enumerate() {
                    self.count_number(*value, is_known(row), counted);
                }
            }
            (Bins::Text { categories, known }, Column::Text(values)) => {
                for (row, value) in values.iter().enumerate() {
                    let Some(value) = value else {
                        counted.missing += 1;
                        continue;
                    };
                    let bin = categories.iter().position(|category| **category == **value);
                    counted.bins[bin.unwrap_or(categories.len())] += u64::from(is_known(row));
                    let is_known_text = || known.binary_search_by(|known| known.as_str().cmp(value)).is_ok();
                    counted.outside += u64::from(bin.is_none() && !is_known_text());
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

    pub(super) fn count_number(&self, value: f64, is_known: bool, counted: &mut Counted) {
        let Bins::Number { edges, least, greatest } = &self.bins else {
            return;
        };
        if value.is_nan() {
            counted.missing += 1;
        } else {
            counted.bins[edges.partition_point(|edge| *edge < value)] += u64::from(is_known);
            counted.outside += u64::from(value < *least || value > *greatest);
        }
    }
}

impl Shares {
    /// Shares of a part of the rows, each bin as if one row more had been found where the whole lets expect one: a bin too rare to tell the
    /// part from the whole keeps the whole's share.
    fn near(&self, counts: &[u64], rows: f64) -> Vec<f64> {
        let shares = counts.iter().zip(&self.bins);
        let shares = shares.map(|(count, share)| share * (*count as f64 + 1.0) / (rows * share + 1.0));
        let shares: Vec<f64> = shares.collect();
        let sum: f64 = shares.iter().sum();
        shares.iter().map(|share| share / sum).collect()
    }
}

/// Good (1953): new categories come as often as categories came once.
fn new_category(once: f64, rows: f64) -> f64 {
    (once + 1.0) / (rows + 2.0)
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
