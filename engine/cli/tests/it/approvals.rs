//! `ratchet runs approve`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::program::{command, directory_with, ratchet};

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
        let mut running = command(directory.path(), &["run", "asks.yaml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let (id, shown) = loop {
            let listed = call(&["runs", "list", "--limit", "1", "--format", "json"]);
            let runs = if listed.status == 0 {
                listed.json()
            } else {
                serde_json::Value::Null
            };
            if let (Some(id), Some("running")) = (runs[0]["run"].as_str(), runs[0]["status"].as_str()) {
                let shown = call(&["runs", "show", id]);
                if shown.stdout.contains("awaiting") {
                    break (id.to_owned(), shown);
                }
            }
            assert!(start.elapsed() < Duration::from_secs(30), "nobody is asked");
            std::thread::sleep(Duration::from_millis(50));
        };
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
