//! `triggers:` and `cooldown:`: what their schema alone does not show, and the tree as triggers.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{duration, text};
use super::format::part_of;
use super::known::Known;
use super::references::{self, Reads};
use crate::diagnostics::{Code, Finding, list, nearest, one_of};
use crate::spec::{Limit, Trigger, parse_percentage};
use crate::template::{Piece, Reference, has_expression, pieces, references as read_by};
use crate::yaml::{Key, Node, Span};

/// The ways to say how much worse is too much.
const LIMITS: [&str; 3] = ["worse_by", "below", "drop"];

/// Addresses whose content can be watched.
const SCHEMES: [&str; 4] = ["file", "s3", "http", "https"];

/// What the triggers of a file need to know of the rest of it.
pub(crate) struct Context<'a> {
    pub(crate) text: &'a str,
    pub(crate) known: &'a Known<'a>,
    /// The DAG's own name.
    pub(crate) name: Option<&'a str>,
    /// Every parameter with whether it has a default.
    pub(crate) params: Vec<(&'a Key, bool)>,
    /// Whether the DAG has a schedule.
    pub(crate) scheduled: bool,
}

/// Checks all triggers and reads those that are whole.
pub(crate) fn check(
    tree: &Node,
    context: &Context<'_>,
    reads: &mut Reads,
    findings: &mut Vec<Finding>,
) -> Vec<Trigger> {
    let items = tree.get("triggers").map(Node::items).unwrap_or_default();
    let mut triggers = Vec::new();
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for item in items {
        let [(key, node)] = item.entries() else { continue };
        let Some(trigger) = context.one(key, node, reads, findings) else {
            continue;
        };
        if seen.insert(trigger.to_string(), key.span).is_some() {
            findings.push(
                Finding::new(Code::BadTrigger, key.span, format!("`{trigger}` stands twice"))
                    .with_help("one of them is enough; keep the one with the settings that you want"),
            );
        }
        triggers.push(trigger);
    }
    if let Some((key, _)) = tree.entry("cooldown").filter(|_| items.is_empty()) {
        findings.push(
            Finding::new(
                Code::NoEffect,
                key.span,
                "there are no triggers: `cooldown` changes nothing",
            )
            .with_help("it is the least time between runs that `triggers` start; a schedule has its own pace"),
        );
    }
    context.require_defaults(&triggers, findings);
    triggers
}

impl Context<'_> {
    fn one(&self, key: &Key, node: &Node, reads: &mut Reads, findings: &mut Vec<Finding>) -> Option<Trigger> {
        match key.text.as_str() {
            "on_data_change" => {
                let from = node.get("from")?;
                self.check_address(from, reads, findings);
                Some(Trigger::DataChange {
                    from: text(node, "from")?,
                    every: duration(node, "every").unwrap_or(crate::spec::EVERY),
                })
            }
            "on_drift" => Some(Trigger::Drift {
                model: text(node, "model")?,
            }),
            "on_degradation" => {
                let metric = text(node, "metric")?;
                let limit = self.limit(key, node, &metric, findings)?;
                Some(Trigger::Degradation {
                    model: text(node, "model")?,
                    metric,
                    limit,
                    min_labels: node
                        .get("min_labels")
                        .and_then(Node::as_u64)
                        .unwrap_or(crate::spec::MIN_LABELS),
                })
            }
            "on_dataset" => {
                let dataset = text(node, "dataset")?;
                self.refuse_loop(node.get("dataset")?, &dataset, findings);
                Some(Trigger::Dataset { dataset })
            }
            "on_webhook" => {
                let token = node.get("token")?;
                self.check_token(token, reads, findings);
                Some(Trigger::Webhook {
                    token: text(node, "token")?,
                    params: self.mapping(node.get("params"), findings),
                })
            }
            _ => None,
        }
    }

    /// Nothing has run when an address is looked at: it reads parameters and nothing else.
    fn check_address(&self, node: &Node, reads: &mut Reads, findings: &mut Vec<Finding>) {
        let before = findings.len();
        let mut own = Reads::default();
        references::check_without_tasks(node, "from", self.text, self.known, &mut own, findings);
        let Some(address) = node.text_of_scalar() else { return };
        let read = read_by(&serde_json::Value::String(address.to_owned())).unwrap_or_default();
        for reference in read {
            if let Reference::Run(_) | Reference::Secret(_) = reference {
                let place = part_of(self.text, node.span, &reference.to_string());
                findings.push(
                    Finding::new(
                        Code::BadTrigger,
                        place,
                        format!("`from` is looked at without a run: it cannot read `{reference}`"),
                    )
                    .with_help("it reads `params.<name>`, by their defaults"),
                );
            }
        }
        reads.params.append(&mut own.params);
        if findings.len() > before {
            return;
        }
        // What comes out of an expression is seen when it is looked at.
        let first = pieces(address).ok().and_then(|pieces| pieces.into_iter().next());
        let scheme = match first {
            Some(Piece::Plain(plain)) => plain.split_once("://").map(|(scheme, _)| scheme),
            _ => None,
        };
        if let Some(scheme) = scheme.filter(|scheme| !SCHEMES.contains(scheme)) {
            let help = match scheme {
                "simulated" => "simulated records never change: use a schedule".to_owned(),
                _ => nearest(scheme, SCHEMES).map_or_else(
                    || "a path, file://, s3://, http:// or https://".to_owned(),
                    |near| format!("did you mean `{near}://`?"),
                ),
            };
            let place = part_of(self.text, node.span, scheme);
            findings.push(
                Finding::new(Code::BadTrigger, place, format!("`{scheme}://` cannot be watched")).with_help(help),
            );
        }
    }

    fn limit(&self, key: &Key, node: &Node, metric: &str, findings: &mut Vec<Finding>) -> Option<Limit> {
        let place = node.get("metric").map_or(key.span, Node::place);
        let Some(less_is_better) = Trigger::less_is_better(metric) else {
            findings.push(
                Finding::new(
                    Code::BadTrigger,
                    place,
                    format!("nobody knows whether more of `{metric}` is better"),
                )
                .maybe_help(one_of(metric, Trigger::metrics())),
            );
            return None;
        };
        let given: Vec<(&Key, &Node)> = LIMITS.iter().filter_map(|name| node.entry(name)).collect();
        let (limit_key, value) = match given.as_slice() {
            [one] => *one,
            [] => {
                findings.push(
                    Finding::new(
                        Code::MissingKey,
                        key.span,
                        "`on_degradation` does not say how much is too much",
                    )
                    .with_help("write one of `worse_by: 10%`, `drop: 0.1`, `below: 0.5`"),
                );
                return None;
            }
            [_, (second, _), ..] => {
                findings.push(
                    Finding::new(
                        Code::BadTrigger,
                        second.span,
                        "`on_degradation` has one of `worse_by`, `below` and `drop`",
                    )
                    .with_help("make each its own trigger"),
                );
                return None;
            }
        };
        let number = || value.as_number().and_then(serde_json::Number::as_f64);
        match limit_key.text.as_str() {
            "worse_by" => parse_percentage(value.text_of_scalar()?).ok().map(Limit::WorseBy),
            "below" if less_is_better => {
                findings.push(
                    Finding::new(
                        Code::BadTrigger,
                        limit_key.span,
                        format!("less of `{metric}` is better: `below` would fire where the model is good"),
                    )
                    .with_help("write `worse_by: 10%` or `drop: ...`, by how much it may rise"),
                );
                None
            }
            "below" => number().map(Limit::Below),
            _ => number().map(Limit::Drop),
        }
    }

    /// A DAG that starts itself by what it makes never ends.
    fn refuse_loop(&self, node: &Node, dataset: &str, findings: &mut Vec<Finding>) {
        let Some(name) = self.name else { return };
        let own = self.known.tasks.keys().find(|task| {
            let made = format!("{name}-{task}").replace('_', "-");
            dataset == made || dataset.strip_prefix(&made).is_some_and(|rest| rest.starts_with('-'))
        });
        if let Some(task) = own {
            findings.push(
                Finding::new(
                    Code::BadTrigger,
                    node.span,
                    format!("`{dataset}` is what task `{task}` makes: the DAG would start itself"),
                )
                .with_help("name a dataset of another DAG; `ratchet datasets list` shows them"),
            );
        }
    }

    fn check_token(&self, node: &Node, reads: &mut Reads, findings: &mut Vec<Finding>) {
        let before = findings.len();
        references::check_without_tasks(node, "token", self.text, self.known, reads, findings);
        let Some(token) = node.text_of_scalar() else { return };
        if findings.len() > before {
            return;
        }
        let read = read_by(&serde_json::Value::String(token.to_owned())).unwrap_or_default();
        let only_secrets = read.iter().all(|reference| matches!(reference, Reference::Secret(_)));
        if !has_expression(token) || read.is_empty() || !only_secrets {
            findings.push(
                Finding::new(Code::BadTrigger, node.span, "the token of a webhook is no secret")
                    .with_help("whoever reads the file could start runs: write `${{ secrets.NAME }}`"),
            );
        }
    }

    fn mapping(&self, node: Option<&Node>, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
        let mut mapping = BTreeMap::new();
        for (key, value) in node.map(Node::entries).unwrap_or_default() {
            if !self.known.params.contains_key(key.text.as_str()) {
                findings.push(
                    Finding::new(
                        Code::UnknownParameter,
                        key.span,
                        format!("unknown parameter `{}`", key.text),
                    )
                    .maybe_help(one_of(&key.text, self.known.params.keys().copied())),
                );
                continue;
            }
            let Some(pointer) = value.text_of_scalar() else {
                continue;
            };
            if !pointer.starts_with('/') || pointer.len() < 2 {
                findings.push(
                    Finding::new(
                        Code::BadTrigger,
                        value.span,
                        format!("`{pointer}` is no place in the body"),
                    )
                    .with_help("write a JSON pointer: `/until`, `/commit/id`"),
                );
                continue;
            }
            mapping.insert(key.text.clone(), pointer.to_owned());
        }
        mapping
    }

    /// Nobody is there to give a value when a trigger or a tick starts a run.
    fn require_defaults(&self, triggers: &[Trigger], findings: &mut Vec<Finding>) {
        let given: BTreeSet<&str> = triggers
            .iter()
            .filter_map(|trigger| match trigger {
                Trigger::Webhook { params, .. } => Some(params.keys().map(String::as_str).collect()),
                _ => None,
            })
            .next()
            .unwrap_or_default();
        let only_webhook = triggers
            .iter()
            .all(|trigger| matches!(trigger, Trigger::Webhook { .. }));
        for (key, has_default) in &self.params {
            let by_webhook = only_webhook && !self.scheduled && given.contains(key.text.as_str());
            if triggers.is_empty() || *has_default || by_webhook {
                continue;
            }
            let kinds: BTreeSet<&str> = triggers.iter().map(Trigger::kind).collect();
            findings.push(
                Finding::new(
                    Code::BadTrigger,
                    key.span,
                    format!(
                        "the parameter `{}` has no default, and {} gives it no value",
                        key.text,
                        list(kinds)
                    ),
                )
                .with_help("give it a `default`"),
            );
        }
    }
}
