//! Any text at all: it is checked without a panic and within the limits of `-malloc_limit_mb` and `-timeout`, and all
//! that is said about it can be shown. `engine/core/tests/it/hostile.rs` tries the same in every test.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ratchet_core::cases::read_cases;
use ratchet_core::plugin::Registry;

#[path = "../../engine/core/tests/it/plugins.rs"]
mod plugins;

static REGISTRY: LazyLock<Registry> = LazyLock::new(plugins::registry);

fuzz_target!(|text: &str| {
    let (dag, diagnostics) = ratchet_core::check("f.yaml", text, &REGISTRY);
    assert_eq!(dag.is_none(), diagnostics.has_errors(), "{diagnostics}");
    let _ = (diagnostics.render(true, 80), diagnostics.to_json());
    match (read_cases("f.yaml", text), dag) {
        (Err(diagnostics), _) => drop(diagnostics.render(false, 80)),
        (Ok(cases), Some(dag)) => drop(cases.check(&dag, &REGISTRY).to_json()),
        (Ok(_), None) => {}
    }
});
