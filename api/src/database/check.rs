//! Rows against the schema of their collection.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use ratchet_artifacts::collections::Collection;
use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem};

/// A collection whose rows can be checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) collection: Collection,
    validator: Validator,
}

impl Checked {
    /// Gets ready to check.
    ///
    /// # Errors
    /// 500 if the schema in the bucket is none; `ratchet collections apply` would not have written it.
    pub(super) fn new(collection: Collection) -> Result<Checked, Problem> {
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            // Linear in time, whatever the pattern and the text.
            .with_pattern_options(PatternOptions::regex())
            .build(&collection.schema)
            .map_err(|error| {
                tracing::error!(collection = collection.name, %error, "the collection's schema cannot be used");
                Problem::internal()
            })?;
        Ok(Checked { collection, validator })
    }

    /// All faults of a row that stands at `prefix` in the body. Values are not repeated.
    pub(super) fn faults(&self, row: &Value, prefix: &str) -> Vec<FieldError> {
        self.validator
            .iter_errors(row)
            .flat_map(|error| told(&error, prefix))
            .collect()
    }

    /// Whether the schema has a field, and of what type it is where it says so.
    pub(super) fn field(&self, name: &str) -> Option<&Map<String, Value>> {
        self.collection.schema["properties"].get(name)?.as_object()
    }
}

fn told(error: &ValidationError<'_>, prefix: &str) -> Vec<FieldError> {
    let place = format!("{prefix}{}", error.instance_path().as_str());
    let fault = |pointer: String, code: &'static str, message: String| FieldError { pointer, code, message };
    let below = |name: &str| format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let pointer = below(property.as_str().unwrap_or_default());
            vec![fault(pointer, "missing", "it is missing".to_owned())]
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| fault(below(name), "unknown", "there is no such field".to_owned()))
            .collect(),
        ValidationErrorKind::Type { .. } => vec![fault(place, "wrong_type", error.masked().to_string())],
        _ => vec![fault(place, "invalid", error.masked().to_string())],
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_faults_are_named_by_pointer_and_no_value_is_repeated() {
        let collection = Collection {
            name: "deliveries".to_owned(),
            key: vec!["id".to_owned()],
            schema: json!({
                "type": "object", "required": ["id", "at"], "additionalProperties": false,
                "properties": {
                    "id": {"type": "integer"}, "at": {"type": "string", "format": "date"}, "courier": {"type": "string", "maxLength": 5},
                    "stops": {"type": "array", "items": {"type": "number", "minimum": 0}}, "state": {"enum": ["new", "done"]},
                    "plate": {"type": "string", "pattern": "^[A-Z]+$"},
                },
            }),
        };
        let checked = Checked::new(collection).unwrap();
        let row = json!({"id": "secret", "courier": "secret", "stops": [1, -770077], "state": "secret", "x/y": "secret", "plate": "secret"});
        let faults = checked.faults(&row, "/3");
        let mut found: Vec<(&str, &str)> = faults
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.code))
            .collect();
        found.sort_unstable();
        let expected = [
            ("/3/at", "missing"),
            ("/3/courier", "invalid"),
            ("/3/id", "wrong_type"),
            ("/3/plate", "invalid"),
            ("/3/state", "invalid"),
            ("/3/stops/1", "invalid"),
            ("/3/x~1y", "unknown"),
        ];
        assert_eq!(found, expected);
        let said = format!("{faults:?}");
        assert!(!said.contains("secret") && !said.contains("770077"), "{said}");
        let bad_date = checked.faults(&json!({"id": 1, "at": "yesterday"}), "");
        assert_eq!((bad_date.len(), bad_date[0].pointer.as_str()), (1, "/at"));
        assert!(!bad_date[0].message.contains("yesterday"), "{bad_date:?}");
        assert!(checked.faults(&json!({"id": 1, "at": "2026-01-31"}), "").is_empty());
    }
}
