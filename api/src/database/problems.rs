//! What is refused about record collections.

use axum::http::{StatusCode, header};
use ratchet_artifacts::BucketError;

use crate::problem::Problem;

impl Problem {
    /// 404: no such collection.
    pub fn unknown_collection() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:ratchet:problem:unknown-collection",
            "there is no such collection",
            "no record collection has this name; GET /database lists them, `ratchet collections apply FILE` makes one",
        )
    }

    /// 503: what the collections are cannot be read.
    pub fn bucket_unavailable(error: &BucketError) -> Problem {
        tracing::warn!(%error, "the record collections cannot be read");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:ratchet:problem:bucket-unavailable",
            "the collections cannot be read",
            "the bucket, which says what the collections are, does not answer; predictions go on, ask again later",
        )
        .with_header(header::RETRY_AFTER, "5")
    }
}
