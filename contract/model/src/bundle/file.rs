//! The file of a bundle: one metadata key with the header, and tensors.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BundleError, Content, FORMAT, Golden, Window, damaged};
use crate::conformal::Residuals;
use crate::drift::Profile;
use crate::features::Pipeline;
use crate::output::{Calibration, ModelOutput};
use crate::predictor::{Forest, ForestArrays, Linear, Link, Predictor};
use crate::schema::{Column, FieldKind, Known, Rows, Schema, format_timestamp};
use crate::slices::SliceRisks;
use crate::target::Target;

const METADATA_KEY: &str = "ratchet";

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
    golden_texts: BTreeMap<String, Vec<Option<Arc<str>>>>,
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

/// The bytes of a bundle; `golden` holds what lookups added, too.
pub(super) fn encode(content: &Content, golden: &Rows, golden_answers: &[f64]) -> Result<Vec<u8>, BundleError> {
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
    let fields = content.pipeline.fields(&content.schema).fields;
    for (number, (field, column)) in fields.iter().zip(golden.columns()).enumerate() {
        match column {
            Column::Number(values) => tensors.floats(format!("golden.{number}"), values),
            Column::Text(values) => {
                golden_texts.insert(field.name.clone(), values.clone());
            }
            Column::Timestamp(values) => {
                let texts = values
                    .iter()
                    .map(|value| value.map(|value| format_timestamp(value).into()))
                    .collect();
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

/// Reads the parts of a bundle. What they say is checked elsewhere.
pub(super) fn decode(bytes: &[u8]) -> Result<(Content, Golden), BundleError> {
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
    let values = floats(&tensors, "residuals")?;
    let residuals = Residuals::new(values.clone());
    if !residuals.is_valid() || residuals.values() != values {
        return Err(damaged("its residuals are not sorted numbers"));
    }
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
        residuals,
        coverage: header.coverage,
        slices: header.slices,
        profile: header.profile,
        window: header.window,
        seed: header.seed,
    };
    Ok((content, golden))
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

fn read_golden(header: &Header, tensors: &SafeTensors<'_>) -> Result<Golden, BundleError> {
    let mut columns = Vec::new();
    for (number, field) in header.pipeline.fields(&header.schema).fields.iter().enumerate() {
        let texts = || {
            let texts = header.golden_texts.get(&field.name);
            texts.ok_or_else(|| damaged(format!("golden rows have no `{}`", field.name)))
        };
        columns.push(match field.kind {
            FieldKind::Number => Column::Number(floats(tensors, &format!("golden.{number}"))?),
            FieldKind::Text => Column::Text(texts()?.clone()),
            FieldKind::Timestamp => {
                let parse = |text: &Option<Arc<str>>| match text {
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
    let joined = Rows::new(columns).ok_or_else(|| damaged("golden rows differ in length"))?;
    Ok(Golden {
        asked: joined.first(header.schema.fields.len()),
        joined,
        answers: floats(tensors, "golden.answers")?,
    })
}
