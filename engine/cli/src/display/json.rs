//! A run as one JSON document.

use std::collections::BTreeMap;

use ratchet_core::plugin::{Output, RowCounts};
use ratchet_runtime::{Failure, InstanceOf, PromotionOutcome, RunRecord, TaskRecord};
use serde::Serialize;
use serde_json::{Value, json};

/// What `run --format json` and `runs show --format json` print.
#[derive(Debug, Serialize)]
pub struct RunDocument {
    /// Run id.
    pub run: String,
    /// Name of the DAG.
    pub dag: String,
    /// `running`, `succeeded`, `failed`, `cancelled`.
    pub status: String,
    /// The instant that the run stands for.
    pub logical_date: String,
    /// Parameter values.
    pub params: BTreeMap<String, Value>,
    /// Tasks in DAG order.
    pub tasks: Vec<TaskDocument>,
    /// Models that the run trained, in DAG order.
    pub models: Vec<ModelDocument>,
}

/// One task.
#[derive(Debug, Serialize)]
pub struct TaskDocument {
    /// Id in the DAG; of an instance `<task>[<key>]`.
    pub id: String,
    /// What it stands for, if it is an instance: task, place in the list, key and item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceOf>,
    /// Name of its plugin.
    pub uses: String,
    /// Where it stands.
    pub state: String,
    /// How many attempts were started.
    pub attempts: u32,
    /// Of the last attempt.
    pub seconds: Option<f64>,
    /// What each port holds, in short.
    pub outputs: BTreeMap<String, Value>,
    /// Why it was skipped, cancelled or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The failure with its remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What became of its requests to promote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<PromotionOutcome>,
}

/// One trained model.
#[derive(Debug, Serialize)]
pub struct ModelDocument {
    /// Name.
    pub name: String,
    /// Version in the bucket.
    pub version: Option<u64>,
    /// SHA-256 of the bundle.
    pub digest: String,
    /// True if it was trained on simulated rows.
    pub simulated: bool,
    /// Holdout metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Row counts.
    pub rows: RowCounts,
    /// `better`, `not_better`, `inconclusive`; none if it was not compared.
    pub verdict: Option<String>,
    /// True if the run put it into production.
    pub promoted: bool,
    /// The whole comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Value>,
}

impl RunDocument {
    /// Puts together what the metadata say.
    pub fn new(run: &RunRecord, tasks: &[TaskRecord]) -> Self {
        Self {
            run: run.id.clone(),
            dag: run.dag.clone(),
            status: run.status.name().to_owned(),
            logical_date: run.logical_date.to_string(),
            params: run.params.clone(),
            tasks: tasks.iter().map(TaskDocument::new).collect(),
            models: models(tasks),
        }
    }
}

impl TaskDocument {
    fn new(task: &TaskRecord) -> Self {
        Self {
            id: task.id.clone(),
            instance: task.instance.clone(),
            uses: task.uses.clone(),
            state: task.state.name().to_owned(),
            attempts: task.attempts,
            seconds: task.seconds,
            outputs: task
                .outputs
                .iter()
                .map(|(port, output)| (port.clone(), in_short(output)))
                .collect(),
            reason: task.reason.clone(),
            error: task.error.clone(),
            promotions: task.promotions.clone(),
        }
    }
}

fn in_short(output: &Output) -> Value {
    match output {
        Output::Table(table) => json!({
            "kind": "table", "dataset": table.dataset, "version": table.version, "rows": table.rows,
            "source": table.source, "simulated": table.simulated,
        }),
        Output::Model(model) => json!({
            "kind": "model", "name": model.name, "version": model.version, "digest": model.bundle.sha256,
            "metrics": model.metrics, "simulated": model.simulated,
        }),
        Output::Lookup(lookup) => json!({
            "kind": "lookup", "name": lookup.name, "version": lookup.version, "rows": lookup.rows,
            "source": lookup.source, "simulated": lookup.simulated,
        }),
        Output::Report(report) => json!({
            "kind": "report", "summary": report.summary, "file_name": report.file_name, "sha256": report.blob.sha256,
        }),
        Output::Value(value) => json!({ "kind": "value", "value": value }),
    }
}

/// The models that the tasks trained, each with the comparison and the promotion that concern it.
pub fn models(tasks: &[TaskRecord]) -> Vec<ModelDocument> {
    let mut models: Vec<ModelDocument> = Vec::new();
    for output in tasks.iter().flat_map(|task| task.outputs.values()) {
        let Output::Model(model) = output else { continue };
        let digest = &model.bundle.sha256;
        // A task that hands a model on does not make another one.
        if models
            .iter()
            .any(|known| known.name == model.name && known.version == model.version)
        {
            continue;
        }
        let comparison = comparisons(tasks).find(|comparison| {
            let challenger = &comparison["challenger"];
            challenger["digest"] == json!(digest) && challenger["name"] == json!(model.name)
        });
        let promoted = tasks
            .iter()
            .flat_map(|task| &task.promotions)
            .any(|outcome| outcome.promoted && outcome.model == model.name && Some(outcome.version) == model.version);
        models.push(ModelDocument {
            name: model.name.clone(),
            version: model.version,
            digest: digest.clone(),
            simulated: model.simulated,
            metrics: model.metrics.clone(),
            rows: model.rows,
            verdict: comparison
                .and_then(|comparison| comparison["verdict"].as_str())
                .map(str::to_owned),
            promoted,
            comparison: comparison.cloned(),
        });
    }
    models
}

/// All comparisons of a run: the values of ports named `comparison`.
fn comparisons(tasks: &[TaskRecord]) -> impl Iterator<Item = &Value> {
    tasks.iter().filter_map(|task| match task.outputs.get("comparison") {
        Some(Output::Value(comparison)) => Some(comparison),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratchet_core::plugin::{Blob, Model};
    use ratchet_runtime::TaskState;

    fn task(id: &str, port: &str, output: Output, promotions: Vec<PromotionOutcome>) -> TaskRecord {
        TaskRecord {
            instance: None,
            id: id.to_owned(),
            uses: "any".to_owned(),
            state: TaskState::Succeeded,
            reason: None,
            attempts: 1,
            seconds: Some(1.5),
            started_at: None,
            finished_at: None,
            outputs: BTreeMap::from([(port.to_owned(), output)]),
            error: None,
            promotions,
        }
    }

    fn model(name: &str, version: u64, digest: &str) -> Output {
        Output::Model(Box::new(Model {
            name: name.to_owned(),
            version: Some(version),
            bundle: Blob {
                sha256: digest.to_owned(),
                bytes: 1,
            },
            metrics: BTreeMap::from([("mae".to_owned(), 71.9)]),
            rows: RowCounts {
                train: 10,
                validation: 2,
                holdout: 5,
            },
            parameters: Value::Null,
            report: Value::Null,
            inputs: Vec::new(),
            source: String::new(),
            simulated: true,
        }))
    }

    #[test]
    fn a_model_has_the_verdict_of_its_own_comparison_and_its_own_promotion() {
        let comparison = |name: &str, digest: &str, verdict: &str| {
            Output::Value(json!({ "challenger": { "name": name, "digest": digest }, "verdict": verdict }))
        };
        let promotion = PromotionOutcome {
            model: "a".to_owned(),
            version: 2,
            digest: "aa".to_owned(),
            alias: "champion".to_owned(),
            promoted: true,
            entry: Some(1),
            reason: "better".to_owned(),
        };
        let tasks = [
            task("train_a", "model", model("a", 2, "aa"), Vec::new()),
            task("train_b", "model", model("b", 1, "bb"), Vec::new()),
            task("train_c", "model", model("c", 1, "cc"), Vec::new()),
            task("again", "model", model("a", 2, "aa"), Vec::new()),
            task(
                "compare_b",
                "comparison",
                comparison("b", "bb", "not_better"),
                Vec::new(),
            ),
            task(
                "compare_a",
                "comparison",
                comparison("a", "aa", "better"),
                vec![promotion],
            ),
        ];
        let seen: Vec<(String, Option<String>, bool)> = models(&tasks)
            .into_iter()
            .map(|model| (model.name, model.verdict, model.promoted))
            .collect();
        let expected = [
            ("a", Some("better"), true),
            ("b", Some("not_better"), false),
            ("c", None, false),
        ]
        .map(|(name, verdict, promoted)| (name.to_owned(), verdict.map(str::to_owned), promoted));
        assert_eq!(seen, expected);
    }
}
