//! Instances of tasks with a list: a page shows those that somebody looks for, not ten thousand that went well.

use std::collections::BTreeMap;

use ratchet_runtime::{TaskRecord, TaskState};

/// Instances of one task that are shown whatever became of them.
const SHOWN: usize = 20;

/// Which rows are left out: of a long list those that succeeded, and of the others all behind the first few.
pub fn hidden(tasks: &[TaskRecord]) -> Vec<bool> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for instance in tasks.iter().filter_map(|task| task.instance.as_ref()) {
        *counts.entry(&instance.task).or_default() += 1;
    }
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    let rows = tasks.iter().map(|task| {
        let Some(instance) = &task.instance else { return false };
        let of = instance.task.as_str();
        if counts.get(of).is_none_or(|count| *count <= SHOWN) {
            return false;
        }
        let shown = shown.entry(of).or_default();
        let tells = task.state != TaskState::Succeeded && *shown < SHOWN;
        *shown += usize::from(tells);
        !tells
    });
    rows.collect()
}

/// What is said of the rows that are left out.
pub fn note(tasks: &[TaskRecord], hidden: &[bool], run: &str) -> Option<String> {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for (task, _) in tasks.iter().zip(hidden).filter(|(_, hidden)| **hidden) {
        *states.entry(task.state.name()).or_default() += 1;
    }
    let counted: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    (!counted.is_empty()).then(|| {
        format!(
            "instances that are not shown: {}; `ratchet runs show {run} --format json` shows all",
            counted.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ratchet_runtime::InstanceOf;
    use serde_json::json;

    use super::*;

    fn instance(number: u32, state: TaskState) -> TaskRecord {
        TaskRecord {
            id: format!("each[{number}]"),
            instance: Some(InstanceOf {
                task: "each".to_owned(),
                index: number,
                key: number.to_string(),
                item: json!(number),
            }),
            uses: "core.noop".to_owned(),
            state,
            reason: None,
            attempts: 1,
            seconds: None,
            started_at: None,
            finished_at: None,
            outputs: BTreeMap::new(),
            error: None,
            promotions: Vec::new(),
        }
    }

    #[test]
    fn a_short_list_is_shown_whole_and_of_a_long_one_what_did_not_succeed() {
        let mut tasks: Vec<TaskRecord> = (0..20).map(|number| instance(number, TaskState::Succeeded)).collect();
        assert_eq!(hidden(&tasks), [false; 20]);
        assert_eq!(note(&tasks, &hidden(&tasks), "r"), None);
        tasks.push(instance(20, TaskState::Failed));
        let rows = hidden(&tasks);
        assert_eq!((rows[0], rows[19], rows[20]), (true, true, false));
        let said = note(&tasks, &rows, "r");
        assert_eq!(
            said.as_deref(),
            Some("instances that are not shown: 20 succeeded; `ratchet runs show r --format json` shows all")
        );
    }
}
