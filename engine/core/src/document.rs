//! YAML or JSON that is no DAG, read with the same eyes.

use serde_json::Value;

use crate::diagnostics::{Diagnostics, locate};
use crate::yaml;

/// Reads a YAML or JSON document as JSON.
///
/// # Errors
///
/// What keeps it from being read, with its place.
pub fn document(file_name: &str, text: &str) -> Result<Value, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match yaml::parse(text) {
        Ok(tree) => Ok(tree.to_json()),
        Err(finding) => Err(locate(file_name, text, vec![finding])),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_and_json_are_one_and_a_fault_has_its_place() {
        let expected = json!({"name": "a", "key": ["id"], "on": true});
        assert_eq!(document("a.yaml", "name: a\nkey: [id]\non: true\n").unwrap(), expected);
        assert_eq!(document("a.json", &expected.to_string()).unwrap(), expected);
        let problems = document("a.yaml", "name: a\nkey: [id\n").unwrap_err();
        assert!(problems.has_errors(), "{problems:?}");
    }
}
