//! What guides show can be run.

use std::path::Path;

/// The YAML that a guide shows, one after the other.
fn shown(guide: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides").join(guide);
    let guide = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    blocks.join("\n")
}

fn uses_of(text: &str) -> Vec<String> {
    let dag = ratchet_core::load("guide.yaml", text, &ratchet_tasks::registry());
    let dag = dag.unwrap_or_else(|problems| panic!("{problems}"));
    dag.tasks.iter().map(|task| task.uses.clone()).collect()
}

/// All tasks that the guide shows make one DAG without a problem.
#[test]
fn the_tasks_of_the_guide_pass_every_check() {
    let text = format!("name: guide\ntasks:\n{}", shown("sources.md"));
    assert_eq!(
        uses_of(&text),
        ["extract.file", "extract.http", "extract.sql", "extract.records"]
    );
}

#[test]
fn the_guide_about_lookups_shows_a_dag_that_passes_every_check() {
    let vehicles = "  vehicles: { uses: extract.file, with: { from: vehicles.csv } }\n";
    let text = format!("name: guide\n{}{vehicles}", shown("lookups.md"));
    let mut uses = uses_of(&text);
    uses.sort();
    assert_eq!(uses, ["extract.file", "extract.file", "publish.lookup", "train.model"]);
}
