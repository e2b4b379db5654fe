//! Several events share a commit, and nothing that could be seen from outside comes before it.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use ratchet_core::plugin::{Isolation, Output, Outputs, Plugin, Port, PortKind, Registry, TaskContext, TaskError};
use ratchet_runtime::{AttemptOutcome, Engine, EngineOptions, NewRun, RunEvent, RunStatus, RunTrigger, TaskState};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{mpsc, watch};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Comes out as it is.
    value: Value,
}

/// Touches nothing.
struct Pure;

#[async_trait]
impl Plugin for Pure {
    type Config = Configuration;
    const NAME: &'static str = "test.pure";
    const SUMMARY: &'static str = "returns its value";
    const ISOLATION: Isolation = Isolation::Inline;
    const PURE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "value",
            kind: PortKind::Value,
            description: "for tests",
        }]
    }

    async fn run(config: Configuration, _context: &TaskContext) -> Result<Outputs, TaskError> {
        Ok(Outputs::default().with("value", Output::Value(config.value)))
    }
}

/// Looks into the database from outside: is my own start there, and the end of what came before me?
struct Looks;

#[async_trait]
impl Plugin for Looks {
    type Config = Configuration;
    const NAME: &'static str = "test.looks";
    const SUMMARY: &'static str = "fails unless its start is on disk";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Pure::outputs()
    }

    async fn run(config: Configuration, context: &TaskContext) -> Result<Outputs, TaskError> {
        let failed = |error: sqlx::Error| TaskError::permanent(error.to_string());
        let options = SqliteConnectOptions::new().filename(context.working_directory.join("engine.sqlite"));
        let database = SqlitePool::connect_with(options).await.map_err(failed)?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT tasks.state, CASE WHEN attempts.outcome IS NULL THEN 'open' ELSE 'ended' END FROM tasks \
             JOIN attempts ON attempts.run_id = tasks.run_id AND attempts.position = tasks.position \
             WHERE tasks.run_id = $1 ORDER BY tasks.position",
        )
        .bind(&context.run.id)
        .fetch_all(&database)
        .await
        .map_err(failed)?;
        let (own, before) = rows
            .split_last()
            .ok_or_else(|| TaskError::permanent("no attempt is on disk"))?;
        let own_is_there = (own.0.as_str(), own.1.as_str()) == ("running", "open");
        let others_ended = before
            .iter()
            .all(|row| (row.0.as_str(), row.1.as_str()) == ("succeeded", "ended"));
        // As many as there are tasks up to this one.
        if json!(rows.len()) != config.value || !own_is_there || !others_ended {
            return Err(TaskError::permanent(format!("on disk are {rows:?}")));
        }
        Ok(Outputs::default().with("value", Output::Value(config.value)))
    }
}

#[tokio::test]
async fn pure_tasks_run_ahead_of_the_disk_and_others_wait_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut registry = Registry::default();
    registry.add::<Pure>().add::<Looks>();
    let registry = Arc::new(registry);
    // Nine pure ones, then one that looks, three times over.
    let count = 30;
    let mut text = "name: chain\ntasks:\n".to_owned();
    for place in 1..=count {
        let uses = if place % 10 == 0 { "test.looks" } else { "test.pure" };
        let _ = write!(
            text,
            "  t{place}:\n    uses: {uses}\n    with: {{ value: {place} }}\n    needs: [{}]\n",
            if place == 1 {
                String::new()
            } else {
                format!("t{}", place - 1)
            }
        );
    }
    let dag = ratchet_core::load("chain.yaml", &text, &registry).unwrap_or_else(|problems| panic!("{problems}"));
    let engine = Engine::open(EngineOptions {
        home: directory.path().to_owned(),
        bucket_url: directory.path().join("bucket").display().to_string(),
        signing_key: None,
        replay: None,
        working_directory: directory.path().to_owned(),
        worker: "/nonexistent".into(),
        slots: 2,
        database_url: None,
        registry,
    })
    .await
    .unwrap();
    let now = Timestamp::now();
    let new = NewRun {
        params: dag.bind(&Default::default()).unwrap(),
        dag,
        logical_date: now,
        interval_start: now,
        trigger: RunTrigger::Manual,
        actor: "test".to_owned(),
    };
    let run = engine.create_run(new).await.unwrap();
    let (_stay, cancel) = watch::channel(false);
    let (observer, mut heard) = mpsc::unbounded_channel();
    let ended = engine.execute(&run, observer, cancel).await.unwrap();
    let tasks = engine.store().tasks(&run).await.unwrap();
    for task in &tasks {
        assert_eq!((task.state, task.attempts), (TaskState::Succeeded, 1), "{task:?}");
        assert!(
            task.started_at.is_some() && task.finished_at >= task.started_at,
            "{task:?}"
        );
        assert!(task.seconds.is_some());
    }
    assert_eq!(ended.status, RunStatus::Succeeded);
    assert_eq!(tasks[9].outputs["value"], Output::Value(json!(10)));
    let attempts = engine.store().attempts(&run).await.unwrap();
    assert_eq!(attempts.len(), count);
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.outcome == Some(AttemptOutcome::Succeeded))
    );

    // Told and kept in the order in which it was decided, whatever shared a commit.
    let mut told = Vec::new();
    while let Some(event) = heard.recv().await {
        told.push(event);
    }
    let kept = engine.store().events(&run).await.unwrap();
    let name = |event: &RunEvent| match event {
        RunEvent::RunStarted { .. } => "run".to_owned(),
        RunEvent::TaskStarted { task, .. } => format!("{task} starts"),
        RunEvent::TaskEnded { task, .. } => format!("{task} ends"),
        other => format!("{other:?}"),
    };
    let mut expected = vec!["run".to_owned()];
    expected.extend((1..=count).flat_map(|place| [format!("t{place} starts"), format!("t{place} ends")]));
    let status = RunStatus::Succeeded;
    expected.push(format!("{:?}", RunEvent::RunEnded { status }));
    assert_eq!(told.iter().map(name).collect::<Vec<_>>(), expected);
    assert_eq!(
        kept.iter().map(|record| name(&record.event)).collect::<Vec<_>>(),
        expected
    );
}
