//! Dataset versions leave the bucket: as files, compared, and in the layout of DVC.

use std::fs;
use std::process::Command;

use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::{Bucket, DatasetManifest, Lineage, sha256};
use serde_json::{Value, json};

use crate::support::{failure, runtime, text, tool};
use crate::trips::{Trips, table};

/// A home with two versions of the trips: in the second one trip came, one went, and one took longer.
fn two_versions(name: &str) -> Trips {
    let trips = Trips::new(name);
    trips.run(&[]);
    let first = table(1);
    let mut lines: Vec<String> = first.lines().map(str::to_owned).collect();
    lines.remove(1);
    let (rest, minutes) = lines[1].rsplit_once(',').unwrap();
    lines[1] = format!("{rest},{}", minutes.parse::<f64>().unwrap() + 100.0);
    lines.push("t92-0,2024-03-31 23:59:00,3.5,west,14".to_owned());
    trips.write(&(lines.join("\n") + "\n"));
    trips.run(&[]);
    trips
}

#[test]
fn a_version_is_pulled_once_and_is_what_its_manifest_says() {
    let trips = Trips::new("pull");
    trips.run(&[]);
    let (_, manifest) = trips.ask(&["datasets", "show", "trips"], &[]);
    let into = trips.home.join("out");
    let pull = ["datasets", "pull", "trips@1", into.to_str().unwrap()];
    let (status, document) = trips.ask(&pull, &[]);
    assert_eq!(
        (status, &document["files"][0]["new"]),
        (0, &json!(true)),
        "{document:#}"
    );
    let content = fs::read(into.join("trips.parquet")).unwrap();
    assert_eq!(manifest["files"][0]["sha256"], sha256(&content));
    assert_eq!(
        trips.ask(&pull, &[]).1["files"][0]["new"],
        json!(false),
        "it is there already"
    );
    // What was altered is put right.
    fs::write(into.join("trips.parquet"), "altered").unwrap();
    assert_eq!(trips.ask(&pull, &[]).1["files"][0]["new"], json!(true));
    assert_eq!(fs::read(into.join("trips.parquet")).unwrap(), content);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1, "no part stays behind");

    let mut nowhere = trips.ratchet();
    nowhere
        .args(["datasets", "pull", "trips"])
        .arg(trips.source().join("below-a-file"));
    let (status, _, said) = failure(nowhere);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("cannot be written"), "{said}");
}

#[test]
fn two_versions_differ_in_the_rows_that_came_went_and_changed() {
    let trips = two_versions("diff");
    let (_, document) = trips.ask(&["datasets", "diff", "trips@1", "trips@2", "--key", "id"], &[]);
    let rows = &document["difference"]["by_row"];
    assert_eq!(
        [&rows["added"], &rows["removed"], &rows["changed"]],
        [1, 1, 1],
        "{document:#}"
    );
    assert_eq!(rows["changed_in"], json!({"minutes": 1}));
    assert_eq!(rows["examples"]["added"], json!([{"id": "t92-0"}]));
    let mut page = trips.ratchet();
    page.args(["datasets", "diff", "trips@1", "trips@2", "--key", "id"]);
    let page = text(&page.output().unwrap().stdout);
    assert!(page.contains("by id: 1 added, 1 removed, 1 changed"), "{page}");
    let (_, whole) = trips.ask(&["datasets", "diff", "trips@1", "trips@2"], &[]);
    let rows = &whole["difference"]["by_row"];
    assert_eq!(
        [&rows["added"], &rows["removed"], &rows["changed"]],
        [2, 2, 0],
        "{whole:#}"
    );
    let mut wrong = trips.ratchet();
    wrong.args(["datasets", "diff", "trips@1", "trips@2", "--key", "zone"]);
    let (status, _, said) = failure(wrong);
    assert_eq!(status, 2);
    assert!(said.contains("zone names") && said.contains("help: "), "{said}");
}

/// A version of several files, as tasks that write piece by piece make them.
fn register_parts(trips: &Trips) -> DatasetManifest {
    runtime().block_on(async {
        let bucket = Bucket::open(trips.home.join("bucket").to_str().unwrap()).await.unwrap();
        let mut files = Vec::new();
        for content in ["the first part", "the second part", "the last"] {
            files.push(bucket.put_blob(content.into()).await.unwrap());
        }
        let dataset = NewDataset {
            name: "parts".to_owned(),
            files,
            raw: Vec::new(),
            collected: None,
            rows: 3,
            columns: Vec::new(),
            lineage: Lineage {
                source: "a \"quoted\" place: with a colon".to_owned(),
                ..Lineage::default()
            },
            key: "test/parts".to_owned(),
        };
        datasets::register(&bucket, dataset).await.unwrap()
    })
}

#[test]
fn a_real_dvc_client_pulls_what_was_exported() {
    let Some(dvc) = tool("dvc") else { return };
    let trips = two_versions("dvc");
    register_parts(&trips);
    let repository = trips.home.join("repository");
    let here = repository.to_str().unwrap();
    let export = |dataset: &str| -> Value {
        let (status, document) = trips.ask(&["datasets", "export", dataset, "--dvc", here], &[]);
        assert_eq!(status, 0, "{document:#}");
        document
    };
    assert_eq!(export("trips@1")["new"], 1);
    assert_eq!(export("trips@1")["new"], 0, "the remote has it already");
    assert_eq!(export("parts@1")["objects"], 4);
    let dvc = |arguments: &[&str]| {
        let output = Command::new(&dvc)
            .args(arguments)
            .current_dir(&repository)
            .env("DVC_NO_ANALYTICS", "1")
            .output()
            .unwrap();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "dvc {arguments:?}: {said}");
        said
    };
    dvc(&["init", "--no-scm", "--quiet"]);
    dvc(&["remote", "add", "--default", "ratchet", "remote"]);
    dvc(&["pull"]);
    let (_, first) = trips.ask(&["datasets", "show", "trips@1"], &[]);
    let content = || fs::read(repository.join("trips.parquet")).unwrap();
    assert_eq!(first["files"][0]["sha256"], sha256(&content()));
    for (part, said) in [
        ("00001", "the first part"),
        ("00002", "the second part"),
        ("00003", "the last"),
    ] {
        assert_eq!(
            fs::read_to_string(repository.join(format!("parts/{part}.parquet"))).unwrap(),
            said
        );
    }
    // Nothing to do, nothing changed, nothing missing in the remote.
    let status = dvc(&["status"]);
    assert!(status.contains("up to date"), "{status}");
    let status = dvc(&["status", "--cloud"]);
    assert!(status.contains("in sync"), "{status}");

    // A later version is another line in the small file, and a pull away.
    export("trips@2");
    dvc(&["pull"]);
    let (_, second) = trips.ask(&["datasets", "show", "trips@2"], &[]);
    assert_eq!(second["files"][0]["sha256"], sha256(&content()));
}
