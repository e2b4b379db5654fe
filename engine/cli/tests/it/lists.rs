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

const TRIED: &str = "\
name: tried
tasks:
  names: { uses: core.noop }
  consent: { approval: { message: Really? } }
  each:
    uses: core.noop
    foreach: { items: \"${{ tasks.names.value }}\" }
    with: { value: \"${{ item ~ index }}\" }
  last:
    uses: core.noop
    with: { value: \"${{ [tasks.each.value, tasks.consent.approved] }}\" }
";

#[test]
fn cases_try_tasks_with_a_list_and_tasks_behind_lists_and_questions() {
    let cases = "\
dag: tried.yaml
cases:
  - name: each item makes an instance
    task: each
    given: { names: { value: { value: [a, b] } } }
    expect: { value: { value: [a0, b1] } }
  - name: lists and answers can be given
    task: last
    given:
      each: { value: { value: [x] } }
      consent: { approved: { value: true } }
    expect: { value: { value: [[x], true] } }
";
    let directory = directory_with("tried.yaml", TRIED);
    std::fs::write(directory.path().join("tried_cases.yaml"), cases).unwrap();
    let tried = ratchet(directory.path(), &["test", "tried_cases.yaml"]);
    tried.done();
    let asks = "dag: tried.yaml\ncases:\n  - { name: asks, task: consent, expect: {} }\n";
    std::fs::write(directory.path().join("tried_cases.yaml"), asks).unwrap();
    let refused = ratchet(directory.path(), &["test", "tried_cases.yaml"]);
    assert_eq!(refused.status, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("`consent` asks a person: a case cannot answer"),
        "{refused:?}"
    );
}
