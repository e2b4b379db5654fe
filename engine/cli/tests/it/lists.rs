//! Tasks with a list at the command line.

use serde_json::json;

use crate::program::{directory_with, ratchet};

const DAG: &str = "\
name: fan
tasks:
  each:
    uses: core.fail
    foreach: { items: [a, b], key: \"${{ item }}\" }
    when: ${{ item == 'b' or index == 5 }}
    with: { message: \"no ${{ item }}\" }
";

#[test]
fn instances_are_shown_retried_and_marked_by_their_names() {
    let directory = directory_with("fan.yaml", DAG);
    let call = |arguments: &[&str]| ratchet(directory.path(), arguments);
    let plan = call(&["run", "fan.yaml", "--dry-run"]);
    assert!(plan.done().stdout.contains("for each of [\"a\",\"b\"]"), "{plan:?}");
    let run = call(&["run", "fan.yaml"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("each  makes 2 instances"), "{run:?}");
    let shown = call(&["runs", "list", "--format", "json"]).json();
    let id = shown[0]["run"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
    let shown = call(&["runs", "show", &id]);
    for line in ["each[a]", "each[b]", "1 of 2 instances failed; `each[b]`: no b"] {
        assert!(shown.done().stdout.contains(line), "{shown:?}");
    }
    let document = call(&["runs", "show", &id, "--format", "json"]).json();
    assert_eq!(document["tasks"][2]["instance"]["key"], json!("b"), "{document}");
    let logs = call(&["runs", "logs", &id, "each[b]"]);
    assert!(logs.done().stdout.contains("each[b]#1"), "{logs:?}");
    let marked = call(&["runs", "mark", &id, "each[b]", "succeeded"]);
    assert_eq!(
        marked.done().stdout,
        "task each[b] is marked succeeded; the run is succeeded\n"
    );
    let retried = call(&["runs", "retry", &id, "--from", "each[b]"]);
    assert_eq!(retried.status, 1, "{retried:?}");
    call(&["runs", "retry", &id, "--from", "each[c]"]).refused(2);
}
