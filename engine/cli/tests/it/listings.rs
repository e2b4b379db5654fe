//! Listings of an empty home, plugins, users.

use serde_json::json;

use crate::program::{called, command, ratchet};

#[test]
fn an_empty_home_lists_nothing_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for command in [
        "runs",
        "datasets",
        "lookups",
        "models",
        "collections",
        "users",
        "keys",
        "audit",
    ] {
        let text = ratchet(directory.path(), &[command, "list"]);
        assert!(text.done().stdout.starts_with("there are no "), "{text:?}");
        let document = ratchet(directory.path(), &[command, "list", "--format", "json"])
            .done()
            .json();
        assert_eq!(document, json!([]), "{command}");
    }
}

#[test]
fn what_is_not_there_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["datasets", "show", "trips"][..],
        &["models", "show", "trips@3"],
        &["models", "promote", "trips@3", "--reason", "because"],
        &["tasks", "show", "trips"],
        &["users", "remove", "trips"],
    ] {
        let refused = ratchet(directory.path(), arguments);
        assert!(refused.refused(2).stderr.contains("trips"), "{refused:?}");
    }
    ratchet(
        directory.path(),
        &["models", "rollback", "trips", "--reason", "because"],
    )
    .refused(2);
    ratchet(directory.path(), &["models", "rollback", "trips", "--reason", " "]).refused(2);
    let routed = ratchet(
        directory.path(),
        &["models", "route", "trips", "champion=100", "--reason", "because"],
    );
    assert!(routed.refused(2).stderr.contains("has no champion"), "{routed:?}");
    let unread = ratchet(
        directory.path(),
        &["models", "route", "trips", "champion", "--reason", "because"],
    );
    assert_eq!(unread.status, 2, "{unread:?}");
}

#[test]
fn a_plugin_shows_its_configuration_and_its_outputs() {
    let directory = tempfile::tempdir().unwrap();
    let listed = ratchet(directory.path(), &["tasks", "list"]);
    assert!(listed.done().stdout.contains("transform.sql"), "{listed:?}");
    let shown = ratchet(directory.path(), &["tasks", "show", "transform.sql"]);
    for expected in ["sql (required)", "OUTPUT", "table"] {
        assert!(
            shown.done().stdout.contains(expected),
            "{expected} is missing: {}",
            shown.stdout
        );
    }
    let document = ratchet(
        directory.path(),
        &["tasks", "show", "transform.sql", "--format", "json"],
    )
    .done()
    .json();
    assert_eq!(document["uses"], json!("transform.sql"));
    assert!(document["with"]["properties"]["sql"].is_object(), "{document}");
}

#[test]
fn users_are_added_with_a_given_or_a_made_up_password_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let made_up = ratchet(directory.path(), &["users", "add", "ada"]);
    assert!(made_up.done().stdout.contains("password: "), "{made_up:?}");
    let given = ["users", "add", "bob", "--role", "admin"];
    let given = called(command(directory.path(), &given).env("RATCHET_PASSWORD", "correct horse"));
    assert_eq!(given.done().stdout, "added bob with the role admin\n");
    let short = called(command(directory.path(), &["users", "add", "eve"]).env("RATCHET_PASSWORD", "x"));
    assert!(short.refused(2).stderr.contains("password"), "{short:?}");
    ratchet(directory.path(), &["users", "add", "ada"]).refused(2);
    assert_eq!(
        ratchet(directory.path(), &["users", "add", "eve", "--role", "king"]).status,
        2
    );
    ratchet(directory.path(), &["users", "remove", "ada"]).done();
    let listed = ratchet(directory.path(), &["users", "list", "--format", "json"])
        .done()
        .json();
    assert_eq!(
        (
            &listed[0]["username"],
            &listed[0]["role"],
            listed.as_array().unwrap().len()
        ),
        (&json!("bob"), &json!("admin"), 1)
    );
    assert!(!listed.to_string().contains("argon2"), "{listed}");
}
