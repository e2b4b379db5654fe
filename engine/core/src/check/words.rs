//! Types and values in words.

use serde_json::Value;

use crate::yaml::{Node, NodeValue};

/// What a JSON type is called.
pub(super) fn word_for_type(kind: &str) -> &'static str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "nothing",
        _ => "a value",
    }
}

/// What stands there, in words.
pub(crate) fn describe(node: &Node) -> String {
    match &node.value {
        NodeValue::Null => "nothing".to_owned(),
        NodeValue::Boolean(value) => format!("`{value}`"),
        NodeValue::Number { text, .. } => format!("the number {text}"),
        NodeValue::Text(text) if text.chars().count() <= 40 && !text.contains('\n') => format!("the text `{text}`"),
        NodeValue::Text(_) => "text".to_owned(),
        NodeValue::Sequence(_) => "a list".to_owned(),
        NodeValue::Mapping(_) => "a mapping".to_owned(),
    }
}

pub(super) fn type_help(node: &Node, types: &[&str]) -> Option<String> {
    let takes = |kind: &str| types.contains(&kind);
    match &node.value {
        NodeValue::Boolean(value) if takes("string") => Some(format!("in quotes it is text: \"{value}\"")),
        NodeValue::Text(text)
            if takes("boolean") && matches!(text.to_lowercase().as_str(), "yes" | "no" | "on" | "off") =>
        {
            Some("YAML 1.2 knows `true` and `false` only".to_owned())
        }
        NodeValue::Text(text) if (takes("number") || takes("integer")) && text.parse::<f64>().is_ok() => {
            Some("leave the quotes away".to_owned())
        }
        NodeValue::Number {
            value: Some(number), ..
        } if takes("integer") && number.as_f64().is_some_and(|value| value.fract() == 0.0) => {
            Some("write it without fraction and exponent".to_owned())
        }
        _ if takes("array") && !matches!(node.value, NodeValue::Mapping(_) | NodeValue::Null) => {
            Some("put it in brackets: [ ... ]".to_owned())
        }
        _ => None,
    }
}

pub(super) fn constant_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}
