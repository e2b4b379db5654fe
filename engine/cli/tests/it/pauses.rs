//! `ratchet dags pause | unpause`.

use serde_json::{Value, json};

use crate::program::{directory_with, ratchet};

const DAG: &str =
    "name: timed\nschedule: { cron: \"0 2 * * *\", timezone: UTC }\ntasks:\n  only: { uses: core.noop }\n";

#[test]
fn a_pause_shows_in_the_listing_until_it_is_ended() {
    let directory = directory_with("timed.yaml", DAG);
    let call = |arguments: &[&str]| ratchet(directory.path(), &[&["dags"], arguments, &["--dags", "."]].concat());
    let listed = || call(&["list", "--format", "json"]).done().json()[0]["paused"].clone();
    assert_eq!(listed(), Value::Null);
    assert!(!directory.path().join(".ratchet").exists(), "a listing makes no home");

    let refused = call(&["pause", "time"]);
    assert!(refused.refused(2).stderr.contains("it has timed"), "{refused:?}");
    let paused = call(&["pause", "timed"]);
    assert!(paused.done().stdout.contains("timed is paused since 2"), "{paused:?}");
    assert_eq!(listed()["by"], json!("ada"));
    assert!(call(&["list"]).done().stdout.contains("paused"));
    ratchet(directory.path(), &["run", "timed.yaml"]).done();

    call(&["unpause", "timed"]).done();
    call(&["unpause", "timed"]).done();
    call(&["unpause", "other"]).refused(2);
    assert_eq!(listed(), Value::Null);
}

#[test]
fn a_dag_shows_what_starts_it() {
    let text = "name: watched\nschedule: { cron: \"0 2 * * *\", timezone: Europe/London }\ncooldown: 6h\ndeadline: 90m\n\
                triggers: [{ on_data_change: { from: a.csv } }, { on_drift: { model: eta } }]\n\
                tasks:\n  only: { uses: core.noop }\n";
    let directory = directory_with("watched.yaml", text);
    let show = |more: &[&str]| {
        let arguments = [&["dags", "show", "watched", "--dags", "."], more].concat();
        ratchet(directory.path(), &arguments)
    };
    let shown = show(&[]);
    for expected in [
        "schedule     0 2 * * * Europe/London",
        "cooldown     6 h 00 min",
        "deadline     1 h 30 min",
        "on_data_change a.csv  has not looked yet",
        "on_drift eta          has not looked yet",
    ] {
        assert!(shown.done().stdout.contains(expected), "{expected:?}\n{}", shown.stdout);
    }
    let document = show(&["--format", "json"]).done().json();
    assert_eq!(document["triggers"][0]["every_seconds"], json!(3600.0), "{document}");
    assert_eq!(document["trigger_events"], json!([]));
    ratchet(directory.path(), &["dags", "pause", "watched", "--dags", "."]).done();
    assert!(
        show(&[]).done().stdout.contains("paused       since 2"),
        "{:?}",
        show(&[])
    );
    ratchet(directory.path(), &["dags", "show", "other", "--dags", "."]).refused(2);
}
