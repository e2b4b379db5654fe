//! The plugins that this binary knows.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::context::{Place, TaskContext};
use super::error::TaskError;
use super::port::{Outputs, Port};
use super::task::{ConfigProblem, Isolation, Plugin};

type RunFuture<'a> = Pin<Box<dyn Future<Output = Result<Outputs, TaskError>> + Send + 'a>>;

type FingerprintFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, TaskError>> + Send + 'a>>;

/// A plugin with its types erased.
pub struct PluginEntry {
    /// What stands behind `uses`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Where it runs by default.
    pub isolation: Isolation,
    /// True if it touches nothing: see [`Plugin::PURE`].
    pub pure: bool,
    /// True if its outputs may be taken from an earlier run: see [`Plugin::CACHEABLE`].
    pub cacheable: bool,
    /// True if it reads raw bytes in the place of its source: see [`Plugin::REPLAYS`].
    pub replays: bool,
    /// Output ports.
    pub outputs: Vec<Port>,
    /// JSON Schema of `with`.
    pub schema: Value,
    /// Reads a rendered `with` and returns all problems, those of its types included.
    pub validate: fn(&Value) -> Vec<ConfigProblem>,
    run: for<'a> fn(Value, &'a TaskContext) -> RunFuture<'a>,
    fingerprint: for<'a> fn(Value, &'a Place) -> FingerprintFuture<'a>,
}

impl PluginEntry {
    /// Runs the plugin with a rendered configuration.
    pub async fn run(&self, with: Value, context: &TaskContext) -> Result<Outputs, TaskError> {
        (self.run)(with, context).await
    }

    /// What the plugin would depend on outside of a rendered configuration and of the bucket.
    pub async fn fingerprint(&self, with: Value, place: &Place) -> Result<Option<String>, TaskError> {
        (self.fingerprint)(with, place).await
    }
}

fn parse<P: Plugin>(with: Value) -> Result<P::Config, String> {
    serde_json::from_value(with).map_err(|error| error.to_string())
}

fn validate<P: Plugin>(with: &Value) -> Vec<ConfigProblem> {
    match parse::<P>(with.clone()) {
        Ok(config) => P::validate(&config),
        Err(message) => vec![ConfigProblem {
            pointer: String::new(),
            message,
            help: None,
        }],
    }
}

fn run<P: Plugin>(with: Value, context: &TaskContext) -> RunFuture<'_> {
    Box::pin(async move {
        let config = parse::<P>(with).map_err(|message| {
            TaskError::permanent(format!(
                "the configuration of `{}` (task `{}`) is not valid: {message}",
                P::NAME,
                context.task
            ))
        })?;
        if let Some(problem) = P::validate(&config).into_iter().next() {
            let mut error = TaskError::permanent(format!(
                "`with{}` of task `{}`: {}",
                problem.pointer, context.task, problem.message
            ));
            error.help = problem.help;
            return Err(error);
        }
        P::run(config, context).await
    })
}

fn fingerprint<P: Plugin>(with: Value, place: &Place) -> FingerprintFuture<'_> {
    Box::pin(async move {
        let config = parse::<P>(with).map_err(TaskError::permanent)?;
        P::fingerprint(&config, place).await
    })
}

/// What a DAG file may name: plugins by `uses`, a user's own beside the built-in ones, and pools by `pool`.
#[derive(Default)]
pub struct Registry {
    entries: BTreeMap<&'static str, PluginEntry>,
    pools: Option<BTreeMap<String, u32>>,
}

impl Registry {
    /// Adds a plugin.
    pub fn add<P: Plugin>(&mut self) -> &mut Self {
        let schema = schemars::schema_for!(P::Config).to_value();
        let entry = PluginEntry {
            name: P::NAME,
            summary: P::SUMMARY,
            isolation: P::ISOLATION,
            pure: P::PURE,
            cacheable: P::CACHEABLE,
            replays: P::REPLAYS,
            outputs: P::outputs(),
            schema,
            validate: validate::<P>,
            run: run::<P>,
            fingerprint: fingerprint::<P>,
        };
        self.entries.insert(P::NAME, entry);
        self
    }

    /// Says which pools there are, with their slots. Until then every `pool` of a file is accepted, and no task that
    /// names one can run.
    pub fn declare_pools(&mut self, pools: BTreeMap<String, u32>) -> &mut Self {
        self.pools = Some(pools);
        self
    }

    /// The pools with their slots, if they were declared.
    pub fn pools(&self) -> Option<&BTreeMap<String, u32>> {
        self.pools.as_ref()
    }

    /// The plugin behind a `uses`.
    pub fn get(&self, name: &str) -> Option<&PluginEntry> {
        self.entries.get(name)
    }

    /// All plugins by name.
    pub fn iter(&self) -> impl Iterator<Item = &PluginEntry> {
        self.entries.values()
    }
}
