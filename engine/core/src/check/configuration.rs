//! `with` as the plugin will see it: rendered with the defaults, checked by its types and by the plugin itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::known::Known;
use super::shape::{At, Mode, Outcome, Shape};
use crate::diagnostics::{Code, Finding};
use crate::plugin::{PluginEntry, PortKind};
use crate::spec::Param;
use crate::template::{Expression, Reference, Scope, has_expression, is_true, render, whole_expression};
use crate::yaml::{Key, Node, NodeValue, Span};

/// `with` as JSON, numbers as text where text is taken.
pub(crate) fn to_json(node: &Node, as_text: &BTreeSet<String>) -> Value {
    settled(node, as_text, String::new()).to_json()
}

/// The tree with numbers made text where text is taken.
fn settled(node: &Node, as_text: &BTreeSet<String>, pointer: String) -> Node {
    if as_text.is_empty() {
        return node.clone();
    }
    let value = match &node.value {
        NodeValue::Number { text, .. } if as_text.contains(&pointer) => NodeValue::Text(text.clone()),
        NodeValue::Sequence(items) => NodeValue::Sequence(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| settled(item, as_text, format!("{pointer}/{index}")))
                .collect(),
        ),
        NodeValue::Mapping(entries) => NodeValue::Mapping(
            entries
                .iter()
                .map(|(key, value)| {
                    let token = key.text.replace('~', "~0").replace('/', "~1");
                    (key.clone(), settled(value, as_text, format!("{pointer}/{token}")))
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { span: node.span, value }
}

/// `with` of one task.
pub(crate) struct Configuration<'a> {
    pub(crate) node: &'a Node,
    /// Numbers that stand where text is taken.
    pub(crate) as_text: &'a BTreeSet<String>,
    /// Whom to blame for what is missing.
    pub(crate) owner: Span,
    pub(crate) plugin: &'a PluginEntry,
}

/// Asks the plugin. Says nothing where the configuration depends on what tasks compute or on a parameter without a
/// default: then the task asks when it runs.
pub(crate) fn check(
    with: &Configuration<'_>,
    known: &Known<'_>,
    params: &BTreeMap<String, Param>,
    text: &str,
    findings: &mut Vec<Finding>,
) {
    let &Configuration {
        node,
        as_text,
        owner,
        plugin,
    } = with;
    let settled = settled(node, as_text, String::new());
    let Some(rendered) = placeholders(&settled, known, params) else {
        return;
    };
    let shape = Shape {
        root: &plugin.schema,
        mode: Mode::Rendered,
        text,
    };
    let mut outcome = Outcome::default();
    shape.check(&rendered, &plugin.schema, &At::root("`with`", owner), &mut outcome);
    if !outcome.findings.is_empty() {
        findings.extend(outcome.findings.into_iter().map(|mut finding| {
            finding.message.push_str(" (rendered with the parameters' defaults)");
            finding
        }));
        return;
    }
    for problem in (plugin.validate)(&rendered.to_json()) {
        let place = if problem.pointer.is_empty() {
            owner
        } else {
            rendered.place_of(&problem.pointer)
        };
        let finding = Finding::new(
            Code::ConfigurationRefused,
            place,
            format!("`{}`: {}", plugin.name, problem.message),
        );
        findings.push(finding.maybe_help(problem.help));
    }
}

/// True if the defaults alone say that the task is skipped: then they need not make a configuration.
pub(crate) fn skipped_by_defaults(when: &Node, known: &Known<'_>, params: &BTreeMap<String, Param>) -> bool {
    match placeholders(when, known, params) {
        Some(value) => !is_true(&value.to_json()),
        None => false,
    }
}

/// The tree with every expression rendered; none if one of them has no value yet.
fn placeholders(node: &Node, known: &Known<'_>, params: &BTreeMap<String, Param>) -> Option<Node> {
    let value = match &node.value {
        NodeValue::Text(text) if has_expression(text) => {
            let value = render(&Value::String(text.clone()), &scope(text, known, params)?).ok()?;
            return Some(Node::from_json(&value, node.span));
        }
        NodeValue::Sequence(items) => NodeValue::Sequence(
            items
                .iter()
                .map(|item| placeholders(item, known, params))
                .collect::<Option<_>>()?,
        ),
        NodeValue::Mapping(entries) => NodeValue::Mapping(
            entries
                .iter()
                .map(|(key, value)| {
                    Some((
                        Key {
                            span: key.span,
                            text: key.text.clone(),
                        },
                        placeholders(value, known, params)?,
                    ))
                })
                .collect::<Option<_>>()?,
        ),
        other => other.clone(),
    };
    Some(Node { span: node.span, value })
}

/// What one text reads. Tables, models and reports stand in only as a whole: nothing is computed from an empty one.
fn scope(text: &str, known: &Known<'_>, params: &BTreeMap<String, Param>) -> Option<Scope> {
    let mut scope = Scope {
        run: Value::Null,
        ..Scope::default()
    };
    let value = Value::String(text.to_owned());
    for reference in crate::template::references(&value).ok()? {
        match &reference {
            Reference::Param(name) => {
                scope.params.insert(name.clone(), params.get(name)?.default.clone()?);
            }
            Reference::Port { task, port } => {
                let whole = Expression::parse(whole_expression(text)?).ok()?.nearly_bare?;
                debug_assert_eq!(whole, reference);
                let placeholder = placeholder(known.kind(&reference)?)?;
                scope
                    .tasks
                    .entry(task.clone())
                    .or_default()
                    .insert(port.clone(), placeholder);
            }
            // Ids and instants are of a run, an item of an instance; a secret is looked up when a task starts.
            Reference::Run(_) | Reference::Secret(_) | Reference::Item | Reference::Index => return None,
        }
    }
    Some(scope)
}

fn placeholder(kind: PortKind) -> Option<Value> {
    let blob = json!({ "sha256": "0".repeat(64), "bytes": 0 });
    match kind {
        PortKind::Table => Some(json!({
            "dataset": "placeholder", "files": [], "rows": 0, "columns": [], "source": "placeholder", "simulated": false,
        })),
        PortKind::Model => Some(json!({
            "name": "placeholder", "bundle": blob, "metrics": {}, "rows": { "train": 0, "validation": 0, "holdout": 0 },
            "parameters": {}, "report": {}, "inputs": [], "simulated": false,
        })),
        PortKind::Lookup => Some(json!({
            "name": "placeholder", "content": blob, "rows": 0, "key": [], "columns": [], "simulated": false,
        })),
        PortKind::Report => Some(json!({ "summary": "placeholder", "file_name": "placeholder", "blob": blob })),
        PortKind::Value | PortKind::Any => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::plugin::{Lookup, Model, Report, Table};

    #[test]
    fn placeholders_are_values_of_their_kind() {
        serde_json::from_value::<Table>(placeholder(PortKind::Table).unwrap()).unwrap();
        serde_json::from_value::<Model>(placeholder(PortKind::Model).unwrap()).unwrap();
        serde_json::from_value::<Lookup>(placeholder(PortKind::Lookup).unwrap()).unwrap();
        serde_json::from_value::<Report>(placeholder(PortKind::Report).unwrap()).unwrap();
    }
}
