//! Flags over variables over `ratchet.toml` over defaults.

use crate::program::{called, command, directory_with, ratchet};

const DAG: &str = "name: good\ntasks:\n  first: { uses: core.noop }\n";

#[test]
fn flags_stand_over_variables_over_the_file_over_defaults() {
    let directory = directory_with("good.yaml", DAG);
    let home = |name: &str| directory.path().join(name).join("engine.sqlite").is_file();
    ratchet(directory.path(), &["runs", "list"]).done();
    assert!(home(".ratchet"));
    std::fs::write(directory.path().join("ratchet.toml"), "home = \"from-file\"\n").unwrap();
    ratchet(directory.path(), &["runs", "list"]).done();
    assert!(home("from-file") && !home("from-variable"));
    called(command(directory.path(), &["runs", "list"]).env("RATCHET_HOME", "from-variable")).done();
    assert!(home("from-variable") && !home("from-flag"));
    let arguments = ["runs", "list", "--home", "from-flag"];
    called(command(directory.path(), &arguments).env("RATCHET_HOME", "from-variable")).done();
    assert!(home("from-flag"));
}

#[test]
fn a_wrong_key_is_named_with_the_right_ones() {
    let directory = directory_with("ratchet.toml", "hom = \"x\"\n");
    let refused = ratchet(directory.path(), &["runs", "list"]);
    assert!(refused.refused(2).stderr.contains("hom"), "{refused:?}");
    assert!(
        refused.stderr.contains(
            "its keys are home, store, database_url, jwt_secret, signing_key, trusted_keys and slots, and the tables"
        ),
        "{refused:?}"
    );
}

#[test]
fn no_slots_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for slots in ["0", "many"] {
        called(command(directory.path(), &["runs", "list"]).env("RATCHET_SLOTS", slots)).refused(2);
    }
}

#[test]
fn the_metadata_is_where_the_address_says() {
    let directory = directory_with("good.yaml", DAG);
    let there = |name: &str| directory.path().join(name).is_file();
    std::fs::write(
        directory.path().join("ratchet.toml"),
        "database_url = \"sqlite://from file.sqlite\"\n",
    )
    .unwrap();
    ratchet(directory.path(), &["run", "good.yaml"]).done();
    assert!(there("from file.sqlite") && !there(".ratchet/engine.sqlite"));
    let listed = |url: &str| {
        let arguments = ["runs", "list", "--format", "json"];
        called(command(directory.path(), &arguments).env("RATCHET_DATABASE_URL", url))
    };
    let runs = |url: &str| listed(url).done().json().as_array().unwrap().len();
    assert_eq!(
        (runs("sqlite://from file.sqlite"), runs("sqlite://other.sqlite")),
        (1, 0)
    );
    assert!(there("other.sqlite"));
    let wrong = listed("mysql://ada:secret@127.0.0.1/ml");
    assert!(wrong.refused(2).stderr.contains("postgres://"), "{wrong:?}");
    // Nobody listens at port 1.
    let nobody = listed("postgres://ada:secret@127.0.0.1:1/ml");
    assert!(
        nobody.refused(3).stderr.contains("postgres://127.0.0.1:1/ml"),
        "{nobody:?}"
    );
    assert!(!format!("{wrong:?}{nobody:?}").contains("secret"));
}

#[test]
fn tasks_do_not_see_the_address_of_the_metadata() {
    let text = "name: seen\ntasks:\n  look:\n    uses: core.exec\n    with: { command: [env] }\n";
    let directory = directory_with("seen.yaml", text);
    let address = "sqlite://a secret place.sqlite";
    called(
        command(directory.path(), &["run", "seen.yaml"])
            .env("RATCHET_DATABASE_URL", address)
            .env("SEEN", "this one is seen"),
    )
    .done();
    let run =
        called(command(directory.path(), &["runs", "list", "--format", "json"]).env("RATCHET_DATABASE_URL", address));
    let id = run.json()[0]["run"].as_str().unwrap().to_owned();
    let logs = called(command(directory.path(), &["runs", "logs", &id]).env("RATCHET_DATABASE_URL", address));
    assert!(logs.done().stdout.contains("this one is seen"), "{logs:?}");
    assert!(!logs.stdout.contains("a secret place"), "{logs:?}");
}
