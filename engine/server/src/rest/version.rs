//! What never changes: an answer with an ETag that may be kept for good.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_artifacts::sha256;
use serde::Serialize;

use crate::problem::Problem;

/// Answers the value, or 304 to who has it already.
pub(super) fn immutable(headers: &HeaderMap, value: &impl Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_vec(value).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(immutable_content(headers, "application/json", text.into()))
}

/// Answers the content, or 304 to who has it already.
pub(super) fn immutable_content(headers: &HeaderMap, media_type: &'static str, content: Bytes) -> Response {
    let tag = format!("\"{}\"", sha256(&content));
    let known = lists(headers, &header::IF_NONE_MATCH, &tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type)], content).into_response()
    };
    let answered = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answered.insert(header::ETAG, tag);
    }
    let kept = HeaderValue::from_static("private, max-age=31536000, immutable");
    answered.insert(header::CACHE_CONTROL, kept);
    response
}

/// Whether a header of entity tags names this one.
fn lists(headers: &HeaderMap, name: &header::HeaderName, tag: &str) -> bool {
    let tags = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(|listed| listed.trim().trim_start_matches("W/"))
        .any(|listed| listed == tag || listed == "*")
}
