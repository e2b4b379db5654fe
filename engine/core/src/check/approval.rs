//! `approval` of a task: a question takes the place of a plugin.

use std::collections::BTreeMap;

use super::known::Known;
use super::references::{self, Reads};
use super::{build, params};
use crate::diagnostics::{Code, Finding};
use crate::spec::{APPROVAL_PORTS, Approval, OnDeadline};
use crate::yaml::{Key, Node};

/// What a task with an approval may have beside it.
const BESIDE: [&str; 5] = ["approval", "needs", "notify", "trigger", "when"];

/// Checks the approval of a task and adds what it reads.
pub(crate) fn check(
    task: &Key,
    node: &Node,
    text: &str,
    known: &Known<'_>,
    reads: &mut Reads,
    findings: &mut Vec<Finding>,
) -> Option<Approval> {
    let approval = node.get("approval")?;
    for (key, _) in node
        .entries()
        .iter()
        .filter(|(key, _)| !BESIDE.contains(&key.text.as_str()))
    {
        // What is no key at all was reported.
        let known_key = crate::schema::task_keys().any(|name| name == key.text);
        if known_key {
            findings.push(
                Finding::new(
                    Code::BadApproval,
                    key.span,
                    format!("`{}` asks a person: `{}` does nothing there", task.text, key.text),
                )
                .with_help("put what runs into a task behind it, which reads `approved`"),
            );
        }
    }
    let mut own = Reads::default();
    if let Some(message) = approval.get("message") {
        references::check(message, text, known, &mut own, findings);
    }
    for (name, place) in own.secrets.drain(..) {
        findings.push(
            Finding::new(
                Code::BadExpression,
                place,
                format!("a question reads no secret: what `{name}` made of it would be shown"),
            )
            .with_help("ask without it"),
        );
    }
    references::refuse_each(&own, findings);
    let declared = approval.get("fields");
    let fields = params::read(declared, findings);
    for (key, _) in declared.map(Node::entries).unwrap_or_default() {
        if APPROVAL_PORTS.contains(&key.text.as_str()) {
            findings.push(
                Finding::new(
                    Code::BadApproval,
                    key.span,
                    format!(
                        "the form cannot have a field `{}`: every approval has an output of that name",
                        key.text
                    ),
                )
                .with_help("take another name"),
            );
        }
    }
    let deadline = build::duration(approval, "deadline");
    let on_deadline: OnDeadline = build::choice(approval, "on_deadline").unwrap_or_default();
    if let Some((key, _)) = approval.entry("on_deadline").filter(|_| deadline.is_none()) {
        findings.push(
            Finding::new(Code::NoEffect, key.span, "without a `deadline` nothing happens then")
                .with_help("say how long the question stands, such as `deadline: 24h`"),
        );
    }
    if on_deadline == OnDeadline::Approve {
        open_fields(approval, &fields, findings);
    }
    for (task, place) in own.tasks {
        reads.tasks.entry(task).or_insert(place);
    }
    reads.params.append(&mut own.params);
    reads.without_default.append(&mut own.without_default);
    Some(Approval {
        message: build::text(approval, "message").unwrap_or_default(),
        fields,
        deadline,
        on_deadline,
        on_reject: build::choice(approval, "on_reject").unwrap_or_default(),
    })
}

/// A yes by the clock has nobody to fill the form.
fn open_fields(approval: &Node, fields: &BTreeMap<String, crate::spec::Param>, findings: &mut Vec<Finding>) {
    let entries = approval.get("fields").map(Node::entries).unwrap_or_default();
    for (key, _) in entries {
        if fields.get(&key.text).is_some_and(|field| field.default.is_none()) {
            findings.push(
                Finding::new(
                    Code::BadApproval,
                    key.span,
                    format!(
                        "the field `{}` has no default, and the deadline approves without asking for it",
                        key.text
                    ),
                )
                .with_help("give it a default, or let the deadline reject"),
            );
        }
    }
}
