//! What stands at the end of a run: its tasks, the verdicts, what was promoted.

use ratchet_runtime::{RunRecord, TaskRecord};
use serde_json::Value;

use super::json::{ModelDocument, models};
use super::table::Listing;
use super::{describe, instances};

/// The closing table and the lines under it.
pub fn closing(run: &RunRecord, tasks: &[TaskRecord]) -> String {
    let mut table = Listing::new(&["task", "state", "attempts", "duration", "output"]);
    let hidden = instances::hidden(tasks);
    for (task, _) in tasks.iter().zip(&hidden).filter(|(_, hidden)| !**hidden) {
        let mut output = describe::outputs(&task.outputs);
        if let Some(reason) = &task.reason {
            output = if output.is_empty() {
                reason.clone()
            } else {
                format!("{reason}\n{output}")
            };
        }
        table.row([
            task.id.clone(),
            task.state.name().to_owned(),
            task.attempts.to_string(),
            task.seconds.map(describe::duration).unwrap_or_default(),
            output,
        ]);
    }
    let mut lines = vec![table.to_string()];
    lines.extend(instances::note(tasks, &hidden, &run.id));
    lines.push(String::new());
    let models = models(tasks);
    lines.extend(models.iter().filter_map(verdict));
    let said: Vec<&str> = models.iter().filter_map(sentence).collect();
    for outcome in tasks.iter().flat_map(|task| &task.promotions) {
        let name = format!("{}@{}", outcome.model, outcome.version);
        let head = if outcome.promoted {
            format!("promoted to {}", outcome.alias)
        } else {
            "not promoted".to_owned()
        };
        // The verdict just above says it already.
        let why = if said.contains(&outcome.reason.as_str()) {
            String::new()
        } else {
            format!(": {}", outcome.reason)
        };
        lines.push(format!("{name} {head}{why}"));
    }
    let seconds = describe::duration(describe::seconds_between(run.created_at, run.finished_at));
    lines.push(format!("run {} of {} {} after {seconds}", run.id, run.dag, run.status));
    lines.join("\n")
}

/// `lfb-response-time@2 against @1: better`, with the comparison's own sentence if it has one.
fn verdict(model: &ModelDocument) -> Option<String> {
    let verdict = model.verdict.as_ref()?.replace('_', " ");
    let comparison = model.comparison.as_ref()?;
    let name = model
        .version
        .map_or_else(|| model.name.clone(), |version| format!("{}@{version}", model.name));
    let against = match comparison["champion"]["version"].as_u64() {
        Some(version) => format!(" against @{version}"),
        None => " (no champion yet)".to_owned(),
    };
    let sentence = sentence(model)
        .map(|sentence| format!(": {sentence}"))
        .unwrap_or_default();
    Some(describe::marked(
        format!("{name}{against}: {verdict}{sentence}"),
        model.simulated,
    ))
}

/// The comparison in one sentence.
fn sentence(model: &ModelDocument) -> Option<&str> {
    let comparison = model.comparison.as_ref()?;
    ["summary", "reason"].iter().find_map(|key| comparison[*key].as_str())
}

/// Parameter values on one line.
pub fn params<'a>(params: impl IntoIterator<Item = (&'a String, &'a Value)>) -> String {
    let params: Vec<String> = params
        .into_iter()
        .map(|(name, value)| format!("{name}={}", describe::plain(value)))
        .collect();
    params.join(" ")
}
