//! The log in Postgres: what the other tests say of the file holds there too, and replicas share it.
//!
//! Ignored unless asked for: `make test-postgres` names a directory with a server's programs in `RATCHET_TEST_POSTGRES`.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ratchet_api::Options;
use ratchet_api::record::RecordOptions;
use ratchet_api::record::store::{Address, DeadRecord, Filter, GivenTruth, NewRecord, Store, Verdict};
use ratchet_artifacts::feeds;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use crate::bundles::TestBundle;
use crate::server::{House, row};

/// What root becomes: Postgres refuses to run as root. `nobody` on Linux.
const UNPRIVILEGED: u32 = 65534;

struct PostgresServer {
    directory: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    process: Child,
}

impl PostgresServer {
    async fn start() -> PostgresServer {
        sqlx::any::install_default_drivers();
        let programs = PathBuf::from(std::env::var_os("RATCHET_TEST_POSTGRES").unwrap());
        let directory = tempfile::tempdir().unwrap();
        if is_root(directory.path()) {
            chown(directory.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        }
        let made = command(&programs.join("initdb"), directory.path())
            .args([
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--username=ada",
                "--auth=trust",
            ])
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = launch(&programs, directory.path(), port);
        let server = PostgresServer {
            directory,
            programs,
            port,
            process,
        };
        server.wait().await;
        server
    }

    fn url(&self) -> String {
        format!("postgres://ada:a%20secret@127.0.0.1:{}/postgres", self.port)
    }

    async fn wait(&self) {
        let start = Instant::now();
        while let Err(error) = AnyConnection::connect(&self.url()).await {
            assert!(start.elapsed() < Duration::from_secs(60), "Postgres: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fast shutdown: connections are ended, and every process of the server with them.
    fn stop(&mut self) {
        let process = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &process]).status();
        let _ = self.process.wait();
    }

    async fn start_again(&mut self) {
        self.process = launch(&self.programs, self.directory.path(), self.port);
        self.wait().await;
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(programs: &Path, directory: &Path, port: u16) -> Child {
    command(&programs.join("postgres"), directory)
        .args([
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            "fsync=off",
            "-c",
            "log_min_messages=panic",
        ])
        // The level that we do not want, so that the tests see that we ask for our own.
        .args(["-c", "default_transaction_isolation=serializable"])
        .args(["-p", &port.to_string(), "-D"])
        .arg(directory.join("data"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn is_root(own: &Path) -> bool {
    std::fs::metadata(own).unwrap().uid() == 0
}

fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env("TZ", "UTC").stdout(Stdio::null());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    command
}

#[tokio::test]
#[ignore = "needs a Postgres server: make test-postgres"]
async fn postgres_keeps_the_log_for_replicas_that_share_it() {
    let mut postgres = PostgresServer::start().await;
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.5).bytes()).await;
    let options = Options {
        record: RecordOptions {
            database: Some(postgres.url()),
            ..RecordOptions::default()
        },
        ..house.options()
    };
    let one = house.serve_with(options.clone()).await;
    let other = house.serve_with(options).await;
    let address = Address::postgres(&postgres.url()).unwrap().unwrap();
    let store = Store::open(&address).await.unwrap();
    let logged = async |count: usize| {
        for _ in 0..400 {
            match store.entries(&Filter::default(), 1000).await {
                Ok(entries) if entries.len() == count => return entries,
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
        panic!("there are no {count} entries");
    };
    let mut ids = Vec::new();
    for server in [&one, &other] {
        server.wait_for_version("alpha", 1).await;
        let rows: Vec<Value> = (0..90).map(|easting| row(f64::from(easting))).collect();
        let (status, answers) = server.post("/predict/alpha", &json!(rows)).await;
        assert_eq!(status, 200);
        ids.extend(
            answers["predictions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|answer| answer["prediction_id"].clone()),
        );
        // No text of Postgres holds this character.
        server.post("/predict/alpha", &json!({"a\u{0}b": "\u{0}"})).await;
    }
    logged(182).await;
    // The one takes feedback for what the other answered.
    let truths: Vec<Value> = ids
        .iter()
        .map(|id| json!({"prediction_id": id, "truth": 1.0}))
        .collect();
    assert_eq!(one.post("/feedback", &json!(truths)).await.1["joined"], 180);
    assert_eq!(other.post("/feedback", &json!(truths)).await.1["repeated"], 180);
    let given = GivenTruth {
        prediction: ids[0].as_str().unwrap().to_owned(),
        truth: 2.0,
    };
    let verdicts = store.tell(&[given], false, 1, "test").await.unwrap();
    assert_eq!(verdicts, [Verdict::Contradicted]);
    let covered = store.coverage(0).await.unwrap();
    assert_eq!(covered, [("alpha".to_owned(), 1, "champion".to_owned(), 180, 180)]);
    assert_eq!(
        store.labeled(("alpha", 1, "champion"), 0, 1000).await.unwrap().len(),
        180
    );
    // The database goes away; predictions do not, and what waited is written when it is back.
    postgres.stop();
    for second in 0..30 {
        assert_eq!(one.post("/predict/alpha", &row(f64::from(second))).await.0, 200);
        assert_eq!(one.get("/health").await.0, 200, "predictions do not need the log");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(
        one.text("/metrics/prometheus")
            .await
            .contains("ratchet_api_record_reachable 0")
    );
    postgres.start_again().await;
    logged(212).await;
    one.stop().await;
    other.stop().await;
    let mut sent = Vec::new();
    for path in feeds::list(&house.bucket, "predictions", None).await.unwrap() {
        let content = feeds::read(&house.bucket, &path).await.unwrap().unwrap();
        for line in String::from_utf8(content).unwrap().lines() {
            sent.push(
                serde_json::from_str::<Value>(line).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    let all = sent.len();
    sent.sort();
    sent.dedup();
    assert_eq!((all, sent.len()), (212, 212), "each goes once");
    assert!(store.trim(i64::MAX, u64::MAX).await.unwrap() == 212);
    records(&store).await;
    assert_eq!(store.size().await.unwrap(), 0);
}

/// Rows of a collection, as on SQLite.
async fn records(store: &Store) {
    let new = |id: i64, minutes: i64| NewRecord {
        key: format!("[{id}]"),
        content: format!("{{\"id\":{id},\"minutes\":{minutes}}}"),
        line: "{}".to_owned(),
    };
    let rows: Vec<NewRecord> = (0..20).map(|id| new(id, id)).collect();
    let kept = store.keep_records("rides", &rows, 1, "ada").await.unwrap();
    assert_eq!((kept.added, kept.replaced, kept.unchanged), (20, 0, 0));
    let kept = store
        .keep_records("rides", &[new(3, 3), new(4, 40), new(30, 1)], 2, "ada")
        .await
        .unwrap();
    assert_eq!((kept.added, kept.replaced, kept.unchanged), (1, 1, 1));
    let mut found = Vec::new();
    while let page = store
        .records("rides", found.last().map_or("", String::as_str), 8)
        .await
        .unwrap()
        && !page.is_empty()
    {
        found.extend(page.into_iter().map(|record| record.key));
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 21);
    let dead = |id, minutes| DeadRecord {
        key: new(id, minutes).key,
        content: new(id, minutes).content,
        line: "{}".to_owned(),
    };
    let gone = store
        .drop_records("rides", &[dead(4, 4), dead(4, 40), dead(5, 5)], 3)
        .await
        .unwrap();
    assert_eq!(gone, 2, "what changed meanwhile stays");
    assert_eq!(store.record_counts().await.unwrap()["rides"], 19);
}
