//! What a window of rows looks like, counted in the bins of the training's profile.

use super::Profile;
use super::expected::{Counted, Expected};
use super::season::Season;
use crate::schema::{Column, Rows};

/// A window that fills.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    pub(super) rows: u64,
    /// Rows of each season; empty where seasons are not told apart.
    pub(super) seasons: Vec<u64>,
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
    /// How time is parted, and the position of the field that says it.
    pub(super) season: Option<(Season, usize)>,
}

impl Reference {
    /// The reference of a bundle: its profile, the names of its fields and of its answer.
    pub fn new(profile: &Profile, names: Vec<String>, answer: String) -> Reference {
        let mut reference = Reference {
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
            season: None,
        };
        if let Some(seasons) = &profile.seasons {
            seasons.add_to(&mut reference);
        }
        reference
    }

    /// An empty window.
    pub fn counts(&self) -> Counts {
        Counts {
            rows: 0,
            // Rows without a time are a season of their own.
            seasons: self
                .season
                .map_or(Vec::new(), |(season, _)| vec![0; season.count() + 1]),
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
        let seasons = match self.season {
            Some((season, field)) => seasons_of(season, &rows.columns()[field]),
            None => Vec::new(),
        };
        for season in &seasons {
            counts.seasons[*season] += 1;
        }
        for ((expected, column), counted) in self.fields.iter().zip(rows.columns()).zip(&mut counts.fields) {
            expected.count(column, &seasons, counted);
        }
        if let (Some(expected), Some(counted)) = (&self.answers, &mut counts.answers) {
            for (row, answer) in answers.iter().enumerate() {
                let is_known = seasons.get(row).is_none_or(|season| expected.knows(*season));
                expected.count_number(*answer, is_known, counted);
            }
        }
    }
}

impl Reference {
    /// Rows of a window whose season training had too few rows of; none where seasons are not told apart.
    pub(super) fn of_unknown_seasons(&self, counts: &Counts) -> Option<u64> {
        let expected = self.fields.iter().find(|expected| !expected.seasons.is_empty())?;
        let rows = counts.seasons.iter().enumerate();
        Some(
            rows.filter(|(season, _)| !expected.knows(*season))
                .map(|(_, rows)| rows)
                .sum(),
        )
    }
}

/// The season of each row; one more than there are for rows without a time.
pub(super) fn seasons_of(season: Season, times: &Column) -> Vec<usize> {
    match times {
        Column::Timestamp(times) => times
            .iter()
            .map(|time| time.map_or(season.count(), |time| season.of(time)))
            .collect(),
        other => vec![season.count(); other.len()],
    }
}

impl Counts {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows of each season, the last those without a time; empty where seasons are not told apart.
    pub fn seasons(&self) -> &[u64] {
        &self.seasons
    }
}
