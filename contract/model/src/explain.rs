//! What each field of a request contributed to a score.
//!
//! Contributions are Shapley values of the features ([`crate::predictor::ForestShapley`] for trees; for linear models the
//! weight times the distance from the training mean, which is the same thing for independent features), summed per field. A feature
//! that is made of several fields, such as a distance or a combined category, is split equally among them. They are told on the scale
//! of the score, before the target's transform or the calibration of probabilities, because only there do they add up.

use serde_json::{Map, Value, json};

use crate::bundle::Content;
use crate::features::{Matrix, Pipeline};
use crate::output::ModelOutput;
use crate::predictor::{ForestShapley, Link, Predictor};
use crate::schema::Schema;
use crate::target::{TargetKind, Transform};

/// Contributions to one score; `base` plus all of them is the score, to 1e-9.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The predictor's score.
    pub score: f64,
    /// The score of a row of which nothing is known: the mean over the training rows, in the predictor's eyes.
    pub base: f64,
    /// What the score is: `none`, `square_root` or `logarithm` of the target, `log_odds` or `probability` of a class.
    pub scale: &'static str,
    /// One per field, in the order of the schema; 0 for fields that the pipeline does not read.
    pub fields: Vec<f64>,
}

/// Contributions to all scores of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation<'a> {
    schema: &'a Schema,
    kind: &'a TargetKind,
    /// One per output of the model.
    pub outputs: Vec<Contributions>,
}

impl Explanation<'_> {
    /// `{"score": .., "base": .., "scale": "..", "contributions": {field: value}}`; for classes in order `{"cuts": [..]}`, each such an
    /// object with `more_than`, the class that its score says the target exceeds; for classes without an order `{"classes": [..]}`, each
    /// with its `class`.
    pub fn to_json(&self) -> Value {
        let cuts: Vec<Map<String, Value>> = self.outputs.iter().map(|output| self.output_to_json(output)).collect();
        match (self.kind, cuts) {
            (TargetKind::Ordinal { classes, .. }, mut cuts) => {
                for (cut, class) in cuts.iter_mut().zip(classes) {
                    cut.insert("more_than".to_owned(), json!(class));
                }
                json!({ "cuts": cuts })
            }
            (TargetKind::Multiclass { classes, .. }, mut outputs) => {
                for (output, class) in outputs.iter_mut().zip(classes) {
                    output.insert("class".to_owned(), json!(class));
                }
                json!({ "classes": outputs })
            }
            (_, cuts) => cuts.into_iter().next().map_or(Value::Null, Value::Object),
        }
    }

    fn output_to_json(&self, output: &Contributions) -> Map<String, Value> {
        let fields = self.schema.fields.iter().zip(&output.fields);
        let contributions: Map<String, Value> = fields
            .map(|(field, value)| (field.name.clone(), json!(value)))
            .collect();
        let mut json = Map::new();
        json.insert("score".to_owned(), json!(output.score));
        json.insert("base".to_owned(), json!(output.base));
        json.insert("scale".to_owned(), json!(output.scale));
        json.insert("contributions".to_owned(), Value::Object(contributions));
        json
    }
}

/// Explains the rows of a matrix of features; `None` if some forest does not know how many training rows its nodes saw.
pub(crate) fn explain<'a>(content: &'a Content, matrix: &Matrix) -> Option<Vec<Explanation<'a>>> {
    let explainers: Vec<Explainer<'a>> = content.outputs.iter().map(Explainer::new).collect::<Option<_>>()?;
    let shares = Shares::of(&content.pipeline, &content.schema);
    let mut features = vec![0.0; matrix.columns];
    let explanations = (0..matrix.rows).map(|row| {
        let row = matrix.row(row);
        let outputs = content.outputs.iter().zip(&explainers).map(|(output, explainer)| {
            features.fill(0.0);
            let base = explainer.explain(row, &mut features);
            Contributions {
                score: output.predictor.score(row),
                base,
                scale: scale(&content.target.kind, output.link),
                fields: shares.sum(&features),
            }
        });
        Explanation {
            schema: &content.schema,
            kind: &content.target.kind,
            outputs: outputs.collect(),
        }
    });
    Some(explanations.collect())
}

/// True if [`explain`] answers.
pub(crate) fn is_explainable(content: &Content) -> bool {
    content.outputs.iter().all(|output| match &output.predictor {
        Predictor::Linear(_) => true,
        Predictor::Forest(forest) => forest.covers().is_some(),
    })
}

fn scale(kind: &TargetKind, link: Link) -> &'static str {
    match (kind, link) {
        (TargetKind::Regression { transform }, _) => match transform {
            Transform::None => "none",
            Transform::SquareRoot => "square_root",
            Transform::Logarithm => "logarithm",
        },
        (_, Link::Logistic) => "log_odds",
        (_, Link::Identity) => "probability",
    }
}

enum Explainer<'a> {
    Linear(&'a crate::predictor::Linear),
    Forest(ForestShapley<'a>),
}

impl<'a> Explainer<'a> {
    fn new(output: &'a ModelOutput) -> Option<Explainer<'a>> {
        Some(match &output.predictor {
            Predictor::Linear(linear) => Explainer::Linear(linear),
            Predictor::Forest(forest) => Explainer::Forest(ForestShapley::new(forest)?),
        })
    }

    fn explain(&self, features: &[f64], contributions: &mut [f64]) -> f64 {
        match self {
            Explainer::Linear(linear) => linear.explain(features, contributions),
            Explainer::Forest(forest) => forest.explain(features, contributions),
        }
    }
}

/// Which fields each feature is made of.
struct Shares {
    fields: usize,
    of_features: Vec<Vec<usize>>,
}

impl Shares {
    fn of(pipeline: &Pipeline, schema: &Schema) -> Shares {
        Shares {
            fields: schema.fields.len(),
            of_features: pipeline.feature_fields(schema),
        }
    }

    fn sum(&self, features: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.fields];
        for (value, fields) in features.iter().zip(&self.of_features) {
            for field in fields {
                sums[*field] += value / fields.len() as f64;
            }
        }
        sums
    }
}
