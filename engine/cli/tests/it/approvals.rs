//! `ratchet runs approve`.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Called, command, directory_with, ratchet};

const DAG: &str = "\
name: asks
tasks:
  consent:
    approval:
      message: Promote it?
      fields: { ticket: { type: integer } }
      deadline: 1h
  after: { uses: core.noop, with: { value: \"${{ tasks.consent.ticket }}\" } }
";

/// Starts a run in the background and waits until somebody is asked: the process, the run's id, and what `runs show` says.
#[expect(clippy::zombie_processes, reason = "who asks waits for it")]
fn asking(directory: &Path, file: &str) -> (Child, String, Called) {
    let call = |arguments: &[&str]| ratchet(directory, arguments);
    let running = command(directory, &["run", file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        let listed = call(&["runs", "list", "--limit", "1", "--format", "json"]);
        let runs = if listed.status == 0 {
            listed.json()
        } else {
            serde_json::Value::Null
        };
        if let (Some(id), Some("running")) = (runs[0]["run"].as_str(), runs[0]["status"].as_str()) {
            let shown = call(&["runs", "show", id]);
            if shown.stdout.contains("awaiting") {
                return (running, id.to_owned(), shown);
            }
        }
        assert!(start.elapsed() < Duration::from_secs(60), "nobody is asked");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The example of the guide: what a person said stands in the promotion log, and a no promotes nothing.
#[test]
fn a_better_model_waits_for_consent() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/approved_promotion.yaml");
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(example, directory.path().join("approved_promotion.yaml")).unwrap();
    let call = |arguments: &[&str]| ratchet(directory.path(), arguments);
    let promotions = || {
        call(&["models", "show", "house-value", "--format", "json"])
            .done()
            .json()["promotions"]
            .clone()
    };

    let (mut running, id, shown) = asking(directory.path(), "approved_promotion.yaml");
    assert!(shown.stdout.contains("Promote house-value? mae falls by"), "{shown:?}");
    call(&["runs", "approve", &id, "consent", "--reject"]).done();
    assert_eq!(running.wait().unwrap().code(), Some(1));
    assert_eq!(promotions(), serde_json::json!([]));

    let (mut running, id, _) = asking(directory.path(), "approved_promotion.yaml");
    call(&["runs", "approve", &id, "consent", "-p", "ticket=12"]).done();
    assert_eq!(running.wait().unwrap().code(), Some(0));
    let reason = promotions()[0]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("mae falls by") && reason.ends_with("; ticket 12, ada"),
        "{reason}"
    );
}

#[test]
fn a_run_waits_until_somebody_answers_from_elsewhere() {
    let directory = directory_with("asks.yaml", DAG);
    let call = |arguments: &[&str]| ratchet(directory.path(), arguments);
    let plan = call(&["run", "asks.yaml", "--dry-run"]);
    assert!(
        plan.done().stdout.contains("1. consent  approval\n   asks Promote it?"),
        "{plan:?}"
    );
    for (answer, status) in [(&["-p", "ticket=7"][..], 0), (&["--reject", "--reason", "too late"], 1)] {
        let (mut running, id, shown) = asking(directory.path(), "asks.yaml");
        assert!(shown.stdout.contains("Promote it?"), "{shown:?}");
        let waits = format!("for an operator: `ratchet runs approve {id} consent`");
        assert!(shown.stdout.contains(&waits), "{shown:?}");
        let wrong = call(&["runs", "approve", &id, "consent", "-p", "tickets=7"]);
        assert!(wrong.refused(2).stderr.contains("did you mean `ticket`?"), "{wrong:?}");
        let mut arguments = vec!["runs", "approve", &id, "consent"];
        arguments.extend(answer);
        let answered = call(&arguments);
        let said = if status == 0 {
            "approved by ada"
        } else {
            "rejected by ada: too late"
        };
        assert_eq!(answered.done().stdout, format!("task consent is {said}\n"));
        assert_eq!(running.wait().unwrap().code(), Some(status));
        let again = call(&arguments);
        assert!(
            again.refused(2).stderr.contains("does not wait for an answer"),
            "{again:?}"
        );
    }
}
