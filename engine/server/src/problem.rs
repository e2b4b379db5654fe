//! Errors over HTTP: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_artifacts::{BucketError, PromotionError};
use ratchet_runtime::{EngineError, PromoteError, StoreError};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// A refusal with its reason.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Fault>,
    header: Option<(HeaderName, String)>,
}

/// One fault in what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// JSON pointer into the body.
    #[schema(example = "/reason")]
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) message: String,
}

/// What went wrong with a request.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// This problem in words, with the remedy.
    detail: String,
    /// One entry for each fault in the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// What every route with a JSON body may refuse before it reads a field.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "described here, answered by `Body::read`")]
pub(crate) enum BodyProblems {
    /// The body is too long
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(ProblemDocument),
    /// The body is not declared as JSON
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemDocument),
}

/// What a route may refuse once it has read the fields, where there is no more to say of it.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "described here, answered by `Body::finish`")]
pub(crate) enum FieldProblems {
    /// Some fields are not valid; all are named
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemDocument),
}

impl Problem {
    /// A refusal with this status.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            header: None,
        }
    }

    fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    /// Why, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The thing is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What was asked for is wrong.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The path is there, the method is not.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not have this method; GET /api/v1/openapi.json shows which it has",
        )
    }

    /// No token, or one that does not hold.
    pub(crate) fn unauthorized(reason: Option<String>) -> Self {
        let (challenge, detail) = match reason {
            Some(reason) => (r#"Bearer realm="ratchet", error="invalid_token""#, reason),
            None => (
                r#"Bearer realm="ratchet""#,
                "send the header 'Authorization: Bearer TOKEN' with a token from POST /api/v1/token or an API key"
                    .to_owned(),
            ),
        };
        Self::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// The role does not suffice.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// It stands against what is there.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// A header said under which condition, and it does not hold.
    pub(crate) fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// The body is JSON and its fields are wrong; all of them are named.
    pub(crate) fn invalid_fields(errors: Vec<Fault>) -> Self {
        let detail = match &errors[..] {
            [only] => format!("{} {}", only.pointer, only.message),
            more => format!("{} faults; 'errors' names each", more.len()),
        };
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }

    /// The range begins behind the end.
    pub(crate) fn range_not_satisfiable(length: usize) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("the log has {length} bytes; ask for a range within them"),
        )
        .with_header(header::CONTENT_RANGE, format!("bytes */{length}"))
    }

    /// A store is away or damaged.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// A fault of this program.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(status = self.status.as_u16(), detail = self.detail);
        }
        let body = Json(ProblemDocument {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, body).into_response();
        if let Some((name, value)) = self.header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::UnknownRun { .. } | EngineError::UnknownTask { .. } => Self::not_found(error.to_string()),
            EngineError::Ended { .. }
            | EngineError::Unfinished { .. }
            | EngineError::NothingToDo { .. }
            | EngineError::Backfill { .. }
            | EngineError::NotAwaited { .. }
            | EngineError::Dag { .. } => Self::conflict(error.to_string()),
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
        match error {
            PromotionError::Bucket(error) => error.into(),
            PromotionError::UnknownVersion { .. } => Self::not_found(error.to_string()),
            PromotionError::ChampionChanged { .. }
            | PromotionError::AlreadyHolds { .. }
            | PromotionError::Barred { .. }
            | PromotionError::NothingToRollBackTo { .. }
            | PromotionError::OtherDigest { .. }
            | PromotionError::Routing { .. }
            | PromotionError::KeyTaken { .. } => Self::conflict(error.to_string()),
            other => Self::unavailable(other.to_string()),
        }
    }
}

impl From<PromoteError> for Problem {
    fn from(error: PromoteError) -> Self {
        match error {
            PromoteError::Log(error) => error.into(),
            refused => Self::conflict(refused.to_string()),
        }
    }
}

impl From<ratchet_identity::Error> for Problem {
    fn from(error: ratchet_identity::Error) -> Self {
        use ratchet_identity::Error;
        let fault = |pointer: &str| Fault {
            pointer: pointer.to_owned(),
            message: error.to_string(),
        };
        match error {
            Error::Token(_) => Self::unauthorized(Some(error.to_string())),
            Error::Username(_) => Self::invalid_fields(vec![fault("/username")]),
            Error::PasswordRule(_) => Self::invalid_fields(vec![fault("/password")]),
            Error::KeyName(_) => Self::invalid_fields(vec![fault("/name")]),
            Error::KeyLifetime(_) => Self::invalid_fields(vec![fault("/days")]),
            Error::Exists(_) | Error::KeyExists(_) => Self::conflict(error.to_string()),
            Error::Unknown(_) | Error::KeyUnknown(_) => Self::not_found(error.to_string()),
            other => Self::unavailable(other.to_string()).with_header(header::RETRY_AFTER, "1"),
        }
    }
}
