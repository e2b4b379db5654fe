//! `GET /metrics`: what `GET /metrics/prometheus` says, as JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::service::Application;

/// All metrics.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricList {
    /// In the order of the text format.
    metrics: Vec<MetricValue>,
}

/// One value.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricValue {
    /// Name, with the unit at its end.
    #[schema(example = "ratchet_api_requests_total")]
    name: String,
    /// What tells it apart from others of the name.
    #[schema(value_type = Object)]
    labels: Map<String, Value>,
    /// Its value; null if it is no number.
    value: Option<f64>,
}

/// All metrics as JSON.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics_json",
    responses((status = 200, description = "All metrics", body = MetricList))
)]
pub async fn metrics(State(application): State<Arc<Application>>) -> Result<Json<MetricList>, Problem> {
    let text = application.telemetry.text().ok_or_else(Problem::internal)?;
    Ok(Json(MetricList {
        metrics: text.lines().filter_map(read).collect(),
    }))
}

/// A line of the text format: `name{label="value",...} 1.5`; none for comments.
fn read(line: &str) -> Option<MetricValue> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse::<f64>().ok().filter(|value| value.is_finite());
    let (name, inner) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    Some(MetricValue {
        name: name.to_owned(),
        labels: labels(inner),
        value,
    })
}

fn labels(text: &str) -> Map<String, Value> {
    let mut labels = Map::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once("=\"") {
        let mut read = String::new();
        let mut letters = value.char_indices();
        let mut end = value.len();
        while let Some((place, letter)) = letters.next() {
            match letter {
                '"' => {
                    end = place + 1;
                    break;
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => read.push('\n'),
                    Some((_, escaped)) => read.push(escaped),
                    None => {}
                },
                letter => read.push(letter),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), json!(read));
        rest = &value[end..];
    }
    labels
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lines_become_values_with_their_labels() {
        let metric = read(r#"a_total{route="/x",field="odd \"name\"\n, so",code="200"} 3"#).unwrap();
        assert_eq!((metric.name.as_str(), metric.value), ("a_total", Some(3.0)));
        let expected = json!({"route": "/x", "field": "odd \"name\"\n, so", "code": "200"});
        assert_eq!(Value::Object(metric.labels), expected);
        assert_eq!(read("plain 0.5").unwrap().value, Some(0.5));
        assert_eq!(read("plain NaN").unwrap().value, None);
        assert_eq!(read("# EOF"), None);
    }
}
