//! `oneOf` and `anyOf`: which branch did the author mean?
//!
//! Reporting the errors of all branches helps nobody. Enums of serde say by a key or a constant which branch is meant;
//! where nothing says it, the branch with the fewest problems is.

use serde_json::{Map, Value};

use super::shape::{At, Outcome, Shape, constants, takes};
use super::words::{describe, word_for_type};
use crate::diagnostics::{Code, Finding, list, one_of};
use crate::yaml::{Node, NodeValue};

impl<'a> Shape<'a> {
    pub(super) fn check_choice(&self, node: &Node, branches: &'a [Value], at: &At<'_>, out: &mut Outcome) {
        let resolved: Vec<(&'a Value, Option<&'a Map<String, Value>>)> = branches
            .iter()
            .map(|branch| (branch, self.resolve(branch).as_object()))
            .collect();
        let is_null = |keywords: &Map<String, Value>| keywords.get("type").and_then(Value::as_str) == Some("null");
        if matches!(node.value, NodeValue::Null) && resolved.iter().any(|(_, keywords)| keywords.is_some_and(is_null)) {
            return;
        }
        let candidates: Vec<(&'a Value, &'a Map<String, Value>)> = resolved
            .iter()
            .filter_map(|(branch, keywords)| keywords.map(|keywords| (*branch, keywords)))
            .filter(|(_, keywords)| !is_null(keywords))
            .collect();
        if let [(branch, _)] = candidates.as_slice() {
            return self.check(node, branch, at, out);
        }
        // A branch that takes a port's value sees references before types.
        if let Some((branch, _)) = candidates
            .iter()
            .find(|(_, keywords)| keywords.contains_key("x-ratchet-kind"))
        {
            return self.check(node, branch, at, out);
        }
        let fitting: Vec<_> = candidates
            .iter()
            .copied()
            .filter(|(_, keywords)| takes(keywords, node))
            .collect();
        if fitting.is_empty() {
            return self.report_types(node, &candidates, at, out);
        }
        let all_constants: Vec<&Value> = fitting.iter().flat_map(|(_, keywords)| constants(keywords)).collect();
        if fitting.iter().all(|(_, keywords)| !constants(keywords).is_empty()) {
            return self.check_constants(node, &all_constants, at, out);
        }
        if matches!(node.value, NodeValue::Mapping(_))
            && (self.by_key(node, &fitting, at, out) || self.by_constant(node, &fitting, at, out))
        {
            return;
        }
        self.by_trial(node, &fitting, at, out);
    }

    fn report_types(&self, node: &Node, candidates: &[(&Value, &Map<String, Value>)], at: &At<'_>, out: &mut Outcome) {
        let mut words: Vec<&str> = candidates
            .iter()
            .filter_map(|(_, keywords)| keywords.get("type")?.as_str())
            .map(word_for_type)
            .collect();
        words.sort_unstable();
        words.dedup();
        let message = format!("{} takes {}, found {}", at.name(), words.join(" or "), describe(node));
        let tags: Vec<&str> = candidates.iter().filter_map(|(_, keywords)| tag(keywords)).collect();
        let help = (!tags.is_empty()).then(|| format!("a mapping with one of the keys {}", list(tags)));
        out.findings
            .push(Finding::new(Code::WrongType, node.place(), message).maybe_help(help));
    }

    /// `{ row_count: { min: 1 } }`: the key says which branch. False if the branches are not of that kind.
    fn by_key(
        &self,
        node: &Node,
        branches: &[(&'a Value, &'a Map<String, Value>)],
        at: &At<'_>,
        out: &mut Outcome,
    ) -> bool {
        let tags: Vec<&str> = branches.iter().filter_map(|(_, keywords)| tag(keywords)).collect();
        if tags.len() != branches.len() {
            return false;
        }
        let meant = node.entries().iter().find_map(|(key, _)| {
            branches
                .iter()
                .find(|(_, keywords)| tag(keywords) == Some(key.text.as_str()))
        });
        match (meant, node.entries().first()) {
            (Some((branch, _)), _) if node.entries().len() == 1 => self.check(node, branch, at, out),
            (Some(_), _) => {
                let message = format!(
                    "{} has {} keys; it has one, which says what it is",
                    at.name(),
                    node.entries().len()
                );
                out.findings
                    .push(Finding::new(Code::WrongType, node.place(), message).with_help("make each its own item"));
            }
            (None, Some((key, _))) => out.findings.push(
                Finding::new(Code::UnknownKey, key.span, format!("unknown key `{}`", key.text))
                    .maybe_help(one_of(&key.text, tags)),
            ),
            (None, None) => out.findings.push(
                Finding::new(
                    Code::MissingKey,
                    at.owner(),
                    format!("{} lacks the key that says what it is", at.name()),
                )
                .with_help(format!("one of {}", list(tags))),
            ),
        }
        true
    }

    /// `{ kind: linear, ... }`: a constant says which branch. False if the branches are not of that kind.
    fn by_constant(
        &self,
        node: &Node,
        branches: &[(&'a Value, &'a Map<String, Value>)],
        at: &At<'_>,
        out: &mut Outcome,
    ) -> bool {
        let Some(key) = branches.first().and_then(|(_, keywords)| discriminator(keywords)) else {
            return false;
        };
        if branches
            .iter()
            .any(|(_, keywords)| discriminator(keywords) != Some(key))
        {
            return false;
        }
        let constant = |keywords: &'a Map<String, Value>| constants_of_property(keywords, key);
        let Some(value) = node.get(key) else {
            let values: Vec<&str> = branches
                .iter()
                .flat_map(|(_, keywords)| constant(keywords))
                .filter_map(Value::as_str)
                .collect();
            out.findings.push(
                Finding::new(
                    Code::MissingKey,
                    at.owner(),
                    format!("{} lacks the key `{key}`", at.name()),
                )
                .with_help(format!("one of {}", list(values))),
            );
            return true;
        };
        let found = value.to_json();
        match branches
            .iter()
            .find(|(_, keywords)| constant(keywords).contains(&&found))
        {
            Some((branch, _)) => self.check(node, branch, at, out),
            None => {
                let all: Vec<&Value> = branches.iter().flat_map(|(_, keywords)| constant(keywords)).collect();
                // Named by its key, not by the mapping around it.
                match value.as_text() {
                    Some(text) => {
                        let texts: Vec<&str> = all.iter().filter_map(|value| value.as_str()).collect();
                        out.findings.push(
                            Finding::new(Code::NotAChoice, value.span, format!("`{key}` cannot be `{text}`"))
                                .maybe_help(one_of(text, texts)),
                        );
                    }
                    None => self.check_constants(value, &all, at, out),
                }
            }
        }
        true
    }

    fn by_trial(&self, node: &Node, branches: &[(&'a Value, &'a Map<String, Value>)], at: &At<'_>, out: &mut Outcome) {
        let mut best: Option<Outcome> = None;
        for (branch, _) in branches {
            let mut trial = Outcome::default();
            self.check(node, branch, at, &mut trial);
            let cost = (trial.findings.len(), trial.as_text.len());
            if best
                .as_ref()
                .is_none_or(|best| cost < (best.findings.len(), best.as_text.len()))
            {
                best = Some(trial);
            }
            if cost == (0, 0) {
                break;
            }
        }
        if let Some(best) = best {
            out.findings.extend(best.findings);
            out.as_text.extend(best.as_text);
        }
    }
}

/// The one key of a branch that is a mapping with exactly that key.
fn tag(keywords: &Map<String, Value>) -> Option<&str> {
    let properties = keywords.get("properties")?.as_object()?;
    let required = keywords.get("required")?.as_array()?;
    match (properties.len(), required.as_slice()) {
        (1, [name]) => name.as_str(),
        _ => None,
    }
}

/// The first required property whose value is a constant.
fn discriminator(keywords: &Map<String, Value>) -> Option<&str> {
    let required = keywords.get("required")?.as_array()?;
    required
        .iter()
        .filter_map(Value::as_str)
        .find(|name| !constants_of_property(keywords, name).is_empty())
}

fn constants_of_property<'v>(keywords: &'v Map<String, Value>, name: &str) -> Vec<&'v Value> {
    let property = keywords
        .get("properties")
        .and_then(|properties| properties.get(name))
        .and_then(Value::as_object);
    property.map(constants).unwrap_or_default()
}
