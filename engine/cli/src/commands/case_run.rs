//! Runs the task of a case, and nothing else of its DAG, with what the case gives it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use ratchet_core::cases::{Case, Cases, GivenPort};
use ratchet_core::plugin::{Output, Table};
use ratchet_core::spec::Dag;
use ratchet_runtime::cron::interval_of;
use ratchet_runtime::{Beginning, Engine, KeptTask, NewRun, RunTrigger, TaskRecord, TaskState};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

use crate::failure::Failure;
use crate::settings;

/// The ports of the tasks before, by task.
type Ports = BTreeMap<String, BTreeMap<String, Output>>;

/// What the cases of one file are given, made ready in the bucket.
pub struct Given(Vec<Ports>);

/// How the task of a case ended.
pub struct Ended {
    pub task: TaskRecord,
}

impl Given {
    /// Reads all tables of a file by one run of `extract.file` for each, so that they are as a DAG would have them.
    ///
    /// # Errors
    ///
    /// A table that cannot be read, with the case and the port.
    pub async fn make(
        engine: &Engine,
        dag: &Dag,
        cases: &Cases,
        directory: &Path,
        scratch: &Path,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let mut made: Vec<Ports> = vec![Ports::new(); cases.file.cases.len()];
        let mut tasks = Map::new();
        let mut places = Vec::new();
        for (number, case) in cases.file.cases.iter().enumerate() {
            for (task, ports) in &case.given {
                let kept = made[number].entry(task.clone()).or_default();
                for (port, given) in ports {
                    if let Some(value) = &given.value {
                        kept.insert(port.clone(), Output::Value(value.clone()));
                        continue;
                    }
                    let id = format!("t{}", places.len());
                    // A dataset of its own: no case finds the table of another as an earlier version of its own.
                    let with = extraction(given, &format!("given-{id}"), directory, &scratch.join(&id))?;
                    tasks.insert(id, json!({ "uses": "extract.file", "with": with }));
                    places.push((number, task.clone(), port.clone()));
                }
            }
        }
        if places.is_empty() {
            return Ok(Self(made));
        }
        // JSON is YAML.
        let text = json!({ "name": "given", "tasks": tasks }).to_string();
        let registry = ratchet_tasks::registry();
        let reading = ratchet_core::load("given", &text, &registry)
            .map_err(|problems| Failure::input(format!("a given table cannot be read: {problems}")))?;
        let records = drive(engine, reading, BTreeMap::new(), None, &Beginning::default(), stop).await?;
        let records: BTreeMap<String, TaskRecord> =
            records.into_iter().map(|record| (record.id.clone(), record)).collect();
        for (id, (number, task, port)) in places.into_iter().enumerate() {
            let record = records.get(&format!("t{id}"));
            let Some(table) = record.and_then(|record| record.outputs.get("table")) else {
                let why = record.and_then(|record| record.error.clone()).unwrap_or_default();
                let case = &cases.file.cases[number].name;
                return Err(Failure::input(format!(
                    "case `{case}`: `given.{task}.{port}` cannot be read: {why}"
                )));
            };
            let mut table = table.clone();
            if let Output::Table(table) = &mut table {
                table.dataset = Table::default_name(&dag.name, &task, "table");
            }
            made[number].entry(task).or_default().insert(port, table);
        }
        Ok(Self(made))
    }

    /// What the case of that number is given.
    pub fn of(&self, number: usize) -> &Ports {
        &self.0[number]
    }
}

/// The configuration of `extract.file` for a given table; what stands in the case itself is written to a file first.
fn extraction(given: &GivenPort, dataset: &str, directory: &Path, scratch: &Path) -> Result<Value, Failure> {
    let inline = match (&given.rows, &given.csv) {
        (Some(rows), _) => {
            let lines: Vec<String> = rows.iter().map(|row| Value::Object(row.clone()).to_string()).collect();
            Some((lines.join("\n") + "\n", "ndjson"))
        }
        (None, Some(csv)) => Some((csv.clone(), "csv")),
        (None, None) => None,
    };
    let from = match (inline, given.from.as_deref().unwrap_or_default()) {
        (Some((content, extension)), _) => {
            let path = scratch.with_extension(extension);
            std::fs::write(&path, content)
                .map_err(|error| Failure::service(format!("{} cannot be written: {error}", path.display())))?;
            path.to_string_lossy().into_owned()
        }
        (None, address) if address.contains("://") => address.to_owned(),
        (None, path) => {
            let path = directory.join(path);
            let absolute = std::path::absolute(&path)
                .map_err(|error| Failure::input(format!("{} is no path: {error}", path.display())))?;
            absolute.to_string_lossy().into_owned()
        }
    };
    Ok(json!({ "from": from, "dataset": dataset, "types": given.types }))
}

/// Runs the task of a case.
///
/// # Errors
///
/// The engine could not do it. A task that failed is none.
pub async fn run(
    engine: &Engine,
    dag: &Dag,
    case: &Case,
    given: &Ports,
    stop: watch::Receiver<bool>,
) -> Result<Ended, Failure> {
    let texts = case.params.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text)
    });
    let params = dag
        .bind(&texts.collect())
        .map_err(|problems| Failure::input(problems.join("; ")))?;
    let before = dag
        .tasks
        .iter()
        .find(|task| task.id == case.task)
        .map(|task| &task.dependencies);
    let kept = dag.tasks.iter().filter(|task| task.id != case.task).map(|task| {
        let comes_before = before.is_some_and(|before| before.contains(&task.id));
        let succeeded = comes_before && !case.skipped.contains(&task.id);
        let kept = KeptTask {
            state: if succeeded {
                TaskState::Succeeded
            } else {
                TaskState::Skipped
            },
            reason: "the case says so".to_owned(),
            outputs: given.get(&task.id).cloned().unwrap_or_default(),
        };
        (task.id.clone(), kept)
    });
    let beginning = Beginning {
        kept: kept.collect(),
        ..Beginning::default()
    };
    let logical_date = case.logical_date.as_deref().and_then(|text| text.parse().ok());
    let records = drive(engine, dag.clone(), params, logical_date, &beginning, stop).await?;
    let task = records.into_iter().find(|record| record.id == case.task);
    task.map(|task| Ended { task })
        .ok_or_else(|| Failure::service(format!("the run of case `{}` lost its task", case.name)))
}

async fn drive(
    engine: &Engine,
    dag: Dag,
    params: BTreeMap<String, Value>,
    logical_date: Option<Timestamp>,
    beginning: &Beginning,
    stop: watch::Receiver<bool>,
) -> Result<Vec<TaskRecord>, Failure> {
    let (interval_start, logical_date) = interval_of(dag.schedule.as_ref(), logical_date, Timestamp::now())
        .map_err(|error| Failure::input(error.to_string()))?;
    let new = NewRun {
        dag,
        params,
        logical_date,
        interval_start,
        trigger: RunTrigger::Manual,
        actor: settings::actor(),
    };
    let run = engine.create_run_from(new, beginning).await?;
    // Nobody listens.
    let (observer, _) = mpsc::unbounded_channel();
    engine.execute(&run, observer, stop).await?;
    Ok(engine.store().tasks(&run).await?)
}
