//! Small real bundles whose answers tell them apart.

use ratchet_model::conformal::Interval;
use ratchet_model::drift::{Profile, Season};
use ratchet_model::features::{
    FitInputs, Join, JoinColumn, JoinKey, KeyPart, LookupColumn, LookupTable, LookupTables, Matrix, Pipeline,
    StepConfig, Take,
};
use ratchet_model::predictor::{Forest, Linear, Link, Predictor, TreeNode};
use ratchet_model::{
    Bundle, Column, Content, Field, FieldKind, Known, ModelOutput, Rows, Schema, Target, TargetKind, Transform,
    UnusedField, Window,
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
    /// It adds ten times the `delay` that the lookup of this name has for the station.
    pub lookup: Option<String>,
    /// Fields that it accepts and does not read.
    pub unused: Vec<UnusedField>,
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
            lookup: None,
            unused: Vec::new(),
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
            unused: self.unused.clone(),
        };
        let rows = Rows::new(vec![
            Column::Number(vec![0.0, 50.5, 100.0]),
            Column::Text(vec![Some("Soho".into()), Some("Euston".into()), None]),
            Column::Timestamp(vec![Some(0), Some(3600), Some(7200)]),
        ])
        .unwrap();
        let delay = self.lookup.is_some().then(|| "stations.delay".to_owned());
        let config = [StepConfig::Number {
            fields: ["easting".to_owned()].into_iter().chain(delay).collect(),
        }];
        let inputs = FitInputs {
            target: &[1.0, 2.0, 3.0],
            folds: &[0, 1, 2],
            predict_at: Known::Call,
        };
        let (pipeline, matrix) =
            Pipeline::fit(&config, &self.joins(), &schema, &rows, &LookupTables::new(), &inputs).unwrap();
        let linear = Linear {
            weights: [1.0, 10.0][..matrix.columns].to_vec(),
            fill: vec![0.0; matrix.columns],
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

    fn joins(&self) -> Vec<Join> {
        let join = self.lookup.iter().map(|lookup| Join {
            name: "stations".to_owned(),
            lookup: lookup.clone(),
            key: vec![JoinKey {
                column: "station".to_owned(),
                field: 1,
                part: KeyPart::Field,
                kind: FieldKind::Text,
            }],
            at: None,
            tolerance: None,
            columns: vec![JoinColumn {
                name: "stations.delay".to_owned(),
                column: "delay".to_owned(),
                take: Take::Value,
                kind: FieldKind::Number,
                known: Known::Call,
            }],
        });
        join.collect()
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
        Bundle::write(content, &golden, &LookupTables::new()).unwrap()
    }
}

/// A bundle whose `easting` is small at midnight and great at noon; with seasons, or without.
pub fn noon_and_midnight(season: Option<Season>) -> Vec<u8> {
    let (mut content, golden) = TestBundle::new("alpha", 0.5).content();
    let hours = |row: i64| if row % 2 == 0 { 0 } else { 12 };
    let training = Rows::new(vec![
        Column::Number((0..2000).map(|row| (hours(row) * 8 + row % 11) as f64).collect()),
        Column::Text(vec![Some("Soho".into()); 2000]),
        Column::Timestamp(
            (0..2000)
                .map(|row| Some(row % 300 * 86_400 + hours(row) * 3600))
                .collect(),
        ),
    ])
    .unwrap();
    let none = (&Column::Timestamp(Vec::new()), [].as_slice());
    content.profile = Profile::learn(&training, 1_000_000);
    if let Some(season) = season {
        content.profile = content.profile.with_seasons(season, 2, &training, none);
    }
    Bundle::write(content, &golden, &LookupTables::new()).unwrap()
}

/// The file of a lookup of stations, with a number under `column`.
pub fn stations(column: &str, rows: &[(&str, f64)]) -> Vec<u8> {
    let values = |name: &str, values| LookupColumn {
        name: name.to_owned(),
        known: Some(Known::Call),
        values,
    };
    let names = rows.iter().map(|(name, _)| Some((*name).into())).collect();
    let numbers = rows.iter().map(|(_, number)| *number).collect();
    let columns = vec![
        values("station", Column::Text(names)),
        values(column, Column::Number(numbers)),
    ];
    LookupTable::new(vec!["station".to_owned()], None, columns)
        .unwrap()
        .write()
        .unwrap()
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
