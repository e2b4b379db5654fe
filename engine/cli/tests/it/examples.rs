//! The examples of the documentation run as they stand there.

use std::path::Path;

use crate::program::ratchet;

#[test]
fn a_step_in_python_is_a_task_as_any_other() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let directory = tempfile::tempdir().unwrap();
    for name in ["python_step.yaml", "python_step.py", "python_step.csv"] {
        std::fs::copy(examples.join(name), directory.path().join(name)).unwrap();
    }
    let run = |column: &str| {
        let column = format!("column={column}");
        ratchet(
            directory.path(),
            &["run", "python_step.yaml", "-p", &column, "--format", "json"],
        )
    };
    let ended = run("seconds");
    let document = ended.done().json();
    let value = &document["tasks"][0]["outputs"]["value"]["value"];
    assert_eq!(value["rows"], 4, "{document}");
    assert_eq!(value["mean"], 353.875, "{document}");
    assert_eq!(document["tasks"][1]["state"], "succeeded", "{document}");
    let refused = run("minutes");
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("python_step.csv has no column minutes; it has call, seconds"),
        "{refused:?}"
    );
}
