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
