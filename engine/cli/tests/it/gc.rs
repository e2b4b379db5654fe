//! `ratchet gc`.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::program::{directory_with, ratchet};

const DAG: &str = "name: good\ntasks:\n  first: { uses: core.noop }\n";

/// A blob that nothing refers to, written so many days ago.
fn orphan(directory: &Path, days: u32) -> String {
    let (name, rest) = ("ba", "7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let parent = directory.join(".ratchet/bucket/blobs/sha256").join(name);
    std::fs::create_dir_all(&parent).unwrap();
    std::fs::write(parent.join(rest), "abc").unwrap();
    let then = SystemTime::now() - days * Duration::from_secs(86_400);
    let file = File::options().write(true).open(parent.join(rest)).unwrap();
    file.set_times(FileTimes::new().set_modified(then)).unwrap();
    format!("{name}{rest}")
}

#[test]
fn a_dry_run_lists_what_goes_with_its_size_and_removes_nothing() {
    let directory = directory_with("good.yaml", DAG);
    ratchet(directory.path(), &["run", "good.yaml"]).done();
    let nothing = ratchet(directory.path(), &["gc"]);
    assert_eq!(nothing.done().stdout, "there is nothing to remove\n");
    let digest = orphan(directory.path(), 2);
    let told = ratchet(directory.path(), &["gc", "--dry-run", "--format", "json"])
        .done()
        .json();
    assert_eq!(told["blobs"][0]["sha256"], digest);
    assert_eq!(
        (&told["blobs"][0]["bytes"], &told["bytes"], &told["dry_run"]),
        (&3.into(), &3.into(), &true.into())
    );
    let text = ratchet(directory.path(), &["gc", "--dry-run"]).done().stdout.clone();
    assert!(
        text.contains(&digest) && text.contains("would remove 0 runs and 1 blob, 3 B"),
        "{text}"
    );
    let text = ratchet(directory.path(), &["gc"]).done().stdout.clone();
    assert!(
        text.contains(&digest) && text.contains("removed 0 runs and 1 blob, 3 B"),
        "{text}"
    );
    assert_eq!(ratchet(directory.path(), &["gc"]).done().stdout, nothing.stdout);
}

#[test]
fn an_age_of_less_than_a_day_is_refused_on_the_line_and_in_the_file() {
    let directory = directory_with("good.yaml", DAG);
    for wrong in ["1h", "soon", "90"] {
        let refused = ratchet(directory.path(), &["gc", "--runs-older-than", wrong]);
        assert_eq!(refused.status, 2, "{refused:?}");
    }
    std::fs::write(directory.path().join("ratchet.toml"), "[retention]\nruns = \"12h\"\n").unwrap();
    let refused = ratchet(directory.path(), &["gc"]);
    assert!(
        refused
            .refused(2)
            .stderr
            .contains("`runs` of the table retention in ratchet.toml is `12h`"),
        "{refused:?}"
    );
    std::fs::write(directory.path().join("ratchet.toml"), "[retention]\nruns = \"90d\"\n").unwrap();
    ratchet(directory.path(), &["gc"]).done();
}

#[test]
fn runs_of_another_database_are_a_reason_to_leave_blobs_alone() {
    let directory = directory_with("good.yaml", DAG);
    let digest = orphan(directory.path(), 2);
    let log = directory
        .path()
        .join(".ratchet/bucket/runs/01a1f74a-ed7b-7743-8231-f36639248911/t/1/log.ndjson");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::write(log, "{}\n").unwrap();
    let careful = ratchet(directory.path(), &["gc"]);
    assert!(
        careful.done().stderr.contains("1 run that this database does not know"),
        "{careful:?}"
    );
    let whole = ratchet(directory.path(), &["gc", "--whole-bucket"]);
    assert!(whole.done().stdout.contains(&digest), "{whole:?}");
}
