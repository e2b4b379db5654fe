//! Fitted steps: what a bundle holds, and what both training and serving compute.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calendar::CalendarPart;
use super::encode::category;
use super::geography::{Place, Places};
use super::row::{RowStep, number};
use crate::schema::{Column, Rows};

/// A fitted step as stored in a bundle; fields are positions in the schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// See [`super::StepConfig::Number`].
    Number {
        /// Field.
        field: usize,
    },
    /// See [`super::StepConfig::Calendar`].
    Calendar {
        /// Field.
        field: usize,
        /// Parts, one feature each.
        parts: Vec<CalendarPart>,
    },
    /// See [`super::StepConfig::Distance`]: three features.
    Distance {
        /// Field of the easting.
        x: usize,
        /// Field of the northing.
        y: usize,
        /// Field of the place's name.
        place: usize,
        /// Fields of the place's easting and northing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<[usize; 2]>,
        /// Where places are whose coordinates are missing.
        places: Places,
    },
    /// See [`super::StepConfig::Same`].
    Same {
        /// One field.
        left: usize,
        /// The other.
        right: usize,
    },
    /// See [`super::StepConfig::TargetMean`].
    TargetMean {
        /// Fields of the category.
        fields: Vec<usize>,
        /// Mean of a category that training did not see.
        prior: f64,
        /// Mean per category.
        means: BTreeMap<String, f64>,
    },
    /// See [`super::StepConfig::OneHot`].
    OneHot {
        /// Field.
        field: usize,
        /// Categories, one feature each.
        categories: Vec<String>,
    },
    /// See [`super::StepConfig::Ordinal`].
    Ordinal {
        /// Field.
        field: usize,
        /// Categories, the least first.
        order: Vec<String>,
    },
    /// See [`super::StepConfig::Frequency`].
    Frequency {
        /// Field.
        field: usize,
        /// Share per category.
        shares: BTreeMap<String, f64>,
    },
    /// Numbers of one row alone.
    Row(RowStep),
}

impl Step {
    /// Number of features.
    pub(super) fn width(&self) -> usize {
        match self {
            Step::Number { .. } | Step::Same { .. } | Step::TargetMean { .. } => 1,
            Step::Ordinal { .. } | Step::Frequency { .. } => 1,
            Step::Calendar { parts, .. } => parts.len(),
            Step::Distance { .. } => 3,
            Step::OneHot { categories, .. } => categories.len(),
            Step::Row(step) => step.width(),
        }
    }

    /// Fields that it reads.
    pub(super) fn fields(&self) -> Vec<usize> {
        match self {
            Step::Number { field } | Step::Calendar { field, .. } => vec![*field],
            Step::OneHot { field, .. } | Step::Ordinal { field, .. } | Step::Frequency { field, .. } => vec![*field],
            Step::Distance { x, y, place, at, .. } => [*x, *y, *place]
                .into_iter()
                .chain(at.iter().flatten().copied())
                .collect(),
            Step::Same { left, right } => vec![*left, *right],
            Step::TargetMean { fields, .. } => fields.clone(),
            Step::Row(step) => step.fields(),
        }
    }

    /// What is wrong with a step that was read from a bundle.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let finite = match self {
            Step::Distance { places, .. } => places.is_finite(),
            Step::TargetMean { prior, means, .. } => prior.is_finite() && means.values().all(|mean| mean.is_finite()),
            Step::Frequency { shares, .. } => shares.values().all(|share| share.is_finite()),
            Step::Row(step) => return step.problem(),
            _ => true,
        };
        (!finite).then_some("holds a number that is not finite")
    }

    /// Writes the step's features of one row.
    pub(super) fn write(&self, rows: &Rows, row: usize, features: &mut [f64]) {
        match self {
            Step::Number { field } => features[0] = number(rows, *field, row),
            Step::Calendar { field, parts } => {
                let moment = match &rows.columns()[*field] {
                    Column::Timestamp(values) => values[row],
                    _ => None,
                };
                for (feature, part) in features.iter_mut().zip(parts) {
                    *feature = moment.map_or(f64::NAN, |seconds| part.of(seconds));
                }
            }
            Step::Distance {
                x,
                y,
                place,
                at,
                places,
            } => {
                let given = at.and_then(|at| given_place(rows, at, row));
                let found = given.or_else(|| text(rows, *place, row).and_then(|name| places.get(name)));
                let (dx, dy) = match found {
                    Some(found) => (number(rows, *x, row) - found.x, number(rows, *y, row) - found.y),
                    None => (f64::NAN, f64::NAN),
                };
                features.copy_from_slice(&[(dx * dx + dy * dy).sqrt(), dx, dy]);
            }
            Step::Same { left, right } => {
                features[0] = match (text(rows, *left, row), text(rows, *right, row)) {
                    (Some(left), Some(right)) => f64::from(u8::from(left == right)),
                    _ => f64::NAN,
                };
            }
            Step::TargetMean { fields, prior, means } => {
                let found = category(rows, fields, row).and_then(|key| means.get(key.as_ref()));
                features[0] = found.copied().unwrap_or(*prior);
            }
            Step::OneHot { field, categories } => {
                let value = category(rows, &[*field], row);
                features.fill(0.0);
                if let Some(place) = value.and_then(|value| categories.iter().position(|category| *category == value)) {
                    features[place] = 1.0;
                }
            }
            Step::Ordinal { field, order } => {
                let value = text(rows, *field, row);
                let place = value.and_then(|value| order.iter().position(|category| category == value));
                features[0] = place.map_or(f64::NAN, |place| place as f64);
            }
            Step::Frequency { field, shares } => {
                let found = category(rows, &[*field], row).and_then(|key| shares.get(key.as_ref()).copied());
                features[0] = found.unwrap_or(0.0);
            }
            Step::Row(step) => step.write(rows, row, features),
        }
    }
}

/// The place whose coordinates stand in two fields; none if one is missing.
pub(super) fn given_place(rows: &Rows, [x, y]: [usize; 2], row: usize) -> Option<Place> {
    let (x, y) = (number(rows, x, row), number(rows, y, row));
    (!x.is_nan() && !y.is_nan()).then_some(Place { x, y })
}

/// The text of a row's field; none where it is missing.
pub(super) fn text(rows: &Rows, field: usize, row: usize) -> Option<&str> {
    match &rows.columns()[field] {
        Column::Text(values) => values[row].as_deref(),
        _ => None,
    }
}
