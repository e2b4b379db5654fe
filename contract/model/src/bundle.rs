//! The model bundle: one file that holds everything an answer needs, and nothing else.
//!
//! It is a `safetensors` file with one metadata key, `ratchet`, whose JSON is its header; the tensors are the flat
//! arrays of the predictors, the conformal residuals and the golden rows. A bundle is a pure function of training rows,
//! configuration, seed and code: no time, run, host or person is in it. Nothing in it is ever executed, and
//! [`Bundle::read`] checks every length, index and number before the first use.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answer::{Answer, Prediction};
use crate::conformal::{Interval, Residuals};
use crate::drift::Profile;
use crate::explain::Explanation;
use crate::features::{LookupTable, LookupTables, Matrix, Pipeline};
use crate::output::{ModelOutput, predict};
use crate::schema::{Column, FieldProblem, Known, Rows, Schema, format_timestamp};
use crate::slices::SliceRisks;
use crate::target::{Target, TargetKind};

mod file;

/// The version of the format that this code writes and reads.
pub const FORMAT: u32 = 1;

/// Why a bundle cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes are not a bundle, or a part of it makes no sense.
    #[error("the bundle is damaged: {0}")]
    Damaged(String),
    /// Written by another version of the format.
    #[error("the bundle has format {found}, this program reads format {FORMAT}; update the program")]
    UnknownFormat {
        /// What it says.
        found: u64,
    },
    /// A lookup that the model reads cannot be used.
    #[error("the lookup `{lookup}` {problem}")]
    Lookup {
        /// Its name.
        lookup: String,
        /// What is wrong.
        problem: String,
    },
    /// The predictor does not answer as it did in training.
    #[error("golden row {row}: the answer is not the one given in training; the file or the program was changed")]
    GoldenRow {
        /// Position of the row.
        row: usize,
    },
}

fn damaged(problem: impl Into<String>) -> BundleError {
    BundleError::Damaged(problem.into())
}

/// The rows that trained a model, by their time column, in seconds of the civil calendar; without a time, by the
/// hash of their key, which puts a row at a place from 0 to a million that it keeps in every version of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Column that says when a row happened; empty if `key` is not.
    pub time: String,
    /// Columns whose hash places a row; empty if `time` is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// First row.
    pub from: i64,
    /// Rows before this instant trained the model.
    pub until: i64,
    /// Rows from this instant up to `until` chose the candidate and calibrated it.
    pub validation_from: i64,
    /// Rows from `until` up to this instant are the holdout.
    pub holdout_until: i64,
}

/// Everything that training decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Name of the model.
    pub name: String,
    /// For people.
    pub description: String,
    /// Path that the model answers at, such as `/predict/time_pump`.
    pub route: Option<String>,
    /// True if an answer is the target's field alone, as some published interface has it.
    pub answer_only: bool,
    /// True if any training row was simulated.
    pub simulated: bool,
    /// When it answers.
    pub predict_at: Known,
    /// What it predicts.
    pub target: Target,
    /// Fields of a request.
    pub schema: Schema,
    /// From fields to features.
    pub pipeline: Pipeline,
    /// Which candidate it is: `linear`, `tree`, `boosting`.
    pub candidate: String,
    /// From features to scores.
    pub outputs: Vec<ModelOutput>,
    /// Residuals of the validation rows, on the training scale; empty for classes.
    pub residuals: Residuals,
    /// Share of new rows that an interval should hold.
    pub coverage: f64,
    /// Where the model is known to underestimate.
    pub slices: Option<SliceRisks>,
    /// What the training rows look like.
    pub profile: Profile,
    /// Which rows trained it.
    pub window: Window,
    /// Seed of the training.
    pub seed: u64,
}

/// A model that is ready to answer.
#[derive(Clone, Debug)]
pub struct Bundle {
    content: Arc<Content>,
    lookups: LookupTables,
    offsets: Option<Interval>,
    golden: Arc<Golden>,
    size: usize,
}

/// Rows with the answers given in training.
#[derive(Clone, Debug)]
struct Golden {
    /// As requests have them.
    asked: Rows,
    /// The same rows with what lookups added.
    joined: Rows,
    answers: Vec<f64>,
}

/// Values that a golden row's answer is compared by: the value and both ends of its interval, or the probabilities.
fn fingerprint(prediction: &Prediction) -> Vec<f64> {
    let interval = prediction.interval.map(|interval| [interval.lower, interval.upper]);
    let mut values = vec![prediction.value];
    values.extend(interval.into_iter().flatten());
    values.extend(&prediction.probabilities);
    values
}

impl Bundle {
    /// Writes a bundle. The answers to the golden rows are computed by the model re-read from its own bytes; what `lookups`
    /// add to these rows is kept with them.
    pub fn write(content: Content, golden: &Rows, lookups: &LookupTables) -> Result<Vec<u8>, BundleError> {
        let joined = content.pipeline.join(golden, lookups).rows;
        let empty = joined.select(&[]);
        let draft = Bundle::read(&file::encode(&content, &empty, &[])?)?;
        let matrix = draft.content.pipeline.transform(&joined);
        let answers: Vec<f64> = draft.predict_features(&matrix).iter().flat_map(fingerprint).collect();
        file::encode(&content, &joined, &answers)
    }

    /// Reads a bundle and checks all of its structure. [`Bundle::check_golden_rows`] should follow before it serves.
    ///
    /// If it reads lookups, [`Bundle::with_lookups`] has to follow too: without their tables everything that they would
    /// add is missing.
    pub fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let (content, golden) = file::decode(bytes)?;
        validate(&content)?;
        let offsets = match content.target.kind {
            TargetKind::Regression { .. } => content.residuals.offsets(content.coverage),
            _ => None,
        };
        Ok(Bundle {
            content: Arc::new(content),
            lookups: LookupTables::new(),
            offsets,
            golden: Arc::new(golden),
            size: bytes.len(),
        })
    }

    /// The same model, with these tables for the lookups that it reads. Cheap: the model itself is shared.
    ///
    /// # Errors
    /// A lookup that is not there, or that has not what the model reads.
    pub fn with_lookups(&self, tables: &LookupTables) -> Result<Bundle, BundleError> {
        let mut lookups = LookupTables::new();
        for join in self.content.pipeline.joins() {
            let unfit = |problem: &str| BundleError::Lookup {
                lookup: join.lookup.clone(),
                problem: problem.to_owned(),
            };
            let table = tables
                .get(&join.lookup)
                .ok_or_else(|| unfit("is not there; publish it with `publish.lookup`"))?;
            join.fits(table).map_err(|problem| unfit(&problem))?;
            lookups.insert(join.lookup.clone(), table.clone());
        }
        Ok(Bundle {
            lookups,
            ..self.clone()
        })
    }

    /// Whether a table has what the model reads of the lookup of that name.
    ///
    /// # Errors
    /// What it has not.
    pub fn accepts(&self, lookup: &str, table: &LookupTable) -> Result<(), String> {
        let mut joins = self.content.pipeline.joins().iter();
        joins.try_for_each(|join| {
            if join.lookup == lookup {
                join.fits(table)
            } else {
                Ok(())
            }
        })
    }

    /// The lookups that it reads, as features call them and under which names they are published.
    pub fn lookups(&self) -> impl Iterator<Item = (&str, &str)> {
        let joins = self.content.pipeline.joins().iter();
        joins.map(|join| (join.name.as_str(), join.lookup.as_str()))
    }

    /// Answers the golden rows again and compares to the last bit. Returns how many there are. They hold what lookups said in
    /// training, so that a lookup that moved on changes nothing.
    pub fn check_golden_rows(&self) -> Result<usize, BundleError> {
        let mut expected = self.golden.answers.iter();
        let matrix = self.content.pipeline.transform(&self.golden.joined);
        for (row, prediction) in self.predict_features(&matrix).iter().enumerate() {
            for value in fingerprint(prediction) {
                if expected.next().map(|expected| expected.to_bits()) != Some(value.to_bits()) {
                    return Err(BundleError::GoldenRow { row });
                }
            }
        }
        if expected.next().is_some() {
            return Err(damaged("it has more golden answers than golden rows"));
        }
        Ok(self.golden.joined.len())
    }

    /// Everything that training decided.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.content.name
    }

    /// For people.
    pub fn description(&self) -> &str {
        &self.content.description
    }

    /// The path that the model declares.
    pub fn route(&self) -> Option<&str> {
        self.content.route.as_deref()
    }

    /// True if an answer is the target's field alone.
    pub fn answer_only(&self) -> bool {
        self.content.answer_only
    }

    /// True if any training row was simulated.
    pub fn simulated(&self) -> bool {
        self.content.simulated
    }

    /// Fields of a request.
    pub fn schema(&self) -> &Schema {
        &self.content.schema
    }

    /// About how much memory it takes without the tables of its lookups, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.size
            + self
                .content
                .outputs
                .iter()
                .map(|output| output.predictor.memory_bytes())
                .sum::<usize>()
    }

    /// Reads one request row.
    pub fn parse(&self, record: &Map<String, Value>) -> Result<Rows, Vec<FieldProblem>> {
        self.content.schema.parse(&[record])
    }

    /// Reads request rows; a fault's pointer starts with the row's index when there are several.
    pub fn parse_all(&self, records: &[&Map<String, Value>]) -> Result<Rows, Vec<FieldProblem>> {
        self.content.schema.parse(records)
    }

    /// Predictions alone, as training and comparison need them.
    pub fn predict(&self, rows: &Rows) -> Vec<Prediction> {
        self.predict_features(&self.features(rows))
    }

    fn predict_features(&self, features: &Matrix) -> Vec<Prediction> {
        predict(&self.content.target, &self.content.outputs, self.offsets, features)
    }

    /// What the predictors read of rows.
    pub fn features(&self, rows: &Rows) -> Matrix {
        self.features_and_unmatched(rows).0
    }

    /// What the predictors read of rows, and which of the rows lookups have nothing for, per lookup.
    pub fn features_and_unmatched(&self, rows: &Rows) -> (Matrix, Vec<Vec<bool>>) {
        self.content.pipeline.features_of(rows, &self.lookups)
    }

    /// Full answers: prediction, slice risk, out-of-distribution fields.
    pub fn answer(&self, rows: &Rows) -> Vec<Answer<'_>> {
        let (matrix, unmatched) = self.features_and_unmatched(rows);
        let predictions = self.predict_features(&matrix).into_iter().enumerate();
        let answers = predictions.map(|(row, prediction)| {
            let risk = self.content.slices.as_ref().map(|slices| {
                let value = match &rows.columns()[slices.field] {
                    Column::Text(values) => values[row].as_deref(),
                    _ => None,
                };
                slices.risk(value)
            });
            let outside = self.content.profile.out_of_distribution(rows, row);
            let outside = outside
                .into_iter()
                .map(|field| self.content.schema.fields[field].name.as_str())
                .collect();
            Answer {
                target: &self.content.target,
                coverage: self.content.coverage,
                prediction,
                risk,
                outside,
                unmatched: (!unmatched.is_empty()).then(|| {
                    let joins = self.content.pipeline.joins().iter().zip(&unmatched);
                    joins
                        .filter(|(_, rows)| rows[row])
                        .map(|(join, _)| join.lookup.as_str())
                        .collect()
                }),
            }
        });
        answers.collect()
    }

    /// Whether [`Bundle::explain`] answers: linear models always, forests if the bundle holds how many training rows each node saw,
    /// which those of earlier programs do not.
    pub fn is_explainable(&self) -> bool {
        crate::explain::is_explainable(&self.content)
    }

    /// What each field contributed to the scores of each row; `None` unless [`Bundle::is_explainable`].
    pub fn explain(&self, rows: &Rows) -> Option<Vec<Explanation<'_>>> {
        crate::explain::explain(&self.content, &self.features(rows))
    }

    /// A request row, made of a golden row.
    pub fn example(&self) -> Map<String, Value> {
        let fields = self.content.schema.fields.iter().zip(self.golden.asked.columns());
        let values = fields.map(|(field, column)| {
            let value = match column {
                Column::Number(values) => values.first().map_or(Value::Null, |value| Value::from(*value)),
                Column::Text(values) => values
                    .first()
                    .cloned()
                    .flatten()
                    .map_or(Value::Null, |text| text.as_ref().into()),
                Column::Timestamp(values) => {
                    let first = values.first().copied().flatten();
                    first.map_or(Value::Null, |seconds| Value::String(format_timestamp(seconds)))
                }
            };
            (field.name.clone(), value)
        });
        values.collect()
    }

    /// The golden rows, for warming up.
    pub fn golden_rows(&self) -> &Rows {
        &self.golden.asked
    }

    /// JSON Schema of [`Answer::to_json`].
    pub fn answer_schema(&self) -> Value {
        let lookups = !self.content.pipeline.joins().is_empty();
        crate::answer::schema(&self.content.target, self.content.slices.is_some(), lookups)
    }
}

fn validate(content: &Content) -> Result<(), BundleError> {
    content
        .target
        .validate()
        .map_err(|problem| damaged(format!("its target: {problem}")))?;
    content
        .pipeline
        .validate(&content.schema)
        .map_err(|problem| damaged(problem.to_string()))?;
    if content.outputs.len() != content.target.outputs() {
        let (found, wanted) = (content.outputs.len(), content.target.outputs());
        return Err(damaged(format!("it has {found} outputs, its target takes {wanted}")));
    }
    for (number, output) in content.outputs.iter().enumerate() {
        let checked = output.predictor.validate(content.pipeline.features().len());
        checked.map_err(|problem| damaged(format!("output {number}: {problem}")))?;
        if output
            .calibration
            .is_some_and(|calibration| !calibration.slope.is_finite() || !calibration.shift.is_finite())
        {
            return Err(damaged(format!("output {number}: its calibration is not finite")));
        }
    }
    if !content.profile.fits(&content.schema) {
        return Err(damaged("its profile does not fit its fields"));
    }
    if !(0.0..1.0).contains(&content.coverage) {
        return Err(damaged("its coverage is not a share"));
    }
    if content
        .slices
        .as_ref()
        .is_some_and(|slices| slices.field >= content.schema.fields.len())
    {
        return Err(damaged("its slices read a field beyond the schema"));
    }
    Ok(())
}
