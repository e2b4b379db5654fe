//! Pools at the command line.

use serde_json::json;

use crate::program::{directory_with, ratchet};

const DAG: &str = "name: heavy\ntasks:\n  train: { uses: core.noop, pool: gpu, slots: 2, priority: 3 }\n";

#[test]
fn pools_are_declared_in_the_settings_and_checked_in_files() {
    let directory = directory_with("heavy.yaml", DAG);
    let call = |arguments: &[&str]| ratchet(directory.path(), arguments);
    let unknown = call(&["validate", "heavy.yaml"]);
    assert_eq!(unknown.status, 2, "{unknown:?}");
    assert!(
        unknown.stderr.contains("R0031") && unknown.stderr.contains("declares no pools"),
        "{unknown:?}"
    );
    assert_eq!(
        call(&["pools"]).done().stdout,
        "there are no pools; declare them under [pools] in ratchet.toml\n"
    );
    std::fs::write(directory.path().join("ratchet.toml"), "[pools]\ngpu = 2\n").unwrap();
    call(&["validate", "heavy.yaml"]).done();
    call(&["run", "heavy.yaml"]).done();
    let listed = call(&["pools"]);
    let lines: Vec<Vec<&str>> = listed
        .done()
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[1], ["gpu", "2", "0"], "{listed:?}");
    let document = call(&["pools", "--format", "json"]).json();
    assert_eq!(
        document,
        json!([{ "name": "gpu", "slots": 2, "holders": [], "waiting": [] }])
    );
    for (text, said) in [
        ("[pools]\ngpu = 0\n", "gives the pool `gpu` 0 slots"),
        ("[pools]\nGPU = 1\n", "the pool `GPU`, which is not a name"),
    ] {
        std::fs::write(directory.path().join("ratchet.toml"), text).unwrap();
        let refused = call(&["pools"]);
        assert!(refused.refused(2).stderr.contains(said), "{refused:?}");
    }
}
