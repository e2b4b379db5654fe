//! What a client gets for one row.

use serde_json::{Map, Value, json};

use crate::conformal::Interval;
use crate::slices::SliceRisk;
use crate::target::{Target, TargetKind};

/// A prediction without what is said around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The number, 0 or 1, or the class.
    pub value: f64,
    /// Interval, for numbers.
    pub interval: Option<Interval>,
    /// Of each class in order (no, yes for a binary target); empty for numbers.
    pub probabilities: Vec<f64>,
}

impl Prediction {
    /// What comparisons and metrics of classes need: the probability of yes. NaN for anything else.
    pub fn probability(&self) -> f64 {
        match self.probabilities.as_slice() {
            [_, yes] => *yes,
            _ => f64::NAN,
        }
    }
}

impl Prediction {
    /// What is watched for drift: the probability of yes, else the value.
    pub fn monitored(&self) -> f64 {
        match self.probability() {
            share if share.is_finite() => share,
            _ => self.value,
        }
    }
}

/// A prediction with what a client should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<'a> {
    pub(crate) target: &'a Target,
    pub(crate) coverage: f64,
    /// The prediction.
    pub prediction: Prediction,
    /// Risk of the row's slice, if the model learnt one.
    pub risk: Option<SliceRisk>,
    /// Names of the fields whose value training never saw the like of.
    pub outside: Vec<&'a str>,
    /// Names of the lookups that have no row for this one; none if the model reads no lookup.
    pub unmatched: Option<Vec<&'a str>>,
}

impl Answer<'_> {
    /// The answer as JSON. Numbers come back to the last bit when they are parsed.
    ///
    /// A number: `{"seconds": 291.3, "interval": {"lower": .., "upper": .., "coverage": 0.9}, ...}`; yes or no:
    /// `{"over_target": true, "probability": 0.71, ...}`; a class: `{"pumps": 2, "probabilities": {"1": .., ..}, ...}`.
    /// All hold `out_of_distribution: {"flag": .., "fields": [..]}`; models with slices also `may_be_underestimated` and
    /// `underestimation_risk`, the share of such rows that took longer than predicted by more than the margin; models that
    /// read lookups also `unmatched_lookups`, the names of those that have no row for this one.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut json = Map::new();
        let prediction = &self.prediction;
        match &self.target.kind {
            TargetKind::Regression { .. } => {
                json.insert(self.target.answer.clone(), json!(prediction.value));
                if let Some(Interval { lower, upper }) = prediction.interval {
                    let interval = json!({"lower": lower, "upper": upper, "coverage": self.coverage});
                    json.insert("interval".to_owned(), interval);
                }
            }
            TargetKind::Binary { .. } => {
                json.insert(self.target.answer.clone(), json!(prediction.value > 0.5));
                json.insert("probability".to_owned(), json!(prediction.probability()));
            }
            TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => {
                json.insert(self.target.answer.clone(), json!(prediction.value as i64));
                let pairs = classes.iter().zip(&prediction.probabilities);
                let map: Map<String, Value> = pairs.map(|(class, share)| (class.to_string(), json!(share))).collect();
                json.insert("probabilities".to_owned(), Value::Object(map));
            }
        }
        if let Some(risk) = self.risk {
            json.insert("may_be_underestimated".to_owned(), json!(risk.flagged));
            json.insert("underestimation_risk".to_owned(), json!(risk.share));
        }
        let outside = json!({"flag": !self.outside.is_empty(), "fields": self.outside});
        json.insert("out_of_distribution".to_owned(), outside);
        if let Some(unmatched) = &self.unmatched {
            json.insert("unmatched_lookups".to_owned(), json!(unmatched));
        }
        json
    }
}

/// JSON Schema of [`Answer::to_json`].
pub(crate) fn schema(target: &Target, slices: bool, lookups: bool) -> Value {
    let mut properties = Map::new();
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    match &target.kind {
        TargetKind::Regression { .. } => {
            properties.insert(target.answer.clone(), json!({"type": "number"}));
            let ends = json!({"lower": {"type": "number"}, "upper": {"type": "number"}, "coverage": share});
            let interval = json!({
                "type": "object", "properties": ends,
                "description": "The true value lies within with the stated probability.",
            });
            properties.insert("interval".to_owned(), interval);
        }
        TargetKind::Binary { above, .. } => {
            let description = format!("True if `{}` is expected above {above}.", target.column);
            properties.insert(
                target.answer.clone(),
                json!({"type": "boolean", "description": description}),
            );
            properties.insert("probability".to_owned(), share.clone());
        }
        TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => {
            properties.insert(target.answer.clone(), json!({"type": "integer", "enum": classes}));
            let probabilities = json!({"type": "object", "additionalProperties": share});
            properties.insert("probabilities".to_owned(), probabilities);
        }
    }
    if slices {
        properties.insert("may_be_underestimated".to_owned(), json!({"type": "boolean"}));
        properties.insert("underestimation_risk".to_owned(), share);
    }
    let outside = json!({
        "type": "object",
        "properties": {"flag": {"type": "boolean"}, "fields": {"type": "array", "items": {"type": "string"}}},
        "required": ["flag", "fields"],
    });
    properties.insert("out_of_distribution".to_owned(), outside);
    if lookups {
        let unmatched = json!({
            "type": "array", "items": {"type": "string"},
            "description": "Lookups that have no row for this one; what they would add counts as missing.",
        });
        properties.insert("unmatched_lookups".to_owned(), unmatched);
    }
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "required": required, "properties": properties})
}
