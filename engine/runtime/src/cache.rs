//! What a task came to once, taken again: see [`ratchet_core::plugin::Plugin::CACHEABLE`].
//!
//! The key is a digest of everything that decides the outputs: this very program, the rendered configuration with the
//! names of secrets in the place of their values (tables and models of earlier tasks stand in it with the digests of their
//! files), the environment, the seed, and what the plugin says about the world outside. A key is kept with the task that
//! succeeded; the newest success under the same key is taken.

use std::collections::BTreeMap;

use ratchet_artifacts::sha256;
use ratchet_core::plugin::{Place, RunContext};
use ratchet_core::spec::{Dag, TaskSpec};
use ratchet_core::template::Scope;
use serde_json::{Value, json};

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::prepare::{Prepared, Rendered, ports, prepare};
use crate::secrets::Secrets;
use crate::seed::seed;

/// A task's configuration with the names of secrets in the place of their values: a key must tell nothing about them,
/// and a secret that is renewed changes no result. None if it cannot be rendered so.
pub(crate) fn without_secrets(spec: &TaskSpec, id: &str, scope: &mut Scope) -> Option<Rendered> {
    let names = scope.secrets.keys().map(|name| {
        let shown = Value::String(format!("secret {name}"));
        (name.clone(), shown)
    });
    let names = names.collect();
    let values = std::mem::replace(&mut scope.secrets, names);
    let prepared = prepare(spec, id, false, scope);
    scope.secrets = values;
    match prepared {
        Prepared::Start(rendered) => Some(rendered),
        Prepared::Skip(_) | Prepared::Fail(_) => None,
    }
}

/// The digest of what decides the outputs of a task or of an instance, as 64 hexadecimal digits, or why it cannot be told.
pub(crate) async fn key(
    engine: &Inner,
    spec: &TaskSpec,
    id: &str,
    rendered: Rendered,
    run: RunContext,
) -> Result<String, String> {
    let Rendered { with, environment } = rendered;
    let plugin = engine.options.registry.get(&spec.uses);
    let plugin = plugin.ok_or_else(|| format!("no plugin is called `{}`", spec.uses))?;
    let seed = seed(&run.dag, id);
    let place = Place {
        run,
        working_directory: engine.options.working_directory.clone(),
    };
    let outside = plugin.fingerprint(with.clone(), &place).await;
    let outside = outside.map_err(|error| error.message)?;
    let build = engine.build().await?;
    let decides = json!({
        "format": 1,
        "build": build,
        "uses": spec.uses,
        "with": with,
        "environment": environment,
        "seed": seed,
        "outside": outside,
    });
    Ok(sha256(decides.to_string().as_bytes()))
}

/// For people: where outputs were taken from.
pub(crate) fn reason(run: &str) -> String {
    format!("cached from run {run}")
}

impl Engine {
    /// Which tasks of a run that began now would take their outputs from an earlier one, with the id of that run. Only
    /// what can be told without running anything: a task after one that has to run is not looked at.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn cached_tasks(
        &self,
        dag: &Dag,
        params: &BTreeMap<String, Value>,
        run: &RunContext,
    ) -> Result<BTreeMap<String, String>, EngineError> {
        let mut found = BTreeMap::new();
        if !dag.tasks.iter().any(|task| task.cache) {
            return Ok(found);
        }
        let places = Secrets::from_environment();
        let secrets = dag.secrets.iter();
        let secrets = secrets.filter(|name| matches!(places.get(name), Ok(Some(_))));
        let mut scope = Scope {
            params: params.clone(),
            tasks: BTreeMap::new(),
            run: json!({
                "logical_date": run.logical_date.to_string(),
                "interval_start": run.interval_start.to_string(),
                "interval_end": run.interval_end.to_string(),
            }),
            secrets: secrets.map(|name| (name.clone(), Value::Null)).collect(),
            each: None,
        };
        // What the items of a list are is known to the run alone.
        for task in dag.tasks.iter().filter(|task| task.cache && task.foreach.is_none()) {
            let known = task.dependencies.iter().all(|before| scope.tasks.contains_key(before));
            if !known || !matches!(prepare(task, &task.id, true, &scope), Prepared::Start(_)) {
                continue;
            }
            let Some(rendered) = without_secrets(task, &task.id, &mut scope) else {
                continue;
            };
            let Ok(key) = key(&self.inner, task, &task.id, rendered, run.clone()).await else {
                continue;
            };
            if let Some((run, earlier)) = self.inner.store.newest_under_key(&key).await? {
                scope.tasks.insert(task.id.clone(), ports(&earlier.outputs));
                found.insert(task.id.clone(), run);
            }
        }
        Ok(found)
    }
}
