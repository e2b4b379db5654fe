//! The model bundle: one file that holds everything an answer needs, and nothing else.
//!
//! It is a `safetensors` file with one metadata key, `ratchet`, whose JSON is the [`Header`]; the tensors are the flat
//! arrays of the predictors, the conformal residuals and the golden rows. A bundle is a pure function of training rows,
//! configuration, seed and code: no time, run, host or person is in it. Nothing in it is ever executed, and
//! [`Bundle::read`] checks every length, index and number before the first use.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answer::{Answer, Prediction};
use crate::conformal::{Interval, Residuals};
use crate::drift::Profile;
use crate::explain::Explanation;
use crate::features::Pipeline;
use crate::output::{Calibration, ModelOutput, predict};
use crate::predictor::{Forest, ForestArrays, Linear, Link, Predictor};
use crate::schema::{Column, FieldKind, FieldProblem, Known, Rows, Schema, format_timestamp};
use crate::slices::SliceRisks;
use crate::target::{Target, TargetKind};

/// The version of the format that this code writes and reads.
pub const FORMAT: u32 = 1;

const METADATA_KEY: &str = "ratchet";

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    name: String,
    description: String,
    route: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    answer_only: bool,
    simulated: bool,
    predict_at: Known,
    target: Target,
    schema: Schema,
    pipeline: Pipeline,
    candidate: String,
    outputs: Vec<OutputHeader>,
    coverage: f64,
    slices: Option<SliceRisks>,
    profile: Profile,
    window: Window,
    seed: u64,
    /// Texts and times of the golden rows, by field; their numbers are tensors.
    golden_texts: BTreeMap<String, Vec<Option<String>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputHeader {
    predictor: PredictorKind,
    link: Link,
    calibration: Option<Calibration>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PredictorKind {
    Linear,
    Forest,
}

/// A model that is ready to answer.
#[derive(Clone, Debug)]
pub struct Bundle {
    content: Content,
    offsets: Option<Interval>,
    golden: Rows,
    golden_answers: Vec<f64>,
    size: usize,
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
    /// Writes a bundle. The answers to the golden rows are computed by the model re-read from its own bytes.
    pub fn write(content: Content, golden: &Rows) -> Result<Vec<u8>, BundleError> {
        let empty = golden.select(&[]);
        let draft = Bundle::read(&encode(&content, &empty, &[])?)?;
        let predictions = draft.predict(golden);
        let answers: Vec<f64> = predictions.iter().flat_map(fingerprint).collect();
        encode(&content, golden, &answers)
    }

    /// Reads a bundle and checks all of its structure. [`Bundle::check_golden_rows`] should follow before it serves.
    pub fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(METADATA_KEY));
        let text = text.ok_or_else(|| damaged("it has no `ratchet` header"))?;
        let value: Value = serde_json::from_str(text).map_err(|error| damaged(format!("its header: {error}")))?;
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(found) => return Err(BundleError::UnknownFormat { found }),
            None => return Err(damaged("its header names no format")),
        }
        let header: Header = serde_json::from_value(value).map_err(|error| damaged(format!("its header: {error}")))?;
        let outputs = read_outputs(&header.outputs, &tensors)?;
        let golden = read_golden(&header, &tensors)?;
        let golden_answers = floats(&tensors, "golden.answers")?;
        let content = Content {
            name: header.name,
            description: header.description,
            route: header.route,
            answer_only: header.answer_only,
            simulated: header.simulated,
            predict_at: header.predict_at,
            target: header.target,
            schema: header.schema,
            pipeline: header.pipeline,
            candidate: header.candidate,
            outputs,
            residuals: {
                let values = floats(&tensors, "residuals")?;
                let residuals = Residuals::new(values.clone());
                if !residuals.is_valid() || residuals.values() != values {
                    return Err(damaged("its residuals are not sorted numbers"));
                }
                residuals
            },
            coverage: header.coverage,
            slices: header.slices,
            profile: header.profile,
            window: header.window,
            seed: header.seed,
        };
        validate(&content)?;
        let offsets = match content.target.kind {
            TargetKind::Regression { .. } => content.residuals.offsets(content.coverage),
            _ => None,
        };
        Ok(Bundle {
            content,
            offsets,
            golden,
            golden_answers,
            size: bytes.len(),
        })
    }

    /// Answers the golden rows again and compares to the last bit. Returns how many there are.
    pub fn check_golden_rows(&self) -> Result<usize, BundleError> {
        let mut expected = self.golden_answers.iter();
        for (row, prediction) in self.predict(&self.golden).iter().enumerate() {
            for value in fingerprint(prediction) {
                if expected.next().map(|expected| expected.to_bits()) != Some(value.to_bits()) {
                    return Err(BundleError::GoldenRow { row });
                }
            }
        }
        if expected.next().is_some() {
            return Err(damaged("it has more golden answers than golden rows"));
        }
        Ok(self.golden.len())
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

    /// About how much memory it takes, in bytes.
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
        let matrix = self.content.pipeline.transform(rows);
        predict(&self.content.target, &self.content.outputs, self.offsets, &matrix)
    }

    /// Full answers: prediction, slice risk, out-of-distribution fields.
    pub fn answer(&self, rows: &Rows) -> Vec<Answer<'_>> {
        let predictions = self.predict(rows).into_iter().enumerate();
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
        crate::explain::explain(&self.content, rows)
    }

    /// A request row, made of a golden row.
    pub fn example(&self) -> Map<String, Value> {
        let fields = self.content.schema.fields.iter().zip(self.golden.columns());
        let values = fields.map(|(field, column)| {
            let value = match column {
                Column::Number(values) => values.first().map_or(Value::Null, |value| Value::from(*value)),
                Column::Text(values) => values.first().cloned().flatten().map_or(Value::Null, Value::String),
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
        &self.golden
    }

    /// JSON Schema of [`Answer::to_json`].
    pub fn answer_schema(&self) -> Value {
        crate::answer::schema(&self.content.target, self.content.slices.is_some())
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

struct Tensors {
    floats: Vec<(String, Vec<u8>)>,
    integers: Vec<(String, Vec<u8>)>,
}

impl Tensors {
    fn floats(&mut self, name: impl Into<String>, values: &[f64]) {
        self.floats.push((
            name.into(),
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ));
    }

    fn integers(&mut self, name: impl Into<String>, values: &[u32]) {
        self.integers.push((
            name.into(),
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ));
    }
}

fn encode(content: &Content, golden: &Rows, golden_answers: &[f64]) -> Result<Vec<u8>, BundleError> {
    let mut tensors = Tensors {
        floats: Vec::new(),
        integers: Vec::new(),
    };
    let mut outputs = Vec::new();
    for (number, output) in content.outputs.iter().enumerate() {
        let kind = match &output.predictor {
            Predictor::Linear(linear) => {
                tensors.floats(format!("output.{number}.weights"), &linear.weights);
                tensors.floats(format!("output.{number}.fill"), &linear.fill);
                tensors.floats(format!("output.{number}.intercept"), &[linear.intercept]);
                PredictorKind::Linear
            }
            Predictor::Forest(forest) => {
                let arrays = forest.to_arrays();
                tensors.floats(format!("output.{number}.base"), &[arrays.base]);
                tensors.floats(format!("output.{number}.numbers"), &arrays.numbers);
                tensors.integers(format!("output.{number}.features"), &arrays.features);
                tensors.integers(format!("output.{number}.rights"), &arrays.rights);
                tensors.integers(format!("output.{number}.roots"), &arrays.roots);
                if let Some(covers) = &arrays.covers {
                    tensors.integers(format!("output.{number}.covers"), covers);
                }
                PredictorKind::Forest
            }
        };
        outputs.push(OutputHeader {
            predictor: kind,
            link: output.link,
            calibration: output.calibration,
        });
    }
    tensors.floats("residuals", content.residuals.values());
    tensors.floats("golden.answers", golden_answers);
    let mut golden_texts = BTreeMap::new();
    for (number, (field, column)) in content.schema.fields.iter().zip(golden.columns()).enumerate() {
        match column {
            Column::Number(values) => tensors.floats(format!("golden.{number}"), values),
            Column::Text(values) => {
                golden_texts.insert(field.name.clone(), values.clone());
            }
            Column::Timestamp(values) => {
                let texts = values.iter().map(|value| value.map(format_timestamp)).collect();
                golden_texts.insert(field.name.clone(), texts);
            }
        }
    }
    let header = Header {
        format: FORMAT,
        name: content.name.clone(),
        description: content.description.clone(),
        route: content.route.clone(),
        answer_only: content.answer_only,
        simulated: content.simulated,
        predict_at: content.predict_at,
        target: content.target.clone(),
        schema: content.schema.clone(),
        pipeline: content.pipeline.clone(),
        candidate: content.candidate.clone(),
        outputs,
        coverage: content.coverage,
        slices: content.slices.clone(),
        profile: content.profile.clone(),
        window: content.window.clone(),
        seed: content.seed,
        golden_texts,
    };
    let header = serde_json::to_string(&header).map_err(|error| damaged(error.to_string()))?;
    let floats = tensors.floats.iter().map(|(name, bytes)| (name, Dtype::F64, bytes));
    let integers = tensors.integers.iter().map(|(name, bytes)| (name, Dtype::U32, bytes));
    let mut views = Vec::new();
    for (name, dtype, bytes) in floats.chain(integers) {
        let width = if dtype == Dtype::F64 { 8 } else { 4 };
        let view = TensorView::new(dtype, vec![bytes.len() / width], bytes);
        views.push((name.as_str(), view.map_err(|error| damaged(error.to_string()))?));
    }
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), header)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| damaged(error.to_string()))
}

fn tensor<'a>(tensors: &SafeTensors<'a>, name: &str, dtype: Dtype) -> Result<&'a [u8], BundleError> {
    let view = tensors
        .tensor(name)
        .map_err(|_| damaged(format!("the tensor `{name}` is not there")))?;
    if view.dtype() != dtype || view.shape().len() != 1 {
        return Err(damaged(format!("the tensor `{name}` has another type or shape")));
    }
    Ok(view.data())
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>, BundleError> {
    let (chunks, _) = tensor(tensors, name, Dtype::F64)?.as_chunks::<8>();
    Ok(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect())
}

fn float(tensors: &SafeTensors<'_>, name: &str) -> Result<f64, BundleError> {
    match floats(tensors, name)?.as_slice() {
        [value] => Ok(*value),
        _ => Err(damaged(format!("the tensor `{name}` does not hold one number"))),
    }
}

fn integers(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<u32>, BundleError> {
    let (chunks, _) = tensor(tensors, name, Dtype::U32)?.as_chunks::<4>();
    Ok(chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect())
}

fn read_outputs(headers: &[OutputHeader], tensors: &SafeTensors<'_>) -> Result<Vec<ModelOutput>, BundleError> {
    let mut outputs = Vec::new();
    for (number, header) in headers.iter().enumerate() {
        let name = |part: &str| format!("output.{number}.{part}");
        let predictor = match header.predictor {
            PredictorKind::Linear => Predictor::Linear(Linear {
                weights: floats(tensors, &name("weights"))?,
                fill: floats(tensors, &name("fill"))?,
                intercept: float(tensors, &name("intercept"))?,
            }),
            PredictorKind::Forest => {
                let arrays = ForestArrays {
                    base: float(tensors, &name("base"))?,
                    numbers: floats(tensors, &name("numbers"))?,
                    features: integers(tensors, &name("features"))?,
                    rights: integers(tensors, &name("rights"))?,
                    roots: integers(tensors, &name("roots"))?,
                    // Earlier programs did not write it.
                    covers: match tensors.tensor(&name("covers")) {
                        Ok(_) => Some(integers(tensors, &name("covers"))?),
                        Err(_) => None,
                    },
                };
                let forest = Forest::from_arrays(arrays);
                Predictor::Forest(forest.map_err(|problem| damaged(format!("output {number}: {problem}")))?)
            }
        };
        outputs.push(ModelOutput {
            predictor,
            link: header.link,
            calibration: header.calibration,
        });
    }
    Ok(outputs)
}

fn read_golden(header: &Header, tensors: &SafeTensors<'_>) -> Result<Rows, BundleError> {
    let mut columns = Vec::new();
    for (number, field) in header.schema.fields.iter().enumerate() {
        let texts = || {
            let texts = header.golden_texts.get(&field.name);
            texts.ok_or_else(|| damaged(format!("golden rows have no `{}`", field.name)))
        };
        columns.push(match field.kind {
            FieldKind::Number => Column::Number(floats(tensors, &format!("golden.{number}"))?),
            FieldKind::Text => Column::Text(texts()?.clone()),
            FieldKind::Timestamp => {
                let parse = |text: &Option<String>| match text {
                    None => Ok(None),
                    Some(text) => match crate::schema::parse_timestamp(text) {
                        Some(seconds) => Ok(Some(seconds)),
                        None => Err(damaged(format!("a golden row's `{}` is no time", field.name))),
                    },
                };
                Column::Timestamp(texts()?.iter().map(parse).collect::<Result<_, _>>()?)
            }
        });
    }
    Rows::new(columns).ok_or_else(|| damaged("golden rows differ in length"))
}
