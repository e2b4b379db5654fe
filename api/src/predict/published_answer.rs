//! Answers as a published interface has them: the target's field alone, and the rest in headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer::{Answered, INTERVAL, OUTSIDE, PREDICTIONS, UNDERESTIMATED};

/// Ids of so many answers fit into a header.
const IDS: usize = 100;

/// The JSON of each answer: `field` alone.
pub fn texts(answers: &[Map<String, Value>], field: &str) -> Vec<Bytes> {
    let text = |answer: &Map<String, Value>| {
        let only: Map<String, Value> = answer
            .get(field)
            .map(|value| (field.to_owned(), value.clone()))
            .into_iter()
            .collect();
        Bytes::from(serde_json::to_vec(&only).unwrap_or_default())
    };
    answers.iter().map(text).collect()
}

/// What the body does not say: the ids of up to a hundred answers, and for one answer alone also its interval and its warnings.
pub fn headers(answered: &Answered) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    if answered.predictions.len() <= IDS {
        let ids: Vec<String> = answered
            .predictions
            .iter()
            .map(|predicted| predicted.id.to_string())
            .collect();
        add(PREDICTIONS, ids.join(", "));
    }
    if let ([answer], [predicted]) = (answered.answers.as_slice(), answered.predictions.as_slice()) {
        if let (Some(interval), Some(coverage)) = (
            predicted.prediction.interval,
            answer.get("interval").map(|interval| &interval["coverage"]),
        ) {
            add(
                INTERVAL,
                format!(
                    "lower={}, upper={}, coverage={coverage}",
                    interval.lower, interval.upper
                ),
            );
        }
        add(OUTSIDE, (predicted.outside > 0).to_string());
        if let Some(Value::Bool(may_be)) = answer.get("may_be_underestimated") {
            add(UNDERESTIMATED, may_be.to_string());
        }
    }
    headers
}
