//! Errors over HTTP: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_artifacts::{BucketError, PromotionError};
use ratchet_runtime::{EngineError, StoreError};
use serde_json::json;

/// A refusal with its reason.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// The thing is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            detail: detail.into(),
        }
    }

    /// What was asked for is wrong.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            detail: detail.into(),
        }
    }

    /// The path is there, the method is not.
    pub(crate) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            detail: "this path is read with GET".to_owned(),
        }
    }

    /// A store is away or damaged.
    fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: detail.into(),
        }
    }

    /// A fault of this program.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(status = self.status.as_u16(), detail = self.detail);
        }
        let body = Json(json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        }));
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::UnknownRun { .. } | EngineError::UnknownTask { .. } => Self::not_found(error.to_string()),
            EngineError::Store(error) => error.into(),
            EngineError::Bucket(error) => error.into(),
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ambiguous { .. } => Self::bad_request(error.to_string()),
            other => Self::unavailable(other.to_string()),
        }
    }
}

impl From<BucketError> for Problem {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::InvalidName { .. } => Self::bad_request(error.to_string()),
            other => Self::unavailable(other.to_string()),
        }
    }
}

impl From<PromotionError> for Problem {
    fn from(error: PromotionError) -> Self {
        Self::unavailable(error.to_string())
    }
}
