//! The JSON Schema for editors.

use serde_json::{Value, json};

use crate::plugins::registry;

/// Y-290
#[test]
fn every_plugin_has_its_configuration_by_uses() {
    let schema = ratchet_core::schema(&registry());
    let task = &schema["properties"]["tasks"]["additionalProperties"];
    assert_eq!(
        task["properties"]["uses"]["enum"],
        json!([
            "core.noop",
            "extract.file",
            "promote.model",
            "quality.gate",
            "train.model"
        ])
    );
    assert_eq!(task["allOf"].as_array().unwrap().len(), 5);
    insta::assert_snapshot!(
        "schema_of_gate",
        serde_json::to_string_pretty(&schema["$defs"]["quality.gate"]).unwrap()
    );
    insta::assert_snapshot!(
        "schema_of_expectation",
        serde_json::to_string_pretty(&schema["$defs"]["quality.gate.Expectation"]).unwrap()
    );
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn walk(value: &Value, root: &Value, count: &mut usize) {
        match value {
            Value::Object(entries) => {
                if let Some(target) = entries.get("$ref").and_then(Value::as_str) {
                    assert!(root.pointer(target.trim_start_matches('#')).is_some(), "{target}");
                    *count += 1;
                }
                entries.values().for_each(|value| walk(value, root, count));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, root, count)),
            _ => {}
        }
    }
    let schema = ratchet_core::schema(&registry());
    let mut count = 0;
    walk(&schema, &schema, &mut count);
    assert!(count > 10, "{count}");
}
