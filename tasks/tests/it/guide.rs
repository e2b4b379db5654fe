//! What the guide about sources shows can be run.

use std::path::Path;

/// All tasks that the guide shows make one DAG without a problem.
#[test]
fn the_tasks_of_the_guide_pass_every_check() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/sources.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let text = format!("name: guide\ntasks:\n{}", blocks.join("\n"));
    let dag = ratchet_core::load("guide.yaml", &text, &ratchet_tasks::registry());
    let dag = dag.unwrap_or_else(|problems| panic!("{problems}"));
    let uses: Vec<&str> = dag.tasks.iter().map(|task| task.uses.as_str()).collect();
    assert_eq!(uses, ["extract.file", "extract.http", "extract.sql"]);
}
