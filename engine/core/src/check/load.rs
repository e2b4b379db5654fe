//! A file, from its text to a checked DAG.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::configuration::Configuration;
use super::known::Known;
use super::references::{self, Reads};
use super::shape::{At, Mode, Outcome, Shape};
use super::words::describe;
use super::{approval, build, configuration, foreach, params, pool, triggers};
use crate::diagnostics::{Code, Diagnostics, Finding, Severity, locate, one_of};
use crate::plan::{self, Edges};
use crate::plugin::{PluginEntry, Registry};
use crate::schema;
use crate::spec::{APPROVAL_PORTS, Dag, Defaults, Param, TaskSpec, TriggerRule};
use crate::yaml::{self, Key, Node, NodeValue, Span};

/// Reads and checks a DAG file. Warnings are dropped; [`check`] returns them.
///
/// # Errors
///
/// All problems of the file at once, warnings included.
pub fn load(file_name: &str, text: &str, registry: &Registry) -> Result<Dag, Diagnostics> {
    match check(file_name, text, registry) {
        (Some(dag), _) => Ok(dag),
        (None, diagnostics) => Err(diagnostics),
    }
}

/// Reads and checks a DAG file: the DAG, unless there are errors, and all problems, warnings included.
pub fn check(file_name: &str, text: &str, registry: &Registry) -> (Option<Dag>, Diagnostics) {
    check_with_secrets(file_name, text, registry, &|_| true)
}

/// The same, with a warning for each secret that `is_there` does not know.
pub fn check_with_secrets(
    file_name: &str,
    text: &str,
    registry: &Registry,
    is_there: &dyn Fn(&str) -> bool,
) -> (Option<Dag>, Diagnostics) {
    let surroundings = Surroundings {
        secret_is_there: is_there,
        pools: registry.pools(),
    };
    check_in(file_name, text, registry, &surroundings)
}

/// Reads the text of a run that was begun, by whatever pools there were then.
///
/// # Errors
///
/// As [`load`].
pub fn load_again(file_name: &str, text: &str, registry: &Registry) -> Result<Dag, Diagnostics> {
    let surroundings = Surroundings {
        secret_is_there: &|_| true,
        pools: None,
    };
    match check_in(file_name, text, registry, &surroundings) {
        (Some(dag), _) => Ok(dag),
        (None, diagnostics) => Err(diagnostics),
    }
}

/// What stands around the file.
struct Surroundings<'a> {
    secret_is_there: &'a dyn Fn(&str) -> bool,
    pools: Option<&'a BTreeMap<String, u32>>,
}

fn check_in(
    file_name: &str,
    text: &str,
    registry: &Registry,
    surroundings: &Surroundings<'_>,
) -> (Option<Dag>, Diagnostics) {
    // Some editors write a byte order mark; it is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = Vec::new();
    let dag = match yaml::parse(text) {
        Ok(tree) => check_tree(file_name, text, &tree, registry, surroundings, &mut findings),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    let diagnostics = locate(file_name, text, findings);
    (dag.filter(|_| !diagnostics.has_errors()), diagnostics)
}

fn check_tree(
    file_name: &str,
    text: &str,
    tree: &Node,
    registry: &Registry,
    surroundings: &Surroundings<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Dag> {
    if !matches!(tree.value, NodeValue::Mapping(_)) {
        let message = format!(
            "a DAG file is a mapping with `name` and `tasks`, found {}",
            describe(tree)
        );
        findings.push(Finding::new(Code::WrongType, tree.place(), message));
        return None;
    }
    let schema = schema::dag();
    let shape = Shape {
        root: &schema,
        mode: Mode::Plain,
        text,
    };
    let mut outcome = Outcome::default();
    shape.check(tree, &schema, &At::root("the DAG", tree.place()), &mut outcome);
    findings.extend(outcome.findings);

    let declared = tree.get("params");
    let task_entries = tree.get("tasks").map(Node::entries).unwrap_or_default();
    let known = Known {
        tasks: task_entries
            .iter()
            .map(|(key, node)| (key.text.as_str(), plugin_of(node, registry)))
            .collect(),
        approvals: task_entries.iter().filter_map(approval_ports).collect(),
        fans: task_entries
            .iter()
            .filter(|(_, node)| node.get("foreach").is_some())
            .map(|(key, _)| key.text.as_str())
            .collect(),
        params: declared
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|(key, node)| (key.text.as_str(), params::kind(node)))
            .collect(),
    };
    let params = params::read(declared, findings);
    let defaults = build::defaults(tree.get("defaults"), findings);
    let file = File {
        text,
        registry,
        known: &known,
        params: &params,
        pools: surroundings.pools,
        defaults: &defaults,
    };
    let notify = build::notify(tree.get("notify"), findings);
    let mut shared = Reads::default();
    let variables = tree.get("defaults").and_then(|defaults| defaults.get("environment"));
    for (name, node) in [("environment", variables), ("notify", tree.get("notify"))] {
        if let Some(node) = node {
            references::check_without_tasks(node, name, text, &known, &mut shared, findings);
        }
    }
    let own_name = build::text(tree, "name");
    let context = triggers::Context {
        text,
        known: &known,
        name: own_name.as_deref(),
        params: declared
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|(key, node)| (key, node.get("default").is_some()))
            .collect(),
        scheduled: tree.get("schedule").is_some(),
    };
    let triggers = triggers::check(tree, &context, &mut shared, findings);
    let mut read_params: Vec<String> = shared.params.into_iter().collect();
    let mut secrets = shared.secrets;
    let checked: Vec<Checked<'_>> = task_entries
        .iter()
        .map(|(key, node)| {
            let checked = file.check_task(key, node, findings);
            read_params.extend(checked.reads.params.iter().cloned());
            secrets.extend(checked.reads.secrets.iter().cloned());
            checked
        })
        .collect();
    warn_of_unused(declared, &read_params, findings);
    references::warn_of_secrets(&secrets, surroundings.secret_is_there, findings);

    let edges: Vec<Edges<'_>> = checked.iter().map(Checked::edges).collect();
    let order = match plan::order(&edges) {
        Ok(order) => order,
        Err(cycles) => {
            findings.extend(cycles);
            return None;
        }
    };
    let mut specs: Vec<Option<TaskSpec>> = checked.into_iter().map(Checked::into_spec).collect();
    Some(Dag {
        name: build::text(tree, "name")?,
        description: build::text(tree, "description").unwrap_or_default(),
        schedule: tree.get("schedule").map(build::schedule),
        triggers,
        cooldown: build::duration(tree, "cooldown").unwrap_or_default(),
        deadline: build::duration(tree, "deadline"),
        timeout: build::duration(tree, "timeout"),
        max_active_runs: tree
            .get("max_active_runs")
            .and_then(Node::as_u64)
            .and_then(|runs| u32::try_from(runs).ok())
            .unwrap_or(1),
        notify,
        secrets: secrets.into_iter().map(|(name, _)| name).collect(),
        tasks: order
            .into_iter()
            .map(|at| specs.get_mut(at).and_then(Option::take))
            .collect::<Option<_>>()?,
        params,
        defaults,
        file_name: file_name.to_owned(),
        text: text.to_owned(),
    })
}

/// The ports of a task that asks a person: those that every approval has, and the fields of its form.
fn approval_ports((key, node): &(Key, Node)) -> Option<(&str, BTreeSet<&str>)> {
    let fields = node
        .get("approval")?
        .get("fields")
        .map(Node::entries)
        .unwrap_or_default();
    let fields = fields.iter().map(|(field, _)| field.text.as_str());
    Some((key.text.as_str(), fields.chain(APPROVAL_PORTS).collect()))
}

fn plugin_of<'r>(task: &Node, registry: &'r Registry) -> Option<&'r PluginEntry> {
    registry.get(task.get("uses")?.text_of_scalar()?)
}

fn warn_of_unused(declared: Option<&Node>, read: &[String], findings: &mut Vec<Finding>) {
    for (key, _) in declared.map(Node::entries).unwrap_or_default() {
        if !read.contains(&key.text) {
            findings.push(
                Finding::new(
                    Code::UnusedParameter,
                    key.span,
                    format!("nothing reads the parameter `{}`", key.text),
                )
                .with_help(format!("read it as `${{{{ params.{} }}}}`, or remove it", key.text)),
            );
        }
    }
}

/// What the check of one task needs of the others.
struct File<'a> {
    text: &'a str,
    registry: &'a Registry,
    known: &'a Known<'a>,
    params: &'a BTreeMap<String, Param>,
    /// None: whoever runs the DAG knows them.
    pools: Option<&'a BTreeMap<String, u32>>,
    defaults: &'a Defaults,
}

/// One task, as far as it could be read.
struct Checked<'n> {
    id: &'n str,
    needs: Vec<(&'n str, Span)>,
    reads: Reads,
    spec: Option<TaskSpec>,
}

impl<'n> Checked<'n> {
    fn edges(&self) -> Edges<'_> {
        let read = self.reads.tasks.iter().map(|(task, place)| (task.as_str(), *place));
        Edges {
            task: self.id,
            after: read.chain(self.needs.iter().copied()).collect(),
        }
    }

    fn into_spec(self) -> Option<TaskSpec> {
        let dependencies = self.edges().after.keys().map(|task| (*task).to_owned()).collect();
        self.spec.map(|spec| TaskSpec { dependencies, ..spec })
    }
}

/// A task runs a plugin or asks a person.
fn report_nothing_to_do(key: &Key, node: &Node, findings: &mut Vec<Finding>) {
    if !matches!(node.value, NodeValue::Mapping(_)) {
        return;
    }
    // A misspelt key is one problem, not an unknown and a missing one.
    let misspelt = |finding: &Finding| {
        let meant = finding
            .help
            .as_deref()
            .is_some_and(|help| help.contains("`uses`") || help.contains("`approval`"));
        meant && finding.code == Code::UnknownKey && node.entries().iter().any(|(key, _)| key.span == finding.span)
    };
    if !findings.iter().any(misspelt) {
        let message = format!("`{}` lacks the key `uses`", key.text);
        findings.push(Finding::new(Code::MissingKey, key.span, message).with_help("`uses`: Name of the plugin."));
    }
}

impl File<'_> {
    fn check_task<'n>(&self, key: &'n Key, node: &'n Node, findings: &mut Vec<Finding>) -> Checked<'n> {
        let mut reads = Reads::default();
        let needs = references::needs(node.get("needs"), self.known, findings);
        let before = findings.len();
        if let Some(when) = node.get("when") {
            references::check(when, self.text, self.known, &mut reads, findings);
            references::refuse_secrets(&reads, findings);
        }
        for place in ["with", "environment"] {
            if let Some(node) = node.get(place) {
                references::check(node, self.text, self.known, &mut reads, findings);
            }
        }
        if let Some(notify) = node.get("notify") {
            references::check_without_tasks(notify, "notify", self.text, self.known, &mut reads, findings);
        }
        let foreach = foreach::check(node, self.text, self.known, &mut reads, findings);
        self.check_condition(node, findings);
        if node.get("approval").is_some() {
            let asked = approval::check(key, node, self.text, self.known, &mut reads, findings);
            let spec = asked.map(|asked| build::question(&key.text, node, asked, self.defaults, findings));
            return self.finish(key, node, needs, reads, spec, findings);
        }
        let plugin = self.known.plugin(&key.text);
        let Some(plugin) = plugin else {
            self.report_plugin(key, node, findings);
            return Checked {
                id: &key.text,
                needs,
                reads,
                spec: None,
            };
        };
        let mut spec = build::task(&key.text, node, plugin, self.defaults, findings);
        let (with, owner) = match node.entry("with") {
            Some((with_key, with)) => (with.clone(), with_key.span),
            None => (
                Node {
                    span: key.span,
                    value: NodeValue::Mapping(Vec::new()),
                },
                key.span,
            ),
        };
        if !matches!(with.value, NodeValue::Mapping(_)) {
            return Checked {
                id: &key.text,
                needs,
                reads,
                spec: None,
            };
        }
        self.explain_misplaced_keys(key, node, plugin, findings);
        let shape = Shape {
            root: &plugin.schema,
            mode: Mode::Template(self.known),
            text: self.text,
        };
        let mut outcome = Outcome::default();
        shape.check(
            &with,
            &plugin.schema,
            &At::root(&format!("`with` of `{}`", key.text), owner),
            &mut outcome,
        );
        findings.append(&mut outcome.findings);
        let skipped = node
            .get("when")
            .is_some_and(|when| configuration::skipped_by_defaults(when, self.known, self.params));
        if findings.len() == before && !skipped {
            let configuration = Configuration {
                node: &with,
                as_text: &outcome.as_text,
                owner,
                plugin,
            };
            configuration::check(&configuration, self.known, self.params, self.text, findings);
        }
        spec.with = configuration::to_json(&with, &outcome.as_text);
        spec.foreach = foreach.map(Arc::new);
        spec.pool = pool::check(node, self.pools, findings);
        self.finish(key, node, needs, reads, Some(spec), findings)
    }

    /// What is said of every task once it is read.
    fn finish<'n>(
        &self,
        key: &'n Key,
        node: &'n Node,
        needs: Vec<(&'n str, Span)>,
        reads: Reads,
        spec: Option<TaskSpec>,
        findings: &mut Vec<Finding>,
    ) -> Checked<'n> {
        let checked = Checked {
            id: &key.text,
            needs,
            reads,
            spec: None,
        };
        let Some(spec) = spec else { return checked };
        let dependencies = checked.edges().after.len();
        references::warn_of_absence(spec.trigger, dependencies, &checked.reads, findings);
        if let Some((trigger, _)) = node
            .entry("trigger")
            .filter(|_| dependencies == 0 && spec.trigger != TriggerRule::AllSuccess)
        {
            findings.push(
                Finding::new(
                    Code::NoEffect,
                    trigger.span,
                    format!("`{}` comes after nothing: its trigger changes nothing", key.text),
                )
                .with_help("name the tasks before it in `needs`, or remove `trigger`"),
            );
        }
        Checked {
            spec: Some(spec),
            ..checked
        }
    }

    /// `when` decides by a value; a table is no answer to a question.
    fn check_condition(&self, node: &Node, findings: &mut Vec<Finding>) {
        let Some(when) = node.get("when").filter(|when| when.as_text().is_some()) else {
            return;
        };
        let schema = Value::Object(serde_json::Map::from_iter([(
            "type".to_owned(),
            Value::from(vec!["boolean", "string", "number", "integer"]),
        )]));
        let shape = Shape {
            root: &schema,
            mode: Mode::Template(self.known),
            text: self.text,
        };
        let mut outcome = Outcome::default();
        shape.check(when, &schema, &At::root("`when`", when.span), &mut outcome);
        findings.append(&mut outcome.findings);
    }

    fn report_plugin(&self, key: &Key, node: &Node, findings: &mut Vec<Finding>) {
        let Some(uses) = node.get("uses") else {
            return report_nothing_to_do(key, node, findings);
        };
        let Some(name) = uses.text_of_scalar() else { return };
        if crate::template::has_expression(name) {
            return;
        }
        let names: Vec<&str> = self.registry.iter().map(|plugin| plugin.name).collect();
        findings.push(
            Finding::new(Code::UnknownPlugin, uses.span, format!("unknown plugin `{name}`"))
                .maybe_help(one_of(name, names)),
        );
    }

    /// A key of the configuration that stands beside `with` gets told so.
    fn explain_misplaced_keys(&self, task: &Key, node: &Node, plugin: &PluginEntry, findings: &mut [Finding]) {
        let takes = |name: &str| {
            plugin
                .schema
                .get("properties")
                .and_then(|properties| properties.get(name))
                .is_some()
        };
        for (key, _) in node.entries().iter().filter(|(key, _)| takes(&key.text)) {
            let misplaced = findings
                .iter_mut()
                .find(|finding| finding.code == Code::UnknownKey && finding.span == key.span);
            if let Some(finding) = misplaced {
                finding.help = Some(format!(
                    "`{}` is configuration of `{}`: it goes under `with` of `{}`",
                    key.text, plugin.name, task.text
                ));
            }
        }
    }
}

impl Diagnostics {
    /// The warnings alone, for a file that loads.
    pub fn warnings(&self) -> impl Iterator<Item = &crate::diagnostics::Problem> {
        self.problems
            .iter()
            .filter(|problem| problem.severity == Severity::Warning)
    }
}
