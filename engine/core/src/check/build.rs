//! Tree -> spec. Reads what fits and leaves the rest: what does not fit was reported, and nothing is built then.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diagnostics::{Code, Finding};
use crate::plugin::PluginEntry;
use crate::spec::{Defaults, Notify, Resources, Retry, Schedule, TaskSpec, parse_duration, parse_size};
use crate::template::whole_expression;
use crate::yaml::Node;

/// Limit of an attempt when the file says nothing: long enough for any training, short enough that a hang is noticed.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn defaults(node: Option<&Node>, findings: &mut Vec<Finding>) -> Defaults {
    Defaults {
        timeout: node
            .and_then(|node| duration(node, "timeout"))
            .unwrap_or(DEFAULT_TIMEOUT),
        retry: retry(node.and_then(|node| node.get("retry")), &Retry::default(), findings),
        environment: node.map(environment).unwrap_or_default(),
    }
}

/// The variables as they are written: `1.10` stays `1.10`.
fn environment(node: &Node) -> BTreeMap<String, String> {
    let entries = node.get("environment").map(Node::entries).unwrap_or_default();
    entries
        .iter()
        .filter_map(|(key, value)| Some((key.text.clone(), value.text_of_scalar()?.to_owned())))
        .collect()
}

pub(crate) fn notify(node: &Node) -> Option<Notify> {
    let on = node.get("on")?.items().iter().map(|item| {
        let text = item.as_text()?.to_owned();
        serde_json::from_value(Value::String(text)).ok()
    });
    Some(Notify {
        on: on.collect::<Option<_>>()?,
        webhook: text(node, "webhook")?,
    })
}

pub(crate) fn schedule(node: &Node) -> Schedule {
    Schedule {
        cron: text(node, "cron").unwrap_or_default(),
        timezone: text(node, "timezone").unwrap_or_else(|| "UTC".to_owned()),
        on_gap: choice(node, "on_gap").unwrap_or_default(),
        on_overlap: choice(node, "on_overlap").unwrap_or_default(),
        catchup: choice(node, "catchup").unwrap_or_default(),
        overlap: choice(node, "overlap").unwrap_or_default(),
    }
}

/// A task without its `with` and its dependencies.
pub(crate) fn task(
    id: &str,
    node: &Node,
    plugin: &PluginEntry,
    defaults: &Defaults,
    findings: &mut Vec<Finding>,
) -> TaskSpec {
    let resources = node.get("resources");
    TaskSpec {
        id: id.to_owned(),
        uses: plugin.name.to_owned(),
        with: Value::Null,
        dependencies: Default::default(),
        trigger: choice(node, "trigger").unwrap_or_default(),
        when: node.get("when").and_then(condition),
        retry: retry(node.get("retry"), &defaults.retry, findings),
        timeout: duration(node, "timeout").unwrap_or(defaults.timeout),
        isolation: choice(node, "isolation").unwrap_or(plugin.isolation),
        resources: Resources {
            memory_bytes: resources.and_then(|node| parse_size(node.get("memory")?.text_of_scalar()?).ok()),
            threads: resources.and_then(|node| usize::try_from(node.get("threads")?.as_u64()?).ok()),
        },
        environment: {
            let mut variables = defaults.environment.clone();
            variables.extend(environment(node));
            variables
        },
    }
}

/// The text of the expression; `true` and `false` are expressions, too.
fn condition(node: &Node) -> Option<String> {
    match node.as_boolean() {
        Some(value) => Some(value.to_string()),
        None => node.as_text().and_then(whole_expression).map(str::to_owned),
    }
}

/// Each field that is not written comes from what the task inherits.
fn retry(node: Option<&Node>, inherited: &Retry, findings: &mut Vec<Finding>) -> Retry {
    let Some(node) = node else { return inherited.clone() };
    let retry = Retry {
        attempts: node
            .get("attempts")
            .and_then(Node::as_u64)
            .and_then(|attempts| u32::try_from(attempts).ok())
            .unwrap_or(inherited.attempts),
        backoff: choice(node, "backoff").unwrap_or(inherited.backoff),
        initial: duration(node, "initial").unwrap_or(inherited.initial),
        max: duration(node, "max").unwrap_or(inherited.max),
        jitter: node
            .get("jitter")
            .and_then(Node::as_boolean)
            .unwrap_or(inherited.jitter),
    };
    let written = node.get("max").or_else(|| node.get("initial"));
    if let Some(written) = written.filter(|_| retry.initial > retry.max) {
        let message = format!(
            "the first pause ({:?}) is longer than the longest ({:?})",
            retry.initial, retry.max
        );
        findings
            .push(Finding::new(Code::OutOfBounds, written.span, message).with_help("raise `max` or lower `initial`"));
    }
    retry
}

fn duration(node: &Node, key: &str) -> Option<Duration> {
    parse_duration(node.get(key)?.text_of_scalar()?).ok()
}

pub(crate) fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key)?.text_of_scalar().map(str::to_owned)
}

fn choice<T: DeserializeOwned>(node: &Node, key: &str) -> Option<T> {
    serde_json::from_value(Value::String(node.get(key)?.as_text()?.to_owned())).ok()
}
