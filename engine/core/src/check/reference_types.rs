//! Expressions where a type or a port's kind is asked for: what their references promise must not contradict.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::format;
use super::known::{Known, word};
use super::shape::{At, Outcome, Shape, constants};
use super::words::{describe, word_for_type};
use crate::diagnostics::{Code, Finding, list};
use crate::plugin::PortKind;
use crate::spec::ParamType;
use crate::template::{Expression, Reference, whole_expression};
use crate::yaml::Node;

impl<'a> Shape<'a> {
    /// The branch of a choice that takes a port's value, if there is one.
    pub(super) fn kind_branch(&self, keywords: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
        let branches = ["anyOf", "oneOf"]
            .into_iter()
            .filter_map(|choice| keywords.get(choice)?.as_array())
            .flatten();
        branches
            .filter_map(|branch| self.resolve(branch).as_object())
            .find(|branch| branch.contains_key("x-ratchet-kind"))
    }

    /// A value that only a port of a kind fills.
    pub(super) fn check_kind(
        &self,
        node: &Node,
        keywords: &Map<String, Value>,
        known: &Known<'_>,
        at: &At<'_>,
        out: &mut Outcome,
    ) {
        let kind = match keywords.get("x-ratchet-kind").and_then(Value::as_str) {
            Some("table") => PortKind::Table,
            Some("model") => PortKind::Model,
            Some("lookup") => PortKind::Lookup,
            Some("report") => PortKind::Report,
            _ => return,
        };
        let wanted = word(kind);
        let ports = known.ports_of(kind);
        let candidates = match ports.as_slice() {
            [] => format!("write `${{{{ tasks.<id>.<port> }}}}`; no task of this file has a port with a {wanted}"),
            ports => format!(
                "write `${{{{ tasks.<id>.<port> }}}}`, one of {}",
                list(ports.iter().map(String::as_str))
            ),
        };
        let Some(source) = node.as_text().and_then(whole_expression) else {
            let message = format!(
                "{} takes a {wanted} that a task made, found {}",
                at.name(),
                describe(node)
            );
            out.findings
                .push(Finding::new(Code::KindMismatch, node.place(), message).with_help(candidates));
            return;
        };
        // What cannot be read or does not exist is reported where all expressions are.
        let Ok(expression) = Expression::parse(source) else {
            return;
        };
        let ports: Vec<_> = expression
            .references
            .iter()
            .filter(|reference| known.is_port(reference))
            .collect();
        if ports.is_empty() {
            let message = format!("{} takes a {wanted} that a task made; this reads no task", at.name());
            out.findings
                .push(Finding::new(Code::KindMismatch, node.span, message).with_help(candidates.clone()));
        }
        for reference in ports {
            let Some(found) = known.kind(reference) else { continue };
            if known.is_list(reference) {
                // Whether it picks one entry or hands on all, only the bare reference tells.
                if expression.nearly_bare.as_ref() == Some(reference) {
                    out.findings
                        .push(list_where_one_is_taken(self.text, node, reference, wanted, at));
                }
            } else if found != kind && found != PortKind::Any {
                let text = reference.to_string();
                let message = format!("`{text}` is a {}, {} takes a {wanted}", word(found), at.name());
                out.findings.push(
                    Finding::new(
                        Code::KindMismatch,
                        format::part_of(self.text, node.span, &text),
                        message,
                    )
                    .with_help(candidates.clone()),
                );
            }
        }
    }

    /// A text with `${{ }}` that will be rendered: what its reference says about the type must not contradict.
    pub(super) fn check_template(
        &self,
        node: &Node,
        text: &str,
        schema: &'a Value,
        known: &Known<'_>,
        at: &At<'_>,
        out: &mut Outcome,
    ) {
        let Some(types) = self.types_of(schema, 0) else { return };
        let expected = || {
            types
                .iter()
                .map(|kind| word_for_type(kind))
                .collect::<Vec<_>>()
                .join(" or ")
        };
        let Some(source) = whole_expression(text) else {
            if !types.contains("string") {
                let message = format!(
                    "{} takes {}, found text with an expression inside",
                    at.name(),
                    expected()
                );
                out.findings.push(
                    Finding::new(Code::WrongType, node.span, message)
                        .with_help("make one expression the whole value: it keeps its type then"),
                );
            }
            return;
        };
        let Ok(Expression {
            bare: Some(reference), ..
        }) = Expression::parse(source)
        else {
            return;
        };
        if let Some(kind) = known
            .kind(&reference)
            .filter(|kind| !matches!(kind, PortKind::Value | PortKind::Any))
            && !types.contains("object")
        {
            let message = format!("`{reference}` is a {}, {} takes {}", word(kind), at.name(), expected());
            out.findings.push(Finding::new(Code::KindMismatch, node.span, message));
        }
        if known.is_list(&reference) && !types.contains("array") {
            let message = format!("`{reference}` is a list, {} takes {}", at.name(), expected());
            out.findings.push(
                Finding::new(Code::WrongType, node.span, message)
                    .with_help("its task has `foreach`: pick one entry, such as `| first`, or combine them in a task"),
            );
        }
        if matches!(reference, Reference::Secret(_)) && !types.contains("string") {
            let message = format!("`{reference}` is text, {} takes {}", at.name(), expected());
            out.findings
                .push(Finding::new(Code::WrongType, node.span, message).with_help("convert it: `| int`, `| float`"));
        }
        let Some(kind) = known.param(&reference) else { return };
        let (fits, found) = match kind {
            ParamType::String => (types.contains("string"), "text"),
            ParamType::Integer => (types.contains("integer") || types.contains("number"), "a whole number"),
            ParamType::Number => (types.contains("number"), "a number"),
            ParamType::Boolean => (types.contains("boolean"), "`true` or `false`"),
        };
        if !fits {
            let message = format!("`{reference}` is {found}, {} takes {}", at.name(), expected());
            out.findings.push(
                Finding::new(Code::WrongType, node.span, message)
                    .with_help("change the parameter's `type`, or convert: `| string`, `| int`, `| float`"),
            );
        }
    }

    /// The JSON types that a schema takes; none: any.
    fn types_of(&self, schema: &'a Value, depth: usize) -> Option<BTreeSet<&'a str>> {
        let Value::Object(keywords) = self.resolve(schema) else {
            return None;
        };
        if depth > 32 {
            return None;
        }
        if keywords.contains_key("x-ratchet-kind") {
            return Some(BTreeSet::from(["object"]));
        }
        let constants = constants(keywords);
        if !constants.is_empty() {
            return Some(constants.into_iter().map(type_of_json).collect());
        }
        match keywords.get("type") {
            Some(Value::String(kind)) => return Some(BTreeSet::from([kind.as_str()])),
            Some(Value::Array(kinds)) => return Some(kinds.iter().filter_map(Value::as_str).collect()),
            _ => {}
        }
        let branches = keywords.get("oneOf").or_else(|| keywords.get("anyOf"))?.as_array()?;
        let mut types = BTreeSet::new();
        for branch in branches {
            types.extend(self.types_of(branch, depth + 1)?);
        }
        Some(types)
    }
}

fn list_where_one_is_taken(text: &str, node: &Node, reference: &Reference, wanted: &str, at: &At<'_>) -> Finding {
    let reference = reference.to_string();
    let message = format!("`{reference}` is a list, {} takes one {wanted}", at.name());
    Finding::new(
        Code::KindMismatch,
        format::part_of(text, node.span, &reference),
        message,
    )
    .with_help("its task has `foreach`: pick one entry, such as `| first`, or hand the list to a task that takes one")
}

fn type_of_json(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
