//! An inference request: its tensors turned into the rows that `/predict` would be sent.

use ratchet_model::Schema;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::tensor::Tensor;
use crate::predict::body::ROW_LIMIT;
use crate::problem::Problem;

/// What is asked.
#[derive(Debug)]
pub struct InferRequest {
    /// Comes back with the answer.
    pub id: Option<String>,
    /// Whether the request's parameters ask for contributions.
    pub explain: bool,
    /// Whether outputs come in bytes where nothing else is said.
    pub binary_outputs: bool,
    /// The outputs that are wanted, and whether each comes in bytes; all if none is named.
    pub outputs: Vec<(String, Option<bool>)>,
    /// True if the tensors have the shape `[n, 1]`.
    pub upright: bool,
    /// One record per row.
    pub records: Vec<Map<String, Value>>,
}

impl InferRequest {
    /// Reads a request: JSON of `json_length` bytes, or the whole body, and the tensors in bytes behind it.
    ///
    /// # Errors
    /// 400 with what is wrong; fields of the model that no input names and the other way around are all named at once.
    pub fn read(body: &[u8], json_length: Option<usize>, schema: &Schema) -> Result<InferRequest, Refusal> {
        let (json, mut binary) = body
            .split_at_checked(json_length.unwrap_or(body.len()))
            .ok_or_else(|| Refusal::bad("Inference-Header-Content-Length is longer than the body"))?;
        let request: Value = serde_json::from_slice(json).map_err(|error| Problem::broken_json(&error))?;
        let list = |key: &str| match request.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                let objects: Option<Vec<_>> = items.iter().map(Value::as_object).collect();
                objects.ok_or_else(|| Refusal::bad(format!("`{key}` has to be a list of objects")))
            }
            Some(_) => Err(Refusal::bad(format!("`{key}` has to be a list of objects"))),
        };
        let tensors = list("inputs")?
            .into_iter()
            .map(|input| Tensor::read(input, &mut binary));
        let tensors: Vec<Tensor> = tensors.collect::<Result<_, _>>()?;
        if !binary.is_empty() {
            return Err(Refusal::bad(format!("{} bytes follow the last input", binary.len())));
        }
        check_names(&tensors, schema)?;
        let outputs = list("outputs")?.into_iter().map(|output| match output.get("name") {
            Some(Value::String(name)) => Ok((name.clone(), parameter(output, "binary_data"))),
            _ => Err(Refusal::bad("an output has no name")),
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        let whole = request.as_object();
        let flag = |name: &str| whole.and_then(|request| parameter(request, name)).unwrap_or(false);
        Ok(InferRequest {
            id: match request.get("id") {
                None | Some(Value::Null) => None,
                Some(Value::String(id)) => Some(id.clone()),
                Some(_) => return Err(Refusal::bad("`id` has to be a text")),
            },
            explain: flag("explain"),
            binary_outputs: flag("binary_data_output"),
            outputs,
            upright: tensors.first().is_some_and(|tensor| tensor.upright),
            records: records(tensors)?,
        })
    }
}

fn parameter(object: &Map<String, Value>, name: &str) -> Option<bool> {
    object.get("parameters")?.get(name)?.as_bool()
}

/// Every field has to have one input, and every input a field.
fn check_names(tensors: &[Tensor], schema: &Schema) -> Result<(), Refusal> {
    let mut problems = Vec::new();
    for (number, tensor) in tensors.iter().enumerate() {
        if schema.kind_of(&tensor.name).is_none() {
            problems.push(format!("the model has no field '{}'", tensor.name));
        }
        if tensors[..number].iter().any(|earlier| earlier.name == tensor.name) {
            problems.push(format!("the input '{}' comes twice", tensor.name));
        }
    }
    for field in &schema.fields {
        if !tensors.iter().any(|tensor| tensor.name == field.name) {
            problems.push(format!("the input '{}' is missing", field.name));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Refusal::bad(problems.join("; "))),
    }
}

fn records(tensors: Vec<Tensor>) -> Result<Vec<Map<String, Value>>, Refusal> {
    let rows = tensors.first().map_or(0, |tensor| tensor.values.len());
    if let Some(other) = tensors.iter().find(|tensor| tensor.values.len() != rows) {
        let (name, found) = (&other.name, other.values.len());
        return Err(Refusal::bad(format!(
            "the input '{name}' has {found} rows, the first input has {rows}; all have to have as many"
        )));
    }
    if rows > ROW_LIMIT {
        return Err(Refusal::bad(format!(
            "the inputs have {rows} rows; send at most {ROW_LIMIT} at once"
        )));
    }
    let mut records = vec![Map::new(); rows];
    for tensor in tensors {
        for (record, value) in records.iter_mut().zip(tensor.values) {
            record.insert(tensor.name.clone(), value);
        }
    }
    Ok(records)
}
