//! Feature steps as written in a DAG.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::CalendarPart;
use super::history::{HistoryConfig, SummaryConfig};
use super::interact::{ClipConfig, ProductConfig, RatioConfig};
use super::row::{HaversineConfig, ImputeConfig};
use crate::schema::FieldKind;

/// One step as written in a DAG. Every step adds one or more numeric features.
///
/// A field is a column of the table, or `<lookup>.<column>` for a column of a lookup that `lookups` declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StepConfig {
    /// Numbers as they are.
    Number {
        /// Numeric fields.
        fields: Vec<String>,
    },
    /// Parts of a civil time.
    Calendar {
        /// A field with a date and time.
        field: String,
        /// Which parts.
        parts: Vec<CalendarPart>,
    },
    /// Straight way from a named place to a point: its length and its two legs, in the unit of the coordinates.
    Distance(DistanceConfig),
    /// 1 where two fields hold the same text, else 0.
    Same {
        /// One field.
        left: String,
        /// The other.
        right: String,
    },
    /// Mean of the target over the training rows of the same category, drawn to the overall mean; fitted out of fold, so
    /// that a training row never sees its own target.
    TargetMean {
        /// One feature per entry; the fields of an entry form one combined category.
        fields: Vec<Vec<String>>,
        /// How many rows of the overall mean are mixed in.
        #[serde(default = "default_smoothing")]
        smoothing: f64,
    },
    /// One feature of 0 and 1 per category seen in training, most frequent first.
    OneHot {
        /// The field.
        field: String,
        /// The most features it may make.
        #[serde(default = "default_categories")]
        most: usize,
    },
    /// The place of a category in an order: 0 for the first. A category that the order does not name is missing.
    Ordinal {
        /// The field, a text.
        field: String,
        /// The categories from the least to the greatest.
        order: Vec<String>,
    },
    /// Share of the training rows with the same category.
    Frequency {
        /// Fields, one feature each.
        fields: Vec<String>,
    },
    /// Numbers with their gaps filled, and a flag where one was: two features a field.
    Impute(ImputeConfig),
    /// Numbers held between two quantiles of the training rows.
    Clip(ClipConfig),
    /// One number divided by another.
    Ratio(RatioConfig),
    /// Numbers multiplied: what two of them say only together.
    Product(ProductConfig),
    /// Kilometers between two points given by latitude and longitude.
    Haversine(HaversineConfig),
    /// Mean, extremes and change of values measured one after the other, given as one field each.
    Summary(SummaryConfig),
    /// Earlier values and their mean, extremes and change, from a lookup with a time.
    History(HistoryConfig),
}

/// Straight way from a named place to a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistanceConfig {
    /// Field with the point's easting.
    pub x: String,
    /// Field with the point's northing.
    pub y: String,
    /// Field that names the place.
    pub place: String,
    /// Where the place is, such as the columns of a lookup. Where they are missing, or without it, places are learnt in
    /// training from where rows of that place are and what they cost (the target).
    #[serde(default)]
    pub at: Option<PlaneFields>,
    /// Learn from rows whose value in this field equals the place: a station's own ground.
    #[serde(default)]
    pub own: Option<String>,
}

/// Fields of a point on a plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaneFields {
    /// Field with the easting.
    pub x: String,
    /// Field with the northing.
    pub y: String,
}

fn default_smoothing() -> f64 {
    20.0
}

fn default_categories() -> usize {
    20
}

/// A field that a step reads, and the type that it has to have, if it has to.
pub(super) type Wanted = (String, Option<FieldKind>);

impl StepConfig {
    /// All fields that the step reads.
    pub fn fields(&self) -> Vec<String> {
        self.wants().into_iter().map(|(field, _)| field).collect()
    }

    /// All fields that the step reads, with the types that it wants.
    pub(super) fn wants(&self) -> Vec<Wanted> {
        let all = |fields: &[&str], kind: FieldKind| -> Vec<Wanted> {
            fields.iter().map(|field| ((*field).to_owned(), Some(kind))).collect()
        };
        let numbers = |fields: &[String]| -> Vec<Wanted> {
            let fields = fields.iter().cloned();
            fields.map(|field| (field, Some(FieldKind::Number))).collect()
        };
        match self {
            StepConfig::Number { fields }
            | StepConfig::Impute(ImputeConfig { fields, .. })
            | StepConfig::Clip(ClipConfig { fields, .. })
            | StepConfig::Product(ProductConfig { fields })
            | StepConfig::Summary(SummaryConfig { fields, .. }) => numbers(fields),
            StepConfig::Calendar { field, .. } => all(&[field], FieldKind::Timestamp),
            StepConfig::Distance(config) => {
                let mut wants = all(&[&config.x, &config.y], FieldKind::Number);
                wants.push((config.place.clone(), Some(FieldKind::Text)));
                if let Some(at) = &config.at {
                    wants.extend(all(&[&at.x, &at.y], FieldKind::Number));
                }
                wants.extend(config.own.iter().map(|own| (own.clone(), Some(FieldKind::Text))));
                wants
            }
            StepConfig::Same { left, right } => all(&[left, right], FieldKind::Text),
            StepConfig::TargetMean { fields, .. } => {
                fields.iter().flatten().map(|field| (field.clone(), None)).collect()
            }
            StepConfig::OneHot { field, .. } => vec![(field.clone(), None)],
            StepConfig::Ordinal { field, .. } => all(&[field], FieldKind::Text),
            StepConfig::Frequency { fields } => fields.iter().map(|field| (field.clone(), None)).collect(),
            StepConfig::Ratio(RatioConfig { of, per }) => all(&[of, per], FieldKind::Number),
            StepConfig::Haversine(config) => all(&config.fields(), FieldKind::Number),
            StepConfig::History(config) => config.takes().map(|(name, _)| (name, None)).collect(),
        }
    }

    /// The step without the fields that are `absent`; none if nothing is left of it. A distance without the place's
    /// coordinates learns them.
    pub fn without(&self, absent: impl Fn(&str) -> bool) -> Option<StepConfig> {
        let kept = |fields: &[String]| -> Vec<String> {
            let fields = fields.iter().filter(|field| !absent(field));
            fields.cloned().collect()
        };
        let step = match self {
            StepConfig::Number { fields } => StepConfig::Number { fields: kept(fields) },
            StepConfig::Frequency { fields } => StepConfig::Frequency { fields: kept(fields) },
            StepConfig::Impute(config) => StepConfig::Impute(ImputeConfig {
                fields: kept(&config.fields),
                ..config.clone()
            }),
            StepConfig::Clip(config) => StepConfig::Clip(ClipConfig {
                fields: kept(&config.fields),
                ..config.clone()
            }),
            StepConfig::TargetMean { fields, smoothing } => StepConfig::TargetMean {
                fields: fields
                    .iter()
                    .filter(|fields| !fields.iter().any(|field| absent(field)))
                    .cloned()
                    .collect(),
                smoothing: *smoothing,
            },
            StepConfig::Distance(config) => StepConfig::Distance(DistanceConfig {
                at: config.at.clone().filter(|at| !absent(&at.x) && !absent(&at.y)),
                ..config.clone()
            }),
            other => other.clone(),
        };
        let fields = step.fields();
        (!fields.is_empty() && !fields.iter().any(|field| absent(field))).then_some(step)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_a_lookup_that_is_not_given_would_bring_is_left_out() {
        let absent = |field: &str| field.starts_with("weather.") || field.starts_with("stations.");
        let read = |json: serde_json::Value| serde_json::from_value::<StepConfig>(json).unwrap().without(absent);
        let left = read(serde_json::json!({"number": {"fields": ["x", "weather.rain"]}})).unwrap();
        assert_eq!(left.fields(), ["x"]);
        assert_eq!(read(serde_json::json!({"impute": {"fields": ["weather.rain"]}})), None);
        assert_eq!(read(serde_json::json!({"one_hot": {"field": "weather.sky"}})), None);
        let way = serde_json::json!({
            "distance": {"x": "x", "y": "y", "place": "station", "at": {"x": "stations.x", "y": "stations.y"}}
        });
        assert_eq!(read(way).unwrap().fields(), ["x", "y", "station"]);
    }
}
