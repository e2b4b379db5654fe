//! `ratchet collections` and `ratchet gc --purge`.

use serde_json::json;

use crate::program::{directory_with, ratchet};

const DELIVERIES: &str = "\
name: deliveries
key: [id]
schema:
  type: object
  required: [id]
  properties:
    id: { type: integer }
    minutes: { type: number, minimum: 0 }
";

#[test]
fn a_collection_is_applied_listed_and_purged() {
    let directory = directory_with("deliveries.yaml", DELIVERIES);
    let applied = ratchet(directory.path(), &["collections", "apply", "deliveries.yaml"]);
    assert!(
        applied
            .done()
            .stdout
            .starts_with("added deliveries: rows with the key [id]"),
        "{applied:?}"
    );
    let again = ratchet(
        directory.path(),
        &["collections", "apply", "deliveries.yaml", "--format", "json"],
    );
    assert_eq!(again.done().json()["applied"], "unchanged");
    let listed = ratchet(directory.path(), &["collections", "list", "--format", "json"])
        .done()
        .json();
    assert_eq!(
        (&listed[0]["name"], &listed[0]["key"]),
        (&json!("deliveries"), &json!(["id"]))
    );
    let purged = ratchet(directory.path(), &["gc", "--purge"]);
    assert!(
        purged
            .done()
            .stdout
            .contains("purged 0 deleted rows of deliveries from 0 of 0 segments"),
        "{purged:?}"
    );
}

#[test]
fn a_file_that_is_no_collection_is_refused_with_what_is_wrong() {
    let directory = directory_with("deliveries.yaml", DELIVERIES);
    std::fs::write(directory.path().join("broken.yaml"), "name: [").unwrap();
    let broken = ratchet(directory.path(), &["collections", "apply", "broken.yaml"]);
    assert!(
        broken.status == 2 && broken.stderr.contains("broken.yaml:1:7"),
        "{broken:?}"
    );
    for (file, text, said) in [
        ("empty.yaml", "name: rides\n".to_owned(), "missing field `key`"),
        (
            "more.yaml",
            format!("{DELIVERIES}owner: ada\n"),
            "unknown field `owner`",
        ),
        ("wrong.yaml", DELIVERIES.replace("integer", "whole"), "no JSON Schema"),
        (
            "loose.yaml",
            DELIVERIES.replace("required: [id]", "required: []"),
            "not `required`",
        ),
        (
            "taken.yaml",
            DELIVERIES.replace("deliveries", "predictions"),
            "the API itself fills",
        ),
        ("named.yaml", DELIVERIES.replace("deliveries", "My Rows"), "My Rows"),
    ] {
        std::fs::write(directory.path().join(file), text).unwrap();
        let refused = ratchet(directory.path(), &["collections", "apply", file]);
        assert!(refused.refused(2).stderr.contains(said), "{file}: {refused:?}");
    }
    ratchet(directory.path(), &["collections", "apply", "nowhere.yaml"]).refused(2);
    ratchet(directory.path(), &["collections", "apply", "deliveries.yaml"]).done();
    let other = DELIVERIES
        .replace("key: [id]", "key: [minutes]")
        .replace("required: [id]", "required: [id, minutes]");
    std::fs::write(directory.path().join("deliveries.yaml"), other).unwrap();
    let refused = ratchet(directory.path(), &["collections", "apply", "deliveries.yaml"]);
    assert!(
        refused.refused(2).stderr.contains("the key [id] already"),
        "{refused:?}"
    );
}

#[test]
fn the_example_of_the_documentation_is_a_collection() {
    let directory = tempfile::tempdir().unwrap();
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/examples/deliveries_collection.yaml"
    );
    let applied = ratchet(directory.path(), &["collections", "apply", example]);
    assert!(applied.done().stdout.starts_with("added deliveries"), "{applied:?}");
}
