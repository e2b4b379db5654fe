//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Most field problems that one answer lists.
pub const LISTED: usize = 100;

/// What went wrong with a request. Values that were sent are never repeated in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem this is, as a URI that never changes.
    #[serde(rename = "type")]
    #[schema(example = "urn:ratchet:problem:invalid-fields")]
    pub kind: &'static str,
    /// The kind in words.
    #[schema(example = "some fields are not valid")]
    pub title: &'static str,
    /// HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// This problem in words, with the remedy.
    pub detail: String,
    /// One entry for each fault in the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// A header that goes with the status.
    #[serde(skip)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// One fault in the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body.
    #[schema(example = "/Easting_rounded")]
    pub pointer: String,
    /// A word for programs.
    #[schema(example = "wrong_type")]
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            header: None,
        }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Problem {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.header = Some(Box::new((name, value)));
        }
        self
    }

    /// 400: the body is not JSON.
    pub fn broken_json(error: &serde_json::Error) -> Problem {
        // serde_json's message ends with the place; it names what was expected, never what was sent.
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&place).unwrap_or(&message);
        let detail = format!(
            "the body is not JSON: {message} at line {}, column {}",
            error.line(),
            error.column()
        );
        Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:ratchet:problem:broken-json",
            "the body is not JSON",
            detail,
        )
    }

    /// 400: the body ended early or was not sent as HTTP says.
    pub fn broken_body() -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:ratchet:problem:broken-body",
            "the body could not be read",
            "the body ended before its announced length or was not well-formed HTTP; send it again",
        )
    }

    /// 401: no token, or one that does not hold. `reason` is told to the caller.
    pub fn unauthorized(reason: Option<&str>) -> Problem {
        let (challenge, detail) = match reason {
            Some(reason) => (r#"Bearer realm="ratchet", error="invalid_token""#, reason.to_owned()),
            None => (
                r#"Bearer realm="ratchet""#,
                "send the header 'Authorization: Bearer TOKEN' with a token from POST /token".to_owned(),
            ),
        };
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "urn:ratchet:problem:unauthorized",
            "a valid token is needed",
            detail,
        )
        .with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 404: nothing is here.
    pub fn not_found() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:ratchet:problem:not-found",
            "there is nothing at this path",
            "no route and no model has this path; GET /models lists the models and their routes",
        )
    }

    /// 404: no such model was promoted.
    pub fn unknown_model() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:ratchet:problem:unknown-model",
            "no model of this name was promoted",
            "no model of this name was promoted; GET /models lists those that were",
        )
    }

    /// 404: `/predict` has no model.
    pub fn no_default_model() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:ratchet:problem:no-default-model",
            "no model answers here",
            "several models or none were promoted, or the one that RATCHET_DEFAULT_MODEL names was not; ask at /predict/{model}, or \
             set RATCHET_DEFAULT_MODEL to a model that GET /models lists",
        )
    }

    /// 405: the path exists, the method does not.
    pub fn method_not_allowed(allowed: &str) -> Problem {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:ratchet:problem:method-not-allowed",
            "the path does not have this method",
            format!("use {allowed} here"),
        )
        .with_header(header::ALLOW, allowed)
    }

    /// The header that goes with the status, if there is one.
    pub fn extra_header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.header.as_deref().cloned()
    }

    /// The last part of the kind: a word for programs.
    pub fn code(&self) -> &'static str {
        self.kind.rsplit(':').next().unwrap_or(self.kind)
    }

    /// 408: a stream's sender fell silent.
    pub fn silent(seconds: u64) -> Problem {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "urn:ratchet:problem:silent",
            "the body fell silent",
            format!(
                "nothing of the body came for {seconds} s; read the answers while you send the rows, and close the body"
            ),
        )
        .with_header(header::CONNECTION, "close")
    }

    /// 408: the request took longer than the service waits.
    pub fn timed_out(seconds: u64) -> Problem {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "urn:ratchet:problem:timed-out",
            "the request took too long",
            format!("the request was not received and answered within {seconds} s; send fewer rows at once"),
        )
        .with_header(header::CONNECTION, "close")
    }

    /// 413: the body is too long.
    pub fn body_too_large(limit: usize) -> Problem {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "urn:ratchet:problem:body-too-large",
            "the body is too long",
            format!("the body may have at most {limit} bytes; send fewer rows at once"),
        )
    }

    /// 415: the body is declared as none of the types that are read.
    pub fn unsupported_media_type() -> Problem {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "urn:ratchet:problem:unsupported-media-type",
            "the body has a type that is not read",
            "send the header 'Content-Type: application/json' and a JSON body (or application/x-ndjson or text/csv and a stream \
             of rows) in UTF-8, without Content-Encoding",
        )
        .with_header(header::ACCEPT, "application/json, application/x-ndjson, text/csv")
    }

    /// 422: the body is JSON, but not rows that the model can answer. `found` counts all faults, of which the first are listed.
    pub fn invalid_fields(mut errors: Vec<FieldError>, found: usize) -> Problem {
        errors.truncate(LISTED);
        let detail = match found {
            1 => "one field is not valid; 'errors' says which and why".to_owned(),
            count if count > errors.len() => {
                format!(
                    "{count} fields are not valid; 'errors' says which and why of the first {}",
                    errors.len()
                )
            }
            count => format!("{count} fields are not valid; 'errors' says which and why"),
        };
        let problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:ratchet:problem:invalid-fields",
            "some fields are not valid",
            detail,
        );
        Problem { errors, ..problem }
    }

    /// 422: the query or the path holds something that is not understood.
    pub fn bad_parameter(message: &str) -> Problem {
        let fault = FieldError {
            pointer: String::new(),
            code: "bad_parameter",
            message: message.to_owned(),
        };
        Problem::invalid_fields(vec![fault], 1)
    }

    /// 422: contributions are wanted, and the bundle cannot tell them.
    pub fn not_explainable() -> Problem {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:ratchet:problem:not-explainable",
            "the model cannot be explained",
            "the bundle that serves does not hold how many training rows each node of its trees saw; train and promote the model \
             again, or ask without explain=true",
        )
    }

    /// 500: a bug of ours.
    pub fn internal() -> Problem {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:ratchet:problem:internal",
            "the service failed",
            "the service failed on this request, which is a bug; its log says more",
        )
    }

    /// 503: the model was promoted and cannot answer yet.
    pub fn model_not_loaded() -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:ratchet:problem:model-not-loaded",
            "the model is not loaded",
            "a promoted model is loading or failed to load; GET /health says which and why",
        )
        .with_header(header::RETRY_AFTER, "1")
    }

    /// 503: the log cannot be read or written.
    pub fn of_record(error: &crate::record::store::StoreError) -> Problem {
        tracing::error!(%error, "the log does not answer");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:ratchet:problem:log-unavailable",
            "the log cannot be reached",
            "the log's database does not answer; predictions go on, ask again later",
        )
        .with_header(header::RETRY_AFTER, "5")
    }

    /// 503: tokens cannot be checked.
    pub fn users_unavailable() -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:ratchet:problem:users-unavailable",
            "the users cannot be read",
            "the users' database does not answer, so that no token can be checked; the service's log says more",
        )
        .with_header(header::RETRY_AFTER, "1")
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let extra = self.header.take();
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some((name, value)) = extra.map(|extra| *extra) {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn broken_json_is_placed_and_not_repeated() {
        let error = serde_json::from_str::<Value>("{\"a\":\n secret}").unwrap_err();
        let problem = Problem::broken_json(&error);
        assert_eq!(
            problem.detail,
            "the body is not JSON: expected value at line 2, column 2"
        );
    }

    #[test]
    fn a_flood_of_faults_is_cut_and_counted() {
        let fault = FieldError {
            pointer: "/x".to_owned(),
            code: "missing",
            message: "it is missing".to_owned(),
        };
        let problem = Problem::invalid_fields(vec![fault; 250], 250);
        assert_eq!(problem.errors.len(), LISTED);
        assert_eq!(
            problem.detail,
            "250 fields are not valid; 'errors' says which and why of the first 100"
        );
    }
}
