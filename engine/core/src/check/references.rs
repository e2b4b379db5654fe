//! Everything that a task's expressions read: does it exist?

use std::collections::{BTreeMap, BTreeSet};

use super::format::part_of;
use super::known::Known;
use crate::diagnostics::{Code, Finding, list, one_of};
use crate::spec::TriggerRule;
use crate::template::{Expression, Piece, Reference, has_expression, pieces, secret_places};
use crate::yaml::{Node, NodeValue, Span};

/// What the expressions of one task read, each with the place where it stands first.
#[derive(Default)]
pub(crate) struct Reads {
    /// Task -> place of the reference.
    pub(crate) tasks: BTreeMap<String, Span>,
    /// Parameters.
    pub(crate) params: BTreeSet<String>,
    /// Secrets, each with every place.
    pub(crate) secrets: Vec<(String, Span)>,
    /// References to ports without a `default()` beside them.
    pub(crate) without_default: Vec<(Reference, Span)>,
}

/// Reads all expressions below a node.
pub(crate) fn check(node: &Node, text: &str, known: &Known<'_>, reads: &mut Reads, findings: &mut Vec<Finding>) {
    match &node.value {
        NodeValue::Text(value) if has_expression(value) => check_text(node, value, text, known, reads, findings),
        NodeValue::Sequence(items) => items.iter().for_each(|item| check(item, text, known, reads, findings)),
        NodeValue::Mapping(entries) => {
            for (key, value) in entries {
                if has_expression(&key.text) {
                    findings.push(
                        Finding::new(
                            Code::BadExpression,
                            key.span,
                            "a key is not rendered: no expression works here",
                        )
                        .with_help("put the expression into a value"),
                    );
                }
                check(value, text, known, reads, findings);
            }
        }
        _ => {}
    }
}

fn check_text(node: &Node, value: &str, text: &str, known: &Known<'_>, reads: &mut Reads, findings: &mut Vec<Finding>) {
    let pieces = match pieces(value) {
        Ok(pieces) => pieces,
        Err(error) => {
            findings.push(Finding::new(Code::BadExpression, node.span, error.message).maybe_help(error.help));
            return;
        }
    };
    for piece in pieces {
        let Piece::Expression(source) = piece else { continue };
        let expression = match Expression::parse(source) {
            Ok(expression) => expression,
            Err(error) => {
                let place = part_of(text, node.span, source);
                findings.push(Finding::new(Code::BadExpression, place, error.message).maybe_help(error.help));
                continue;
            }
        };
        for reference in &expression.references {
            let place = part_of(text, node.span, &reference.to_string());
            findings.extend(
                missing(reference, known)
                    .map(|(code, message, help)| Finding::new(code, place, message).maybe_help(help)),
            );
            match reference {
                Reference::Param(name) => drop(reads.params.insert(name.clone())),
                Reference::Port { task, .. } => {
                    reads.tasks.entry(task.clone()).or_insert(place);
                    if !expression.has_default {
                        reads.without_default.push((reference.clone(), place));
                    }
                }
                Reference::Secret(name) => reads.secrets.push((name.clone(), place)),
                Reference::Run(_) => {}
            }
        }
    }
}

fn missing(reference: &Reference, known: &Known<'_>) -> Option<(Code, String, Option<String>)> {
    match reference {
        Reference::Param(name) if !known.params.contains_key(name.as_str()) => {
            let help = one_of(name, known.params.keys().copied())
                .unwrap_or_else(|| format!("declare it: params: {{ {name}: {{ type: ... }} }}"));
            Some((
                Code::UnknownParameter,
                format!("unknown parameter `{name}`"),
                Some(help),
            ))
        }
        Reference::Port { task, .. } if !known.tasks.contains_key(task.as_str()) => Some((
            Code::UnknownTask,
            format!("unknown task `{task}`"),
            one_of(task, known.tasks.keys().copied()),
        )),
        Reference::Port { task, port } => {
            let plugin = known.plugin(task)?;
            if plugin.outputs.iter().any(|output| output.name == port) {
                return None;
            }
            let names = plugin.outputs.iter().map(|output| output.name);
            let help = one_of(port, names).unwrap_or_else(|| {
                format!(
                    "`{}` has no ports; `needs: [{task}]` draws an edge without data",
                    plugin.name
                )
            });
            Some((
                Code::UnknownPort,
                format!("`{}` of task `{task}` has no port `{port}`", plugin.name),
                Some(help),
            ))
        }
        Reference::Param(_) | Reference::Run(_) | Reference::Secret(_) => None,
    }
}

/// Under rules that let a task start after skips or failures, a value may be absent.
pub(crate) fn warn_of_absence(trigger: TriggerRule, dependencies: usize, reads: &Reads, findings: &mut Vec<Finding>) {
    let sure = match trigger {
        TriggerRule::AllSuccess => true,
        TriggerRule::OneSuccess | TriggerRule::NoneFailedMinOneSuccess | TriggerRule::AllDoneMinOneSuccess => {
            dependencies == 1
        }
        _ => false,
    };
    if sure {
        return;
    }
    for (reference, place) in &reads.without_default {
        let message = format!(
            "`{reference}` may be absent: the task's trigger lets it start although that one was skipped or failed"
        );
        findings.push(
            Finding::new(Code::MayBeAbsent, *place, message)
                .with_help(format!("say what it is then: `{reference} | default(none)`")),
        );
    }
}

/// What is read where no task has run yet, or all have: parameters, the run and secrets, but no task.
pub(crate) fn check_without_tasks(
    node: &Node,
    name: &str,
    text: &str,
    known: &Known<'_>,
    reads: &mut Reads,
    findings: &mut Vec<Finding>,
) {
    let mut own = Reads::default();
    check(node, text, known, &mut own, findings);
    for (task, place) in &own.tasks {
        findings.push(
            Finding::new(
                Code::BadExpression,
                *place,
                format!("`{name}` belongs to no task: it cannot read what `{task}` makes"),
            )
            .with_help("it reads `params.<name>`, `run.<field>` and `secrets.<name>`"),
        );
    }
    reads.params.append(&mut own.params);
    reads.secrets.append(&mut own.secrets);
}

/// `when` is shown as it is and as it came out, so it reads no secret.
pub(crate) fn refuse_secrets(reads: &Reads, findings: &mut Vec<Finding>) {
    for (name, place) in &reads.secrets {
        findings.push(
            Finding::new(
                Code::BadExpression,
                *place,
                format!("a condition reads no secret: what `{name}` made of it would be shown"),
            )
            .with_help("read the secret in `with` or `environment` of a task, and that task's port here"),
        );
    }
}

/// Secrets that are in none of their places.
pub(crate) fn warn_of_secrets(reads: &[(String, Span)], is_there: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    for (name, place) in reads.iter().filter(|(name, _)| !is_there(name)) {
        findings.push(
            Finding::new(Code::SecretNotFound, *place, format!("the secret `{name}` is nowhere"))
                .with_help(secret_places(name)),
        );
    }
}

/// The entries of `needs`: known tasks and where they stand.
pub(crate) fn needs<'n>(
    node: Option<&'n Node>,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<(&'n str, Span)> {
    let mut needs = Vec::new();
    for item in node.into_iter().flat_map(Node::items) {
        let Some(task) = item.text_of_scalar() else { continue };
        if known.tasks.contains_key(task) {
            needs.push((task, item.span));
        } else if !has_expression(task) {
            let help = one_of(task, known.tasks.keys().copied()).unwrap_or_else(|| list(known.tasks.keys().copied()));
            findings.push(Finding::new(Code::UnknownTask, item.span, format!("unknown task `{task}`")).with_help(help));
        }
    }
    needs
}
