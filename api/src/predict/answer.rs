//! From rows to the JSON of their answers, by one version of one model.

use ratchet_model::{Bundle, FieldProblem};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::body::Sent;
use crate::models::registry::{ALIAS, Served};
use crate::problem::{FieldError, LISTED, Problem};

/// Answers and what is counted about them.
#[derive(Debug)]
pub struct Answered {
    /// The body of the answer.
    pub json: Value,
    /// Number of rows.
    pub rows: u64,
    /// How many of them were unlike the training's.
    pub out_of_distribution: u64,
}

/// Answers what was sent.
///
/// # Errors
/// 422 with every fault of every row; 500 if the model answers with no finite number.
pub fn answer(served: &Served, sent: &Sent) -> Result<Answered, Problem> {
    let records: Vec<&Map<String, Value>> = match sent {
        Sent::Row(row) => vec![row],
        Sent::Rows(rows) => rows.iter().collect(),
    };
    if records.is_empty() {
        return Ok(Answered {
            json: json!({"predictions": []}),
            rows: 0,
            out_of_distribution: 0,
        });
    }
    let rows = served
        .bundle
        .parse_all(&records)
        .map_err(|_| faults(&served.bundle, sent))?;
    let model = json!({
        "name": served.name, "version": served.version.version, "digest": served.version.digest, "alias": ALIAS,
    });
    let simulated = served.bundle.simulated();
    let mut out_of_distribution = 0;
    let mut predictions = Vec::with_capacity(records.len());
    for answer in served.bundle.answer(&rows) {
        if !answer.prediction.value.is_finite() {
            tracing::error!(
                model = served.name,
                version = served.version.version,
                "the answer is no finite number"
            );
            return Err(Problem::internal());
        }
        out_of_distribution += u64::from(!answer.outside.is_empty());
        let mut json = answer.to_json();
        json.insert("model".to_owned(), model.clone());
        json.insert("prediction_id".to_owned(), Value::String(Uuid::now_v7().to_string()));
        json.insert("simulated".to_owned(), Value::Bool(simulated));
        predictions.push(Value::Object(json));
    }
    let rows = predictions.len() as u64;
    let json = match sent {
        Sent::Row(_) => predictions.pop().ok_or_else(Problem::internal)?,
        Sent::Rows(_) => json!({"predictions": predictions}),
    };
    Ok(Answered {
        json,
        rows,
        out_of_distribution,
    })
}

/// All faults, row by row.
fn faults(bundle: &Bundle, sent: &Sent) -> Problem {
    let mut listed = Vec::new();
    let mut found = 0;
    let mut note = |prefix: &str, problems: Vec<FieldProblem>| {
        found += problems.len();
        let room = LISTED.saturating_sub(listed.len());
        listed.extend(problems.into_iter().take(room).map(|problem| FieldError {
            pointer: format!("{prefix}{}", problem.pointer),
            code: problem.code,
            message: problem.message,
        }));
    };
    match sent {
        Sent::Row(row) => note("", bundle.parse(row).err().unwrap_or_default()),
        Sent::Rows(rows) => {
            for (index, row) in rows.iter().enumerate() {
                note(&format!("/{index}"), bundle.parse(row).err().unwrap_or_default());
            }
        }
    }
    Problem::invalid_fields(listed, found)
}
