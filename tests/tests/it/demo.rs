//! The first thing that a stranger runs.

use crate::support::{directory, ratchet, text};

#[test]
fn the_demo_goes_from_records_to_an_answer_and_stops() {
    let home = directory("demo");
    let output = ratchet(&home)
        .args(["demo", "--once", "--rows", "8000"])
        .output()
        .unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "SIMULATED",
        "\"seconds\"",
        "\"interval\"",
        "\"prediction_id\"",
        "/predict/time_pump",
        "http://127.0.0.1:",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    // Nothing is left running.
    let processes = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let left = text(&processes.stdout);
    let home = home.display().to_string();
    assert!(
        !left
            .lines()
            .any(|line| line.contains(&home) && !line.starts_with("ps ")),
        "{left}"
    );
}
