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
        refused
            .stderr
            .contains("its keys are home, store, jwt_secret and slots"),
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
