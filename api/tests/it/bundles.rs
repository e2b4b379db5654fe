//! Small real bundles whose answers tell them apart.

use std::collections::BTreeMap;

use ratchet_model::conformal::Interval;
use ratchet_model::drift::Profile;
use ratchet_model::features::{FitInputs, Matrix, Pipeline, StepConfig};
use ratchet_model::predictor::{Forest, Linear, Link, Predictor, TreeNode};
use ratchet_model::{
    Bundle, Column, Content, Field, FieldKind, Known, ModelOutput, Rows, Schema, Target, TargetKind, Transform, Window,
};

/// A bundle that answers `seconds = base + easting`.
pub struct TestBundle {
    pub name: String,
    pub route: Option<String>,
    pub base: f64,
    pub simulated: bool,
    pub answer: String,
    pub answer_only: bool,
    /// A tree adds 10 from 50 on; it knows how many training rows it saw, or not.
    pub tree: Option<bool>,
}

impl TestBundle {
    pub fn new(name: &str, base: f64) -> TestBundle {
        TestBundle {
            name: name.to_owned(),
            route: None,
            base,
            simulated: false,
            answer: "seconds".to_owned(),
            answer_only: false,
            tree: None,
        }
    }

    pub fn at(self, route: &str) -> TestBundle {
        TestBundle {
            route: Some(route.to_owned()),
            ..self
        }
    }

    pub fn content(&self) -> (Content, Rows) {
        let field = |name: &str, kind, nullable| Field {
            name: name.to_owned(),
            kind,
            known: Known::Call,
            nullable,
        };
        let schema = Schema {
            fields: vec![
                field("easting", FieldKind::Number, false),
                field("station", FieldKind::Text, true),
                field("called_at", FieldKind::Timestamp, false),
            ],
        };
        let rows = Rows::new(vec![
            Column::Number(vec![0.0, 50.5, 100.0]),
            Column::Text(vec![Some("Soho".to_owned()), Some("Euston".to_owned()), None]),
            Column::Timestamp(vec![Some(0), Some(3600), Some(7200)]),
        ])
        .unwrap();
        let config = [StepConfig::Number {
            fields: vec!["easting".to_owned()],
        }];
        let inputs = FitInputs {
            target: &[1.0, 2.0, 3.0],
            folds: &[0, 1, 2],
            lookups: &BTreeMap::new(),
            predict_at: Known::Call,
        };
        let (pipeline, matrix) = Pipeline::fit(&config, &schema, &rows, &inputs).unwrap();
        let linear = Linear {
            weights: vec![1.0],
            fill: vec![0.0],
            intercept: self.base,
        };
        let content = Content {
            name: self.name.clone(),
            description: "A model for tests.".to_owned(),
            route: self.route.clone(),
            answer_only: self.answer_only,
            simulated: self.simulated,
            predict_at: Known::Call,
            target: Target {
                column: "seconds".to_owned(),
                kind: TargetKind::Regression {
                    transform: Transform::None,
                },
                answer: self.answer.clone(),
            },
            schema,
            pipeline,
            candidate: "linear".to_owned(),
            outputs: vec![ModelOutput {
                predictor: match self.tree {
                    None => Predictor::Linear(linear),
                    Some(covers) => Predictor::Forest(self.forest(covers, &matrix)),
                },
                link: Link::Identity,
                calibration: None,
            }],
            residuals: Default::default(),
            coverage: 0.9,
            slices: None,
            profile: Profile::learn(&rows, 1_000_000),
            window: Window::default(),
            seed: 1,
        };
        (content, rows)
    }

    fn forest(&self, covers: bool, features: &Matrix) -> Forest {
        let split = TreeNode::Split {
            feature: 0,
            threshold: 50.0,
            left: 1,
            right: 2,
            missing_left: true,
        };
        let tree = vec![split, TreeNode::Leaf { value: 0.0 }, TreeNode::Leaf { value: 10.0 }];
        let mut forest = Forest::new(self.base, &[tree]).unwrap();
        if covers {
            forest.count_covers(features);
        }
        forest
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (content, golden) = self.content();
        Bundle::write(content, &golden).unwrap()
    }
}

/// Flips the lowest bit of the last golden answer, which leaves the structure whole.
pub fn with_another_golden_answer(bytes: &[u8]) -> Vec<u8> {
    let bundle = Bundle::read(bytes).unwrap();
    let answers: Vec<u8> = bundle
        .predict(bundle.golden_rows())
        .iter()
        .flat_map(|prediction| {
            let Interval { lower, upper } = prediction.interval.unwrap_or(Interval {
                lower: f64::NAN,
                upper: f64::NAN,
            });
            let values = [prediction.value, lower, upper];
            values
                .into_iter()
                .filter(|value| !value.is_nan())
                .flat_map(f64::to_le_bytes)
                .collect::<Vec<u8>>()
        })
        .collect();
    let place = bytes
        .windows(answers.len())
        .position(|window| window == answers)
        .unwrap();
    let mut changed = bytes.to_vec();
    changed[place + answers.len() - 8] ^= 1;
    changed
}
