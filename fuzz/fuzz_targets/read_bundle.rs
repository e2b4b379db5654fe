//! Any bytes at all as a bundle: refused, or answering its own rows without a panic and without a loop.
//! `api/tests/it/hostile.rs` tries the same in every test.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ratchet_model::Bundle;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::read(bytes) {
        let _ = bundle.check_golden_rows();
        let _ = bundle.answer(bundle.golden_rows());
        let _ = (bundle.explain(bundle.golden_rows()), bundle.memory_bytes());
    }
});
