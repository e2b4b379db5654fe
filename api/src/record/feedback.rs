//! `POST /feedback`: what was true, by the id of the prediction.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{GivenTruth, Verdict};
use crate::access::caller;
use crate::fields::{Fields, read_json};
use crate::predict::body::ROW_LIMIT;
use crate::problem::{FieldError, Problem};
use crate::refusals::BodyRefusals;
use crate::service::Application;

/// What became of the feedback.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct FeedbackAnswer {
    /// Kept, and joined with a prediction of the log.
    joined: usize,
    /// Kept; the log has no such prediction (any more), perhaps another replica's has.
    unknown: usize,
    /// Told before in the same words; nothing changed.
    repeated: usize,
}

/// What was true.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub struct Truth {
    /// `prediction_id` of an answer.
    #[schema(format = "uuid")]
    prediction_id: String,
    /// In the terms of the answer: the number, true or false, the class.
    #[schema(value_type = Object)]
    truth: Value,
}

/// Tells what was true. The same told twice changes nothing; something else about the same prediction is refused unless the query says
/// `replace=true`. A list is kept as a whole or not at all.
#[utoipa::path(
    post, path = "/feedback", tag = "record", operation_id = "feedback",
    params(("replace" = Option<bool>, Query, description = "Whether this takes the place of what was told before")),
    request_body(content = Truth, description = "One truth, or a list of at most 10,000", content_type = "application/json"),
    responses(
        (status = 200, description = "It is kept", body = FeedbackAnswer),
        BodyRefusals,
        (status = 409, description = "Something else was told about the same prediction", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn feedback(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Json<FeedbackAnswer>, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller::required(&parts.extensions)?;
    let replace = match parts.uri.query().unwrap_or_default() {
        "" | "replace=false" => false,
        "replace=true" => true,
        _ => {
            return Err(Problem::bad_parameter(
                "the query may say `replace=true` or `replace=false`",
            ));
        }
    };
    let truths = read(read_json(&parts.headers, body).await?)?;
    let store = application.keeper.store().await;
    let store = store.map_err(|error| Problem::of_record(&error))?;
    let at = Timestamp::now().as_millisecond();
    // A client that leaves does not end it halfway.
    let told = tokio::spawn(async move {
        let verdicts = store.tell(&truths, replace, at, &caller.user.username).await;
        verdicts.map_err(|error| Problem::of_record(&error))
    });
    let verdicts = told.await.map_err(|error| {
        tracing::error!(%error, "feedback broke off");
        Problem::internal()
    })??;
    let contradicted = |(index, verdict): (usize, &Verdict)| (*verdict == Verdict::Contradicted).then_some(index);
    if let Some(first) = verdicts.iter().enumerate().find_map(contradicted) {
        return Err(Problem::conflict(format!(
            "something else was told before about the prediction at index {first}; nothing was changed, send ?replace=true to correct it"
        )));
    }
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    Ok(Json(FeedbackAnswer {
        joined: count(Verdict::Joined),
        unknown: count(Verdict::Unknown),
        repeated: count(Verdict::Repeated),
    }))
}

fn read(body: Value) -> Result<Vec<GivenTruth>, Problem> {
    let (records, single) = match body {
        Value::Object(record) => (vec![Value::Object(record)], true),
        Value::Array(records) if records.len() <= ROW_LIMIT => (records, false),
        _ => {
            let message = format!("expected an object with prediction_id and truth, or a list of at most {ROW_LIMIT}");
            return Err(Problem::invalid_fields(vec![fault("", message)], 1));
        }
    };
    let mut truths = Vec::with_capacity(records.len());
    let mut faults = Vec::new();
    for (index, record) in records.into_iter().enumerate() {
        let prefix = if single { String::new() } else { format!("/{index}") };
        match record {
            Value::Object(record) => match truth(record, &prefix) {
                Ok(truth) => truths.push(truth),
                Err(found) => faults.extend(found),
            },
            _ => faults.push(fault(&prefix, "expected an object".to_owned())),
        }
    }
    match faults.len() {
        0 => Ok(truths),
        found => Err(Problem::invalid_fields(faults, found)),
    }
}

fn truth(record: Map<String, Value>, prefix: &str) -> Result<GivenTruth, Vec<FieldError>> {
    let mut fields = Fields::new(record, prefix);
    let prediction = fields.text("prediction_id").parse::<Uuid>();
    if prediction.is_err() && !fields.has_fault("prediction_id") {
        let () = fields.refuse("prediction_id", "bad_id", "expected the prediction_id of an answer");
    }
    let truth = match fields.value("truth") {
        Value::Bool(truth) => Some(f64::from(u8::from(truth))),
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        _ => None,
    };
    if truth.is_none() {
        let () = fields.refuse("truth", "wrong_type", "expected a number, or true or false");
    }
    let faults = fields.faults();
    match (truth, prediction) {
        (Some(truth), Ok(prediction)) if faults.is_empty() => Ok(GivenTruth {
            // One spelling for each id.
            prediction: prediction.to_string(),
            truth,
        }),
        _ => Err(faults),
    }
}

fn fault(pointer: &str, message: String) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        code: "wrong_type",
        message,
    }
}
