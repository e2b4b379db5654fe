//! What a report of a run holds, as data.

use ratchet_core::plugin::Output;
use ratchet_runtime::{PromotionOutcome, RunRecord, RunStatus, TaskRecord, TaskState};
use ratchet_tasks::compare::Comparison;
use ratchet_tasks::quality::GateReport;
use serde::Serialize;

use crate::commands::runs::Source;
use crate::display::json::{ModelDocument, RunDocument};
use crate::failure::Failure;

/// A run with everything that its tasks found.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// The run, its tasks and its models.
    pub run: RunDocument,
    /// Who started it and how.
    pub started_by: String,
    /// Seconds from its beginning to its end, or until now.
    pub seconds: f64,
    /// What its gates found.
    pub gates: Vec<Gate>,
    /// What became of promotions that its tasks asked for.
    pub promotions: Vec<PromotionOutcome>,
    /// What speaks against it; with anything here the exit status is 1.
    pub against: Vec<String>,
}

/// A gate's report.
#[derive(Debug, Serialize)]
pub struct Gate {
    /// The task.
    pub task: String,
    /// What it found.
    pub report: GateReport,
}

impl RunReport {
    /// Reads everything that the run left.
    ///
    /// # Errors
    ///
    /// There is no such run, or what it left cannot be read.
    pub async fn gather(source: &Source, id: &str) -> Result<Self, Failure> {
        let (run, tasks) = source.show(id).await?;
        let mut gates = Vec::new();
        for task in &tasks {
            for output in task.outputs.values() {
                if let Output::Report(report) = output
                    && report.file_name == GATE
                {
                    let found = source.left(&run.id, task, report).await?;
                    // Another program's task may call its report so, too.
                    if let Ok(report) = serde_json::from_value(found) {
                        gates.push(Gate {
                            task: task.id.clone(),
                            report,
                        });
                    }
                }
            }
        }
        let document = RunDocument::new(&run, &tasks);
        Ok(Self {
            against: against(&run, &tasks, &document.models),
            started_by: format!("{} by {}", run.trigger.name(), run.actor),
            seconds: crate::display::describe::seconds_between(run.created_at, run.finished_at),
            gates,
            promotions: tasks.iter().flat_map(|task| task.promotions.clone()).collect(),
            run: document,
        })
    }
}

/// What `quality.gate` calls its report.
const GATE: &str = "gate.json";

/// The comparison of a model, if it is one of `compare.champion`.
pub fn comparison(model: &ModelDocument) -> Option<Comparison> {
    serde_json::from_value(model.comparison.clone()?).ok()
}

fn against(run: &RunRecord, tasks: &[TaskRecord], models: &[ModelDocument]) -> Vec<String> {
    let failed = tasks
        .iter()
        .filter(|task| task.state == TaskState::Failed && task.instance.is_none());
    let mut against: Vec<String> = failed
        .map(|task| {
            let error = task.error.as_ref().map(|error| error.message.as_str());
            let why = error.or(task.reason.as_deref()).unwrap_or("it gave no message");
            format!("task `{}` failed: {why}", task.id)
        })
        .collect();
    match run.status {
        RunStatus::Succeeded => {}
        RunStatus::Running => against.push("the run has not ended yet".to_owned()),
        RunStatus::Cancelled => against.push("the run was cancelled".to_owned()),
        RunStatus::Failed if against.is_empty() => against.push("the run failed".to_owned()),
        RunStatus::Failed => {}
    }
    let worse = models
        .iter()
        .filter_map(comparison)
        .filter(|comparison| comparison.worse);
    against.extend(worse.map(|comparison| format!("{} is worse: {}", comparison.challenger_name(), comparison.reason)));
    against
}
