//! `foreach` of a task: what it reads, and the list itself where the file holds it.

use serde_json::Value;

use super::known::Known;
use super::references::{self, Reads};
use super::shape::{At, Mode, Outcome, Shape};
use crate::diagnostics::{Code, Finding};
use crate::spec::Foreach;
use crate::template::{Reference, Scope, references as references_of, whole_expression};
use crate::yaml::{Node, NodeValue};

/// Checks the `foreach` of a task and adds what it reads. `reads` holds what the rest of the task reads.
pub(crate) fn check(
    task: &Node,
    text: &str,
    known: &Known<'_>,
    reads: &mut Reads,
    findings: &mut Vec<Finding>,
) -> Option<Foreach> {
    let Some(foreach) = task.get("foreach") else {
        references::refuse_each(reads, findings);
        return None;
    };
    let items = foreach.get("items")?;
    let mut own = Reads::default();
    references::check(items, text, known, &mut own, findings);
    for (reference, place) in own.each.drain(..) {
        findings.push(
            Finding::new(
                Code::BadExpression,
                place,
                format!("`items` makes the items: it cannot read `{reference}`"),
            )
            .with_help("it reads `params.<name>`, `tasks.<id>.<port>` and `run.<field>`"),
        );
    }
    check_list(items, text, known, findings);
    if let Some(key) = foreach.get("key") {
        references::check(key, text, known, &mut own, findings);
    }
    for (name, place) in own.secrets.drain(..) {
        findings.push(
            Finding::new(
                Code::BadExpression,
                place,
                format!("`foreach` reads no secret: what `{name}` made of it would be kept and shown"),
            )
            .with_help("read the secret in `with` or `environment` of the task"),
        );
    }
    let spec = Foreach {
        items: items.to_json(),
        key: foreach
            .get("key")
            .and_then(Node::as_text)
            .and_then(whole_expression)
            .map(str::to_owned),
        max_parallel: foreach
            .get("max_parallel")
            .and_then(Node::as_u64)
            .and_then(|most| usize::try_from(most).ok()),
        asks_each: task.get("when").is_some_and(reads_each),
    };
    check_instances(&spec, items, findings);
    for (task, place) in own.tasks {
        reads.tasks.entry(task).or_insert(place);
    }
    reads.params.append(&mut own.params);
    reads.without_default.append(&mut own.without_default);
    Some(spec)
}

/// An expression must not promise anything but a list.
fn check_list(items: &Node, text: &str, known: &Known<'_>, findings: &mut Vec<Finding>) {
    if items.as_text().is_none() {
        return;
    }
    let schema = serde_json::json!({ "type": "array" });
    let shape = Shape {
        root: &schema,
        mode: Mode::Template(known),
        text,
    };
    let mut outcome = Outcome::default();
    if items.as_text().and_then(whole_expression).is_some() {
        shape.check(items, &schema, &At::root("`items`", items.span), &mut outcome);
    }
    findings.append(&mut outcome.findings);
}

/// A list that the file holds as it is makes its instances at once, to see whether it can.
fn check_instances(spec: &Foreach, items: &Node, findings: &mut Vec<Finding>) {
    let NodeValue::Sequence(list) = &items.value else {
        return;
    };
    let key_text = spec.key.as_ref().map(|key| Value::String(format!("${{{{ {key} }}}}")));
    let own = |reference: &Reference| matches!(reference, Reference::Item | Reference::Index);
    let settled = references_of(&spec.items).is_ok_and(|read| read.is_empty())
        && key_text.is_none_or(|key| references_of(&key).is_ok_and(|read| read.iter().all(own)));
    // What is too long was said by its bounds.
    if !settled || list.len() > crate::spec::MAX_INSTANCES {
        return;
    }
    if let Err(problem) = spec.expand(&mut Scope::default()) {
        let place = problem.item.and_then(|item| list.get(item)).unwrap_or(items).place();
        findings.push(Finding::new(Code::BadForeach, place, problem.message).maybe_help(problem.help));
    }
}

fn reads_each(when: &Node) -> bool {
    let read = when
        .as_text()
        .map(|text| references_of(&Value::String(text.to_owned())));
    matches!(read, Some(Ok(read)) if read.contains(&Reference::Item) || read.contains(&Reference::Index))
}
