//! What goes and what stays.

use std::collections::BTreeSet;
use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use ratchet_artifacts::{BlobRef, PromotionLog, datasets, models};
use ratchet_runtime::{Collect, Collected, RunStatus};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::sync::watch;

use crate::fixture::{Fixture, wait_for_file};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const TRAINING: &str = "\
name: training
tasks:
  raw:
    uses: test.table
    with: { content: rows }
  train:
    uses: test.model
    with: { content: bundle, table: \"${{ tasks.raw.table }}\" }
  promote:
    uses: test.promote
    with: { model: \"${{ tasks.train.model }}\" }
";

/// The same rows again are the same version, which the first run made.
const ROWS: &str = "name: rows\ntasks:\n  rows:\n    uses: test.table\n    with: { content: always the same }\n";

/// Leaves a report and a log, and no version.
const REPORT: &str = "\
name: report
tasks:
  report:
    uses: test.fail
    with: { attempts: 0, retryable: false }
";

fn collect(days: u64) -> Collect {
    Collect {
        runs_older_than: Some(DAY * u32::try_from(days).unwrap()),
        ..Collect::default()
    }
}

/// As if everything in the bucket had been written so long ago, and every run had ended then.
async fn age(fixture: &Fixture, by: Duration) {
    let then = SystemTime::now() - by;
    let mut directories = vec![fixture.path("bucket")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                touch(&path, then);
            }
        }
    }
    let pool = database(fixture).await;
    let ended = jiff::Timestamp::try_from(then).unwrap().to_string();
    sqlx::query("UPDATE runs SET created_at = $1, finished_at = CASE WHEN finished_at IS NULL THEN NULL ELSE $1 END")
        .bind(ended)
        .execute(&pool)
        .await
        .unwrap();
}

fn touch(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

async fn database(fixture: &Fixture) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
    SqlitePool::connect_with(options).await.unwrap()
}

fn blobs(collected: &Collected) -> BTreeSet<String> {
    collected
        .blobs
        .iter()
        .map(|stored| stored.blob.sha256.clone())
        .collect()
}

/// Each version with its content, and the run that made it.
async fn whole(fixture: &Fixture) {
    let bucket = fixture.engine.bucket();
    for name in datasets::names(bucket).await.unwrap() {
        for version in datasets::versions(bucket, &name).await.unwrap() {
            let manifest = datasets::get(bucket, &name, version).await.unwrap().unwrap();
            for file in &manifest.files {
                bucket.get_blob(file).await.unwrap();
            }
            fixture.engine.run(&manifest.lineage.run).await.unwrap();
        }
    }
    for name in models::names(bucket).await.unwrap() {
        for version in models::versions(bucket, &name).await.unwrap() {
            let manifest = models::get(bucket, &name, version).await.unwrap().unwrap();
            bucket.get_blob(&manifest.bundle).await.unwrap();
            fixture.engine.run(&manifest.lineage.run).await.unwrap();
        }
    }
    PromotionLog::new(bucket.clone()).entries().await.unwrap();
}

#[tokio::test]
async fn old_runs_go_with_their_logs_and_reports_and_versions_stay_with_theirs() {
    let fixture = Fixture::new().await;
    let training = fixture.run(TRAINING).await.run.id;
    let (first, repeated) = (fixture.run(ROWS).await.run.id, fixture.run(ROWS).await.run.id);
    let (old, newest) = (fixture.run(REPORT).await.run.id, fixture.run(REPORT).await.run.id);
    let orphan = fixture.engine.bucket().put_blob("nobody's".into()).await.unwrap();
    age(&fixture, 100 * DAY).await;
    let young = fixture.engine.bucket().put_blob("young".into()).await.unwrap();
    let latest = fixture.run(ROWS).await.run.id;

    let dry = Collect {
        dry_run: true,
        ..collect(90)
    };
    let told = fixture.engine.collect(&dry).await.unwrap();
    assert_eq!(
        told,
        fixture.engine.collect(&dry).await.unwrap(),
        "a dry run changes nothing"
    );
    let went = fixture.engine.collect(&collect(90)).await.unwrap();
    assert_eq!(went, told, "what was told is what goes");

    let runs: BTreeSet<&str> = went.runs.iter().map(|run| run.run.as_str()).collect();
    assert_eq!(runs, BTreeSet::from([repeated.as_str(), old.as_str()]));
    assert_eq!(
        went.named_runs, 1,
        "a version names the run that made it; of each DAG the newest run stays anyway"
    );
    assert!(went.runs.iter().all(|run| run.objects > 0 && run.bytes > 0), "{went:?}");
    assert_eq!(
        blobs(&went),
        BTreeSet::from([orphan.sha256.clone()]),
        "the newest report is the same content"
    );
    assert!(went.bytes() > orphan.bytes);
    for gone in [&repeated, &old] {
        assert!(fixture.engine.run(gone).await.is_err());
        assert_eq!(
            fixture.engine.bucket().list(&format!("runs/{gone}")).await.unwrap(),
            Vec::<String>::new()
        );
    }
    for kept in [&training, &first, &newest, &latest] {
        fixture.engine.run(kept).await.unwrap();
        let left = fixture.engine.bucket().list(&format!("runs/{kept}")).await.unwrap();
        assert!(!left.is_empty(), "{kept}");
    }
    fixture.engine.bucket().get_blob(&young).await.unwrap();
    whole(&fixture).await;
    assert_eq!(
        fixture.engine.collect(&collect(90)).await.unwrap().runs,
        [],
        "nothing is left to go"
    );

    // The next report makes the kept one superfluous, and with its run goes its blob, too.
    let report = BlobRef::of(b"report of attempt 1");
    fixture.engine.bucket().get_blob(&report).await.unwrap();
    fixture
        .run("name: report\ntasks:\n  report:\n    uses: test.echo\n    with: { value: 1 }\n")
        .await;
    let went = fixture.engine.collect(&collect(90)).await.unwrap();
    assert_eq!((went.runs.len(), blobs(&went)), (1, BTreeSet::from([report.sha256])));
}

#[tokio::test]
async fn what_is_younger_than_a_day_stays_whatever_is_asked() {
    let fixture = Fixture::new().await;
    for _ in 0..2 {
        fixture.run(REPORT).await;
    }
    fixture.engine.bucket().put_blob("nobody's".into()).await.unwrap();
    age(&fixture, DAY - Duration::from_secs(60)).await;
    let at_once = Collect {
        runs_older_than: Some(Duration::ZERO),
        ..Collect::default()
    };
    assert_eq!(fixture.engine.collect(&at_once).await.unwrap(), Collected::default());
    age(&fixture, DAY + Duration::from_secs(60)).await;
    let went = fixture.engine.collect(&at_once).await.unwrap();
    assert_eq!((went.runs.len(), went.blobs.len()), (1, 1));
}

#[tokio::test]
async fn what_an_unfinished_run_wrote_stays_however_long_it_takes() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let run = fixture
        .create(&format!(
            "name: slow\ntasks:\n  a:\n    uses: test.sleep\n    with: {{ seconds: 600, pids: {} }}\n",
            path.display()
        ))
        .await;
    let (stop, cancel) = watch::channel(false);
    let (ended, ()) = tokio::join!(fixture.execute(&run, cancel), async {
        wait_for_file(&path).await;
        // What its attempt stored and nothing refers to yet.
        let blob = fixture
            .engine
            .bucket()
            .put_blob("half of a result".into())
            .await
            .unwrap();
        age(&fixture, 10 * DAY).await;
        let went = fixture.engine.collect(&collect(1)).await.unwrap();
        assert_eq!(went, Collected::default());
        fixture.engine.bucket().get_blob(&blob).await.unwrap();
        stop.send_replace(true);
    });
    assert_eq!(ended.run.status, RunStatus::Cancelled);
    let went = fixture.engine.collect(&collect(1)).await.unwrap();
    assert_eq!(went.blobs.len(), 1, "it has ended, and nothing came of it");
}

#[tokio::test]
async fn a_bucket_with_runs_of_another_engine_keeps_its_blobs() {
    let fixture = Fixture::new().await;
    let orphan = fixture.engine.bucket().put_blob("whose?".into()).await.unwrap();
    let path = "runs/01a1f74a-ed7b-7743-8231-f36639248911/task/1/log.ndjson";
    let _ = fixture.engine.bucket().create(path, "{}".into()).await.unwrap();
    age(&fixture, 10 * DAY).await;
    let careful = fixture.engine.collect(&Collect::default()).await.unwrap();
    assert_eq!((careful.foreign_runs, careful.blobs.len()), (1, 0));
    let whole_bucket = Collect {
        whole_bucket: true,
        ..Collect::default()
    };
    let told = fixture.engine.collect(&whole_bucket).await.unwrap();
    assert_eq!(blobs(&told), BTreeSet::from([orphan.sha256]));
    assert_eq!(
        fixture.engine.bucket().list("runs").await.unwrap(),
        [path],
        "what is another's is not touched"
    );
}
