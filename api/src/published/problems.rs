//! What is refused because of the engine.

use axum::http::{StatusCode, header};

use serde_json::Value;

use crate::problem::{FieldError, Problem};

impl Problem {
    /// 503: there is no engine, or it does not answer as it should. Predictions go on.
    pub fn no_engine(reason: &str) -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:ratchet:problem:no-engine",
            "the engine cannot be asked",
            format!("{reason}; predictions go on"),
        )
        .with_header(header::RETRY_AFTER, "30")
    }

    /// 404: no such run.
    pub fn unknown_run() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:ratchet:problem:unknown-run",
            "there is no such run",
            "the DAG that retrains has no run of this id; GET /retrain/logs/{limit} lists the newest",
        )
    }

    /// 422: the engine refuses some fields.
    pub fn engine_faults(refused: &Value) -> Problem {
        let faults = refused["errors"].as_array().cloned().unwrap_or_default();
        let faults: Vec<FieldError> = faults
            .iter()
            .map(|fault| FieldError {
                pointer: fault["pointer"].as_str().unwrap_or_default().to_owned(),
                code: "refused",
                message: fault["message"].as_str().unwrap_or_default().to_owned(),
            })
            .collect();
        let found = faults.len();
        Problem::invalid_fields(faults, found)
    }

    /// 422: the engine does not take the run as it is asked for.
    pub fn run_refused(reason: &str) -> Problem {
        Problem::bad_parameter(&format!("the engine refuses the run: {reason}"))
    }
}
