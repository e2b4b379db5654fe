//! Any bytes at all as the body of an inference request; the first two say how long its JSON is.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ratchet_api::open_inference::request::InferRequest;
use ratchet_api::predict::body::ROW_LIMIT;
use ratchet_model::Bundle;

#[path = "../../api/tests/it/bundles.rs"]
#[allow(dead_code)]
mod bundles;

static BUNDLE: LazyLock<Bundle> =
    LazyLock::new(|| Bundle::read(&bundles::TestBundle::new("alpha", 0.5).bytes()).unwrap());

fuzz_target!(|content: &[u8]| {
    let Some(([low, high], body)) = content.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let length = (length < usize::from(u16::MAX)).then_some(length);
    if let Ok(request) = InferRequest::read(body, length, BUNDLE.schema()) {
        assert!(request.records.len() <= ROW_LIMIT);
    }
});
