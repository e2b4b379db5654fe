//! Does a case fit its DAG?

use std::collections::BTreeSet;

use super::file::{Case, ExpectedPort, GivenPort};
use crate::check::word;
use crate::diagnostics::{Code, Finding, list, one_of};
use crate::plugin::{PluginEntry, PortKind, Registry};
use crate::spec::{APPROVAL_PORTS, Dag, TaskSpec};
use crate::template::{Expression, Reference, references};
use crate::yaml::{Node, Span};

pub(super) struct Fit<'a> {
    pub(super) dag: &'a Dag,
    pub(super) registry: &'a Registry,
    pub(super) case: &'a Case,
    pub(super) tree: &'a Node,
    /// Of the case.
    pub(super) pointer: String,
}

impl<'a> Fit<'a> {
    pub(super) fn check(&self, findings: &mut Vec<Finding>) {
        self.check_params(findings);
        self.check_outcome(findings);
        let ids = || self.dag.tasks.iter().map(|task| task.id.as_str());
        let Some(task) = self.dag.tasks.iter().find(|task| task.id == self.case.task) else {
            let message = format!("`{}` has no task `{}`", self.dag.name, self.case.task);
            let unknown = Finding::new(Code::UnknownTask, self.place("/task"), message);
            findings.push(unknown.maybe_help(one_of(&self.case.task, ids())));
            return;
        };
        if task.approval.is_some() {
            let message = format!("`{}` asks a person: a case cannot answer", task.id);
            let asks = Finding::new(Code::OutOfBounds, self.place("/task"), message);
            findings.push(asks.with_help(format!("try the tasks behind it, with `given: {{ {}: ... }}`", task.id)));
            return;
        }
        for (id, ports) in &self.case.given {
            if self.check_before(task, id, &format!("/given/{id}"), findings) {
                self.check_given(id, ports, findings);
            }
        }
        for (number, id) in self.case.skipped.iter().enumerate() {
            let place = format!("/skipped/{number}");
            if self.check_before(task, id, &place, findings) && self.case.given.contains_key(id) {
                let message = format!("`{id}` was skipped, so that nothing of it can be given");
                findings.push(Finding::new(Code::OutOfBounds, self.place(&place), message));
            }
        }
        self.check_reads(task, findings);
        self.check_expected(task, findings);
    }

    /// A key's place below the case.
    fn place(&self, below: &str) -> Span {
        self.tree.place_of(&format!("{}{below}", self.pointer))
    }

    fn name_place(&self) -> Span {
        self.place("/name")
    }

    fn check_params(&self, findings: &mut Vec<Finding>) {
        for (name, value) in &self.case.params {
            let place = self.place(&format!("/params/{name}"));
            match self.dag.params.get(name) {
                None => {
                    let unknown = Finding::new(Code::UnknownParameter, place, format!("unknown parameter `{name}`"));
                    findings.push(unknown.maybe_help(one_of(name, self.dag.params.keys().map(String::as_str))));
                }
                Some(param) => {
                    if let Err(problem) = param.accept(value) {
                        findings.push(Finding::new(
                            Code::WrongType,
                            place,
                            format!("parameter `{name}` {problem}"),
                        ));
                    }
                }
            }
        }
        let missing = self
            .dag
            .params
            .iter()
            .filter(|(name, param)| param.default.is_none() && !self.case.params.contains_key(*name));
        for (name, _) in missing {
            findings.push(
                Finding::new(
                    Code::MissingKey,
                    self.name_place(),
                    format!("parameter `{name}` has no default and is not given"),
                )
                .with_help("give it under `params`"),
            );
        }
    }

    fn check_outcome(&self, findings: &mut Vec<Finding>) {
        let said = [
            self.case.expect.is_some(),
            self.case.fails.is_some(),
            self.case.is_skipped,
        ];
        match said.iter().filter(|said| **said).count() {
            1 => {}
            0 => findings.push(
                Finding::new(
                    Code::MissingKey,
                    self.name_place(),
                    "the case does not say what has to come of it",
                )
                .with_help("add `expect`, `fails` or `is_skipped: true`"),
            ),
            _ => findings.push(
                Finding::new(
                    Code::OutOfBounds,
                    self.name_place(),
                    "the case says more than one thing that has to come of it",
                )
                .with_help("keep one of `expect`, `fails` and `is_skipped`"),
            ),
        }
        if let Some(text) = &self.case.logical_date
            && text.parse::<jiff::Timestamp>().is_err()
        {
            findings.push(
                Finding::new(
                    Code::WrongType,
                    self.place("/logical_date"),
                    format!("`{text}` is not an instant"),
                )
                .with_help("write it such as 2017-05-01T02:00:00Z"),
            );
        }
    }

    fn check_before(&self, task: &TaskSpec, id: &str, below: &str, findings: &mut Vec<Finding>) -> bool {
        if task.dependencies.contains(id) {
            return true;
        }
        let message = format!("`{}` does not come after `{id}`", task.id);
        let help = one_of(id, task.dependencies.iter().map(String::as_str))
            .unwrap_or_else(|| format!("`{}` comes after no task", task.id));
        findings.push(Finding::new(Code::UnknownTask, self.place(below), message).with_help(help));
        false
    }

    fn plugin(&self, task: &str) -> Option<&'a PluginEntry> {
        let spec = self.dag.tasks.iter().find(|spec| spec.id == task)?;
        self.registry.get(&spec.uses)
    }

    fn kind(&self, task: &str, port: &str, place: Span, findings: &mut Vec<Finding>) -> Option<PortKind> {
        let spec = self.dag.task(task)?;
        if let Some(approval) = &spec.approval {
            let ports = || approval.fields.keys().map(String::as_str).chain(APPROVAL_PORTS);
            if !ports().any(|name| name == port) {
                let message = format!("`{task}` has no port `{port}`");
                findings.push(Finding::new(Code::UnknownPort, place, message).maybe_help(one_of(port, ports())));
                return None;
            }
            return Some(PortKind::Value);
        }
        let plugin = self.plugin(task)?;
        let found = plugin.outputs.iter().find(|output| output.name == port);
        if found.is_none() {
            let message = format!("`{task}` has no port `{port}`");
            let names = plugin.outputs.iter().map(|output| output.name);
            findings.push(Finding::new(Code::UnknownPort, place, message).maybe_help(one_of(port, names)));
        }
        // What the instances of a task left is a list.
        found.map(|output| match spec.foreach {
            Some(_) => PortKind::Value,
            None => output.kind,
        })
    }

    fn check_given(
        &self,
        task: &str,
        ports: &std::collections::BTreeMap<String, GivenPort>,
        findings: &mut Vec<Finding>,
    ) {
        for (port, given) in ports {
            let place = self.place(&format!("/given/{task}/{port}"));
            let Some(kind) = self.kind(task, port, place, findings) else {
                continue;
            };
            let tables = [given.rows.is_some(), given.csv.is_some(), given.from.is_some()];
            let tables = tables.iter().filter(|given| **given).count();
            let help = match kind {
                PortKind::Table if tables == 1 && given.value.is_none() => continue,
                PortKind::Table => "a table is given by one of `rows`, `csv` and `from`",
                PortKind::Value | PortKind::Any if tables == 0 && given.types.is_empty() && given.value.is_some() => {
                    continue;
                }
                PortKind::Value | PortKind::Any => "it is given by `value`",
                PortKind::Model | PortKind::Lookup | PortKind::Report => "only tables and values can be given",
            };
            let message = format!("`tasks.{task}.{port}` is a {}", word(kind));
            findings.push(Finding::new(Code::KindMismatch, place, message).with_help(help));
        }
    }

    /// Ports that the task reads and nobody gives. What a skipped task leaves absent is the task's own affair.
    fn check_reads(&self, task: &TaskSpec, findings: &mut Vec<Finding>) {
        let mut read: BTreeSet<Reference> = references(&task.with).unwrap_or_default();
        let list = task.foreach.as_deref();
        read.extend(list.and_then(|list| references(&list.items).ok()).unwrap_or_default());
        let key = list.and_then(|list| list.key.as_deref());
        for expression in [task.when.as_deref(), key].into_iter().flatten() {
            if let Ok(expression) = Expression::parse(expression) {
                read.extend(expression.references);
            }
        }
        for reference in read {
            let Reference::Port { task: before, port } = &reference else {
                continue;
            };
            let given = self
                .case
                .given
                .get(before)
                .is_some_and(|ports| ports.contains_key(port));
            if given || self.case.skipped.contains(before) {
                continue;
            }
            let message = format!("`{}` reads `{reference}`, which is not given", task.id);
            let help =
                format!("give it under `given: {{ {before}: {{ {port}: ... }} }}`, or list `{before}` under `skipped`");
            findings.push(Finding::new(Code::MissingKey, self.name_place(), message).with_help(help));
        }
    }

    fn check_expected(&self, task: &TaskSpec, findings: &mut Vec<Finding>) {
        for (port, expected) in self.case.expect.iter().flatten() {
            let place = self.place(&format!("/expect/{port}"));
            let Some(kind) = self.kind(&task.id, port, place, findings) else {
                continue;
            };
            let fitting: &[&str] = match kind {
                PortKind::Table => &["row_count", "columns", "rows"],
                PortKind::Report => &["summary"],
                PortKind::Value | PortKind::Any => &["value"],
                PortKind::Model | PortKind::Lookup => &[],
            };
            let named = names(expected);
            let wrong = named.iter().find(|name| !fitting.contains(name));
            if let Some(name) = wrong {
                let message = format!("port `{port}` is a {} and has no `{name}`", word(kind));
                let mut finding = Finding::new(Code::KindMismatch, place, message);
                if !fitting.is_empty() {
                    finding = finding.with_help(format!("it has {}", list(fitting.iter().copied())));
                }
                findings.push(finding);
            } else if named.is_empty() && !matches!(kind, PortKind::Model | PortKind::Lookup) {
                let message = format!("nothing is expected of port `{port}`");
                let help = format!("name one of {}", list(fitting.iter().copied()));
                findings.push(Finding::new(Code::MissingKey, place, message).with_help(help));
            }
        }
    }
}

fn names(expected: &ExpectedPort) -> Vec<&'static str> {
    let ExpectedPort {
        row_count,
        columns,
        rows,
        summary,
        value,
    } = expected;
    let named = [
        ("row_count", row_count.is_some()),
        ("columns", columns.is_some()),
        ("rows", rows.is_some()),
        ("summary", summary.is_some()),
        ("value", value.is_some()),
    ];
    named
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name)
        .collect()
}
