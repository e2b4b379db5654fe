//! Tells an MLflow server what a run trained, if `MLFLOW_TRACKING_URI` names one.
//!
//! A DAG is an experiment, a run of it is a run there, and each model that it trained is a run below: parameters, the
//! metrics on the held-out rows, the points of its curves, tags that lead back to the lineage, the bundle. Reports hang
//! on the upper run. Each version is registered, and the aliases of its model point to where the promotion log has
//! them.
//!
//! Everything is found again by a tag before it is made, so that telling twice changes nothing: what was interrupted is
//! told from the beginning.

mod client;
mod documents;

pub(crate) use client::{Problem, is_wanted};

use ratchet_artifacts::{BlobRef, PromotionLog};
use ratchet_core::plugin::{Blob, Model, Output, Plugin, Report, SubDag};
use ratchet_core::state::RunStatus;
use serde_json::{Value, json};

use self::client::Client;
use self::documents::{Tracked, curve, finished, flattened, millis, tag};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::logs::metrics_path;
use crate::record::{RunRecord, TaskRecord};

/// The tag by which a run there is found again.
const KEY: &str = "ratchet.key";

/// The tag that holds the number of a version in Ratchet; theirs count by themselves.
const VERSION: &str = "ratchet.version";

impl Engine {
    /// Tells the MLflow server of an ended run, whether or not it was told before; returns the server's address of the
    /// run, or none if the run left neither a model nor a report.
    ///
    /// # Errors
    ///
    /// If there is no such run, it has not ended, no server is named, or it does not take what it is told.
    pub async fn track(&self, run: &str) -> Result<Option<String>, EngineError> {
        let record = self.run(run).await?;
        if record.status == RunStatus::Running {
            return Err(EngineError::Unfinished { run: record.id });
        }
        let tasks = self.store().tasks(&record.id).await?;
        track(&self.inner, &record, &tasks)
            .await
            .map_err(|problem| EngineError::Tracking {
                run: record.id,
                message: problem.message,
            })
    }
}

/// One try to tell everything about a run.
pub(crate) async fn track(engine: &Inner, run: &RunRecord, tasks: &[TaskRecord]) -> Result<Option<String>, Problem> {
    let of_interest = |output: &Output| matches!(output, Output::Model(_) | Output::Report(_));
    if !tasks.iter().flat_map(|task| task.outputs.values()).any(of_interest) {
        return Ok(None);
    }
    let client = Client::from_environment()?;
    let teller = Teller {
        engine,
        client,
        run,
        tasks,
    };
    teller.tell().await.map(Some)
}

struct Teller<'a> {
    engine: &'a Inner,
    client: Client,
    run: &'a RunRecord,
    tasks: &'a [TaskRecord],
}

impl Teller<'_> {
    async fn tell(&self) -> Result<String, Problem> {
        let experiment = self.experiment().await?;
        let upper = self.begin(&experiment, Tracked::of_run(self.run)).await?;
        self.client
            .log(&upper.id, &flattened(&json!(self.run.params)), &[], &[])
            .await?;
        for task in self.tasks {
            for (port, output) in &task.outputs {
                match output {
                    Output::Report(report) => self.report(&upper, task, report).await?,
                    // A version that a task only handed on was told by whoever trained it.
                    Output::Model(model) if self.trained(task, model) => {
                        self.model(&experiment, &upper, task, port, model).await?;
                    }
                    _ => {}
                }
            }
        }
        self.client.end(&upper.id, finished(self.run)).await?;
        Ok(self.client.page(&experiment, &upper.id))
    }

    /// True if the model comes from the task itself: not from an earlier one, and not from a run of another DAG, which is told
    /// for itself.
    fn trained(&self, task: &TaskRecord, model: &Model) -> bool {
        if task.uses == SubDag::NAME {
            return false;
        }
        let first = self.tasks.iter().find(|earlier| {
            earlier.outputs.values().any(|output| {
                matches!(output, Output::Model(other) if other.name == model.name && other.version == model.version)
            })
        });
        first.is_some_and(|first| first.id == task.id)
    }

    async fn experiment(&self) -> Result<String, Problem> {
        let name = &self.run.dag;
        let query = [("experiment_name", name.as_str())];
        let find = || self.client.get("experiments/get-by-name", &query);
        let found = match find().await {
            Err(problem) if problem.is("RESOURCE_DOES_NOT_EXIST") => {
                match self.client.post("experiments/create", &json!({ "name": name })).await {
                    Err(problem) if !problem.is("RESOURCE_ALREADY_EXISTS") => return Err(problem),
                    _ => find().await?,
                }
            }
            found => found?,
        };
        let experiment = &found["experiment"];
        if experiment["lifecycle_stage"] == "deleted" {
            return Err(Problem::lasting(format!(
                "its experiment `{name}` was deleted; restore it, or remove it for good"
            )));
        }
        text(&experiment["experiment_id"], "an experiment without an id")
    }

    /// The run there with this key, made if it is not there.
    async fn begin(&self, experiment: &str, tracked: Tracked) -> Result<Begun, Problem> {
        let search = json!({
            "experiment_ids": [experiment], "max_results": 1,
            "filter": format!("tags.`{KEY}` = '{}'", tracked.key),
        });
        let mut found = self.client.post("runs/search", &search).await?;
        let mut run = found.pointer_mut("/runs/0").map(Value::take);
        if run.is_none() {
            let mut tags = tracked.tags;
            tags.push(tag(KEY, &tracked.key));
            let made = json!({
                "experiment_id": experiment, "run_name": tracked.name, "user_id": self.run.actor,
                "start_time": tracked.start, "tags": tags,
            });
            run = self
                .client
                .post("runs/create", &made)
                .await?
                .get_mut("run")
                .map(Value::take);
        }
        let run = run.unwrap_or_default();
        Ok(Begun {
            id: text(&run["info"]["run_id"], "a run without an id")?,
            artifacts: text(&run["info"]["artifact_uri"], "a run without a place for artifacts")?,
        })
    }

    async fn report(&self, upper: &Begun, task: &TaskRecord, report: &Report) -> Result<(), Problem> {
        let content = self.content(&report.blob).await?;
        let path = format!("{}/{}", task.id.replace(['[', ']'], "-"), report.file_name);
        self.client.put(&upper.artifacts, &path, content).await
    }

    async fn model(
        &self,
        experiment: &str,
        upper: &Begun,
        task: &TaskRecord,
        port: &str,
        model: &Model,
    ) -> Result<(), Problem> {
        let tracked = Tracked::of_model(self.run, task, port, model, &upper.id, self.promotions(model));
        let tags = tracked.tags.clone();
        let lower = self.begin(experiment, tracked).await?;
        let at = millis(task.finished_at.unwrap_or(self.run.created_at));
        let mut metrics: Vec<Value> = model
            .metrics
            .iter()
            .map(|(name, value)| documents::metric(name, *value, at, 0))
            .collect();
        let path = metrics_path(&self.run.id, &task.id, task.attempts);
        if let Some(points) = self.engine.bucket.get(&path).await.map_err(Problem::of_bucket)? {
            metrics.extend(curve(&points, millis(task.started_at.unwrap_or(self.run.created_at))));
        }
        self.client
            .log(&lower.id, &flattened(&model.parameters), &metrics, &tags)
            .await?;
        let bundle = self.content(&model.bundle).await?;
        self.client
            .put(&lower.artifacts, "bundle/bundle.safetensors", bundle)
            .await?;
        self.register(model, &lower, &tags).await?;
        let ended = task.finished_at.unwrap_or(self.run.created_at);
        self.client.end(&lower.id, documents::ended(ended)).await
    }

    /// Registers the version and points the model's aliases to where the promotion log has them.
    async fn register(&self, model: &Model, lower: &Begun, tags: &[Value]) -> Result<(), Problem> {
        let Some(version) = model.version else { return Ok(()) };
        match self
            .client
            .post("registered-models/create", &json!({ "name": model.name }))
            .await
        {
            Err(problem) if !problem.is("RESOURCE_ALREADY_EXISTS") => return Err(problem),
            _ => {}
        }
        let versions = self.versions(&model.name).await?;
        let mut known: Vec<(u64, String)> = versions.iter().filter_map(documents::numbers).collect();
        if !known.iter().any(|(ours, _)| *ours == version) {
            let mut tags = tags.to_vec();
            tags.push(tag(VERSION, &version.to_string()));
            let made = json!({
                "name": model.name, "source": format!("{}/bundle", lower.artifacts), "run_id": lower.id,
                "description": format!("{}@{version} of Ratchet", model.name), "tags": tags,
            });
            let made = self.client.post("model-versions/create", &made).await?;
            known.push((
                version,
                text(&made["model_version"]["version"], "a version without a number")?,
            ));
        }
        let head = PromotionLog::new(self.engine.bucket.clone()).head().await;
        let head = head.map_err(|error| Problem::passing(error.to_string()))?;
        let aliases = head
            .and_then(|mut head| head.table.remove(&model.name))
            .unwrap_or_default();
        for (alias, holder) in aliases {
            // A version that was made before the server was named is not known there.
            if let Some((_, theirs)) = known.iter().find(|(ours, _)| *ours == holder.version) {
                let set = json!({ "name": model.name, "alias": alias, "version": theirs });
                self.client.post("registered-models/alias", &set).await?;
            }
        }
        Ok(())
    }

    /// All versions there.
    async fn versions(&self, name: &str) -> Result<Vec<Value>, Problem> {
        let filter = format!("name='{name}'");
        let (mut versions, mut page) = (Vec::new(), String::new());
        loop {
            let query = [
                ("filter", filter.as_str()),
                ("max_results", "1000"),
                ("page_token", &page),
            ];
            let mut found = self
                .client
                .get("model-versions/search", &query[..if page.is_empty() { 2 } else { 3 }])
                .await?;
            if let Some(Value::Array(some)) = found.get_mut("model_versions") {
                versions.append(some);
            }
            match found["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => page = next.to_owned(),
                _ => return Ok(versions),
            }
        }
    }

    /// What became of the requests to promote a version.
    fn promotions(&self, model: &Model) -> Vec<String> {
        let outcomes = self.tasks.iter().flat_map(|task| &task.promotions);
        let own = outcomes.filter(|outcome| outcome.model == model.name && Some(outcome.version) == model.version);
        own.map(|outcome| match outcome.entry {
            Some(entry) => format!("{} by entry {entry}: {}", outcome.alias, outcome.reason),
            None => format!("not {}: {}", outcome.alias, outcome.reason),
        })
        .collect()
    }

    async fn content(&self, blob: &Blob) -> Result<bytes::Bytes, Problem> {
        let blob = BlobRef {
            sha256: blob.sha256.clone(),
            bytes: blob.bytes,
        };
        self.engine.bucket.get_blob(&blob).await.map_err(Problem::of_bucket)
    }
}

/// A run there.
struct Begun {
    id: String,
    artifacts: String,
}

fn text(value: &Value, otherwise: &str) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Problem::lasting(format!("it answered {otherwise}"))),
    }
}
