//! The training's rows season by season, as they stand in the bundle.

use serde::{Deserialize, Serialize};

use super::counts::{Reference, seasons_of};
use super::expected::Expected;
use super::season::Season;
use super::{FieldProfile, Profile};
use crate::schema::{Column, FieldKind, Rows, Schema};

/// How the rows of each season are spread over the bins of the whole profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seasons {
    /// How time is parted.
    pub season: Season,
    /// Position of the field that says it.
    pub field: usize,
    /// One for each season, and one for the rows without a time.
    pub parts: Vec<SeasonCounts>,
}

/// The training's rows of one season.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeasonCounts {
    /// How many.
    pub rows: u64,
    /// One per field.
    pub fields: Vec<FieldCounts>,
    /// Answers to rows that the model did not see, in the bins of their spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<u64>,
}

/// A field in one season.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCounts {
    /// Rows in each bin; none of times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<u64>,
    /// Rows without a value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Rows whose category came once in all of the training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub once: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Seasons {
    /// Counts the rows of a profile by the time in field `field`. `answered` are the times of the rows that the profile's answers were given
    /// to.
    pub(super) fn learn(
        profile: &Profile,
        season: Season,
        field: usize,
        rows: &Rows,
        answered: (&Column, &[f64]),
    ) -> Seasons {
        let reference = Reference::new(profile, Vec::new(), String::new());
        let of_rows = seasons_of(season, &rows.columns()[field]);
        let of_answers = seasons_of(season, answered.0);
        let parts = (0..=season.count()).map(|season| {
            let of_this = |of: &[usize]| -> Vec<usize> { (0..of.len()).filter(|row| of[*row] == season).collect() };
            let rows = rows.select(&of_this(&of_rows));
            let answers: Vec<f64> = of_this(&of_answers).iter().map(|row| answered.1[*row]).collect();
            let mut counts = reference.counts();
            reference.count(&mut counts, &rows, &answers, 0);
            let fields = counts.fields.into_iter().zip(rows.columns()).zip(&profile.fields);
            SeasonCounts {
                rows: counts.rows,
                fields: fields
                    .map(|((counted, column), profile)| FieldCounts {
                        bins: counted.bins,
                        missing: counted.missing,
                        once: once(profile, column),
                    })
                    .collect(),
                answers: counts.answers.map(|counted| counted.bins).unwrap_or_default(),
            }
        });
        Seasons {
            season,
            field,
            parts: parts.collect(),
        }
    }

    /// Gives each field and the answers of a reference their seasons. The field that says the season has none.
    pub(super) fn add_to(&self, reference: &mut Reference) {
        reference.season = Some((self.season, self.field));
        for part in &self.parts {
            for (position, (expected, counts)) in reference.fields.iter_mut().zip(&part.fields).enumerate() {
                if position != self.field {
                    expected.add_season(counts, part.rows);
                }
            }
            if let Some(expected) = &mut reference.answers {
                let counts = FieldCounts {
                    bins: part.answers.clone(),
                    ..FieldCounts::default()
                };
                expected.add_season(&counts, part.answers.iter().sum());
            }
        }
    }

    /// True if it has as many seasons, fields and bins as it should, and no more rows in bins than in the season.
    pub(super) fn fits(&self, profile: &Profile, schema: &Schema) -> bool {
        let bins = |spread: &FieldProfile| Expected::of(spread, profile.rows).whole.bins.len();
        let fields: Vec<usize> = profile.fields.iter().map(bins).collect();
        let answers = profile.answers.as_ref().map_or(0, |answers| bins(&answers.spread));
        let is_time = |field: &crate::schema::Field| field.kind == FieldKind::Timestamp;
        schema.fields.get(self.field).is_some_and(is_time)
            && self.parts.len() == self.season.count() + 1
            && self.parts.iter().all(|part| {
                part.fields.len() == fields.len()
                    && part.answers.len() == answers
                    && sum(&part.answers, 0).is_some()
                    && part.fields.iter().zip(&fields).all(|(counts, bins)| {
                        let rows = sum(&counts.bins, counts.missing);
                        counts.bins.len() == *bins
                            && counts.once <= part.rows
                            && rows.is_some_and(|rows| rows <= part.rows)
                    })
            })
    }
}

/// The sum of counts and one more; none if no number holds it.
fn sum(counts: &[u64], more: u64) -> Option<u64> {
    counts.iter().try_fold(more, |sum, count| sum.checked_add(*count))
}

/// Rows whose category came once in all of the training.
fn once(profile: &FieldProfile, column: &Column) -> u64 {
    let (FieldProfile::Text { counts, .. }, Column::Text(values)) = (profile, column) else {
        return 0;
    };
    let came_once = values
        .iter()
        .flatten()
        .filter(|value| counts.get::<str>(value) == Some(&1));
    came_once.count() as u64
}
