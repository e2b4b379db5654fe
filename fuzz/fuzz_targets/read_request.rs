//! Any bytes at all as the body of a prediction: refused with its faults, or answered.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ratchet_api::predict::body::{self, Sent};
use ratchet_model::Bundle;

#[path = "../../api/tests/it/bundles.rs"]
#[allow(dead_code)]
mod bundles;

static BUNDLE: LazyLock<Bundle> =
    LazyLock::new(|| Bundle::read(&bundles::TestBundle::new("alpha", 0.5).bytes()).unwrap());

fuzz_target!(|content: &[u8]| {
    let rows = match body::parse(content) {
        Ok(Sent::Row(row)) => vec![row],
        Ok(Sent::Rows(rows)) => rows,
        Err(_) => Vec::new(),
    };
    for row in rows {
        if let Ok(rows) = BUNDLE.parse(&row) {
            let _ = BUNDLE.answer(&rows);
        }
    }
});
