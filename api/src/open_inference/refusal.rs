//! Errors in the protocol's own shape.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// What went wrong with a request under `/v2`. Values that were sent are never repeated in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Refusal {
    /// The reason, with the remedy.
    #[schema(example = "the input 'easting' has 2 values, its shape says 3")]
    pub error: String,
    /// The problem that it comes from, for its status and header.
    #[serde(skip)]
    problem: Option<Box<Problem>>,
    #[serde(skip)]
    status: StatusCode,
}

impl Refusal {
    /// 400: the request is not what the protocol or the model asks for.
    pub fn bad(error: impl Into<String>) -> Refusal {
        Refusal {
            error: error.into(),
            problem: None,
            status: StatusCode::BAD_REQUEST,
        }
    }

    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// 404: no such model, version or path.
    pub fn not_found(error: impl Into<String>) -> Refusal {
        Refusal {
            status: StatusCode::NOT_FOUND,
            ..Refusal::bad(error)
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        let mut error = problem.detail.clone();
        for fault in problem.errors.iter().take(10) {
            error.push_str(&format!("; {}: {}", fault.pointer, fault.message));
        }
        Refusal {
            error,
            status: StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            problem: Some(Box::new(problem)),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response {
        let header = self.problem.take().and_then(|problem| problem.extra_header());
        let mut response = (self.status, Json(self)).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
