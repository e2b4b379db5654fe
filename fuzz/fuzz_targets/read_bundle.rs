//! Any bytes at all as a bundle: refused, or answering its own rows without a panic and without a loop.
//! `api/tests/it/hostile.rs` tries the same in every test.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ratchet_model::Bundle;
use ratchet_model::drift::Reference;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::read(bytes) {
        let _ = bundle.check_golden_rows();
        let _ = bundle.answer(bundle.golden_rows());
        let _ = (bundle.explain(bundle.golden_rows()), bundle.memory_bytes());
        let profile = &bundle.content().profile;
        let reference = Reference::new(profile, vec![String::new(); profile.fields.len()], String::new());
        reference.count(&mut reference.counts(), bundle.golden_rows(), &[], 0);
    }
});
