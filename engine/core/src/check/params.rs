//! The parameters' declarations.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostics::{Code, Finding};
use crate::spec::{Param, ParamType};
use crate::yaml::{Node, NodeValue};

/// The type that a declaration names.
pub(crate) fn kind(declaration: &Node) -> Option<ParamType> {
    let text = declaration.get("type")?.as_text()?;
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

/// Reads the declarations; what contradicts itself is reported, what has no type was.
pub(crate) fn read(node: Option<&Node>, findings: &mut Vec<Finding>) -> BTreeMap<String, Param> {
    let mut params = BTreeMap::new();
    for (key, declaration) in node.map(Node::entries).unwrap_or_default() {
        let Some(kind) = kind(declaration) else { continue };
        let numeric = matches!(kind, ParamType::Integer | ParamType::Number);
        for bound in ["minimum", "maximum"] {
            if let Some((bound_key, _)) = declaration.entry(bound).filter(|_| !numeric) {
                findings.push(
                    Finding::new(
                        Code::BadParameter,
                        bound_key.span,
                        format!("`{}` is {}: `{bound}` bounds numbers", key.text, kind.words()),
                    )
                    .with_help("remove it, or make the parameter a number"),
                );
            }
        }
        let bound = |name: &str| {
            declaration
                .get(name)
                .and_then(Node::as_number)
                .and_then(serde_json::Number::as_f64)
                .filter(|_| numeric)
        };
        let mut param = Param {
            kind,
            description: declaration
                .get("description")
                .and_then(Node::text_of_scalar)
                .unwrap_or_default()
                .to_owned(),
            default: None,
            minimum: bound("minimum"),
            maximum: bound("maximum"),
            choices: None,
        };
        if let (Some(least), Some(most), Some((bound_key, _))) =
            (param.minimum, param.maximum, declaration.entry("maximum"))
            && least > most
        {
            findings.push(Finding::new(
                Code::BadParameter,
                bound_key.span,
                format!("the maximum {most} is below the minimum {least}"),
            ));
        }
        if let Some(choices) = declaration.get("choices") {
            param.choices = Some(
                choices
                    .items()
                    .iter()
                    .filter_map(|item| accepted(&param, item, "a choice of", &key.text, findings))
                    .collect(),
            );
        }
        if let Some(default) = declaration.get("default") {
            param.default = accepted(&param, default, "the default of", &key.text, findings);
        }
        params.insert(key.text.clone(), param);
    }
    params
}

fn accepted(param: &Param, node: &Node, what: &str, name: &str, findings: &mut Vec<Finding>) -> Option<Value> {
    let value = match (param.kind, &node.value) {
        // `default: 010` of a text is the text `010`.
        (ParamType::String, NodeValue::Number { text, .. }) => Value::String(text.clone()),
        (_, NodeValue::Null | NodeValue::Sequence(_) | NodeValue::Mapping(_)) => return None,
        (_, NodeValue::Number { value: None, .. }) => return None,
        _ => node.to_json(),
    };
    match param.accept(&value) {
        Ok(()) => Some(value),
        Err(problem) => {
            findings.push(Finding::new(
                Code::BadParameter,
                node.span,
                format!("{what} `{name}` {problem}"),
            ));
            None
        }
    }
}
