//! Engines and workers are killed again and again: at moments that nobody chose, and on each side of everything that
//! they write. Twenty runs are under way meanwhile, and each has to come to its one end.
//!
//! `RATCHET_CRASH_KILLS` says how often (20 without it; from 200 on each point has its turn more than once);
//! `RATCHET_CRASH_SEED` repeats the moments of an earlier test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, FileTimes};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use ratchet_artifacts::{PromotionLog, datasets, models};
use ratchet_runtime::{AttemptOutcome, RunStatus};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::fixture::{Fixture, worker};

/// Active at once.
const RUNS: usize = 20;

/// Moments of a kill, in milliseconds after the engine's start.
const EARLIEST: u64 = 40;
const LATEST: u64 = 1_400;

/// An engine comes to a point, or to the end of all runs, within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Points that an engine passes when it starts and maybe not again.
const AT_START: [&str; 13] = [
    "create a run",
    "ask for the end of a run",
    "correct a task",
    "pause a DAG",
    "end the pause of a DAG",
    "record a backfill",
    "go on with a backfill",
    "stop a backfill",
    "announce a sweep",
    "remove an object",
    "remove a run",
    "lease a run",
    "renew the lease of a run",
];

/// What else has to be among the points: everything that the engine makes durable.
const WRITES: [&str; 9] = [
    "take slots of a pool",
    "release a run",
    "record what happened in a run",
    "keep what tasks say",
    "write a blob",
    "register a dataset",
    "register a model",
    "append a promotion",
    "write the log of an attempt",
];

/// What a person starts and cancels meanwhile.
const MEDDLED: &str = "\
name: meddled
schedule: { cron: '@daily' }
tasks:
  wait:
    uses: test.sleep
    with: { seconds: 0.05 }
  after:
    uses: test.echo
    needs: [wait]
    foreach: { items: [1, 2] }
    with: { value: \"${{ item }}\" }
";

/// Ended long ago, and is collected.
const OLD: &str = "name: old\ntasks:\n  t:\n    uses: test.echo\n    with: { value: 1 }\n";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn kills() -> u64 {
    number("RATCHET_CRASH_KILLS").unwrap_or(20)
}

/// A run that makes tables, a model and a promotion of its own, with tasks that leave processes behind. A worker that is
/// killed is a failure, which a retry helps.
fn text(number: usize) -> String {
    format!(
        "\
name: crash-{number}
defaults:
  retry: {{ attempts: 9, initial: 1ms }}
tasks:
  raw:
    uses: test.table
    with: {{ content: rows of {number} }}
  slow:
    uses: test.sleep
    pool: crash
    with: {{ seconds: 0.15, pids: pids-{number}, daemon: true }}
  train:
    uses: test.model
    needs: [slow]
    with: {{ name: crash-{number}, content: bundle of {number}, table: \"${{{{ tasks.raw.table }}}}\" }}
  promote:
    uses: test.promote
    with: {{ model: \"${{{{ tasks.train.model }}}}\" }}
  last:
    uses: test.echo
    needs: [promote]
    with: {{ value: {number} }}
"
    )
}

/// The numbers of a simple generator: the moments can be repeated, their quality does not matter.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = number("RATCHET_CRASH_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond() as u64);
        println!("RATCHET_CRASH_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A home with runs, and engines that are started in it.
struct World {
    fixture: Fixture,
    pool: SqlitePool,
    /// Those that are meant to succeed.
    runs: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
        let pool = SqlitePool::connect_with(options).await.unwrap();
        std::fs::write(fixture.path("meddled.yaml"), MEDDLED).unwrap();
        Self {
            fixture,
            pool,
            runs: Vec::new(),
        }
    }

    /// There is always work to be killed at.
    async fn fill(&mut self) {
        while self.fixture.engine.store().unfinished_runs(None).await.unwrap().len() < RUNS {
            let run = self.fixture.create(&text(self.runs.len())).await;
            self.runs.push(run);
        }
        self.leave_old().await;
        // As if the time of every lease were over: the engine that held them is known to be dead.
        sqlx::query("UPDATE runs SET lease_until = 1 WHERE status = 'running'")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Leaves two runs with a log that ended long ago and a blob that nobody refers to, so that there is something to
    /// collect; and a sweep whose engine was killed is over, as it would be half an hour later.
    async fn leave_old(&self) {
        for _ in 0..2 {
            let run = self.fixture.create(OLD).await;
            sqlx::query("UPDATE runs SET status = 'succeeded', finished_at = '2024-01-01T00:00:00Z' WHERE id = $1")
                .bind(&run)
                .execute(&self.pool)
                .await
                .unwrap();
            let path = format!("runs/{run}/t/1/log.ndjson");
            let _ = self.fixture.engine.bucket().create(&path, "{}\n".into()).await.unwrap();
        }
        let nobodys = format!("nobody's {}", jiff::Timestamp::now().as_nanosecond());
        let blob = self.fixture.engine.bucket().put_blob(nobodys.into()).await.unwrap();
        touch(&self.fixture.path("bucket").join(blob.path().unwrap()));
        for sweep in std::fs::read_dir(self.fixture.path("bucket/sweeps"))
            .into_iter()
            .flatten()
        {
            touch(&sweep.unwrap().path());
        }
    }

    /// An engine that takes over all runs.
    fn engine(&self, mode: &str) -> tokio::process::Command {
        let home = self.fixture.directory.path();
        let mut command = tokio::process::Command::new(worker());
        command
            .arg(mode)
            .arg(home)
            .current_dir(home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if mode == "meddle" {
            command.arg(home.join("meddled.yaml"));
        }
        command
    }

    /// Kills an engine some time after its start.
    async fn kill_after(&mut self, milliseconds: u64) {
        self.fill().await;
        let mut child = self.engine("resume").spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    /// An engine ends itself at the point.
    async fn kill_at(&mut self, point: &str, milliseconds: u64) {
        // It may pass the point for the last time before it is armed.
        if !self.killed_at(point, milliseconds).await {
            assert!(self.killed_at(point, 0).await, "no engine came to the point `{point}`");
        }
    }

    async fn killed_at(&mut self, point: &str, milliseconds: u64) -> bool {
        self.fill().await;
        let mut child = self
            .engine("meddle")
            .env("TEST_POINT", point)
            .env("TEST_POINT_AFTER", milliseconds.to_string())
            .spawn()
            .unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status: ExitStatus = ended
            .unwrap_or_else(|_| panic!("`{point}`: the engine neither came to it nor to an end"))
            .unwrap();
        assert!(status.success() || status.signal() == Some(9), "`{point}`: {status}");
        !status.success()
    }

    /// A worker ends itself at the point, and its engine a little later.
    async fn kill_worker_at(&mut self, point: &str, milliseconds: u64) {
        self.fill().await;
        let once = self
            .fixture
            .path(&format!("once-{}", jiff::Timestamp::now().as_nanosecond()));
        let mut child = self
            .engine("resume")
            .env("TEST_WORKER_POINT", point)
            .env("TEST_WORKER_ONCE", &once)
            .spawn()
            .unwrap();
        let reached = async {
            while !once.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        };
        let in_time = tokio::time::timeout(PATIENCE, reached).await;
        assert!(in_time.is_ok(), "no worker came to the point `{point}`");
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    /// The last engine is left alone. Afterwards every run has ended, once.
    async fn settle(&mut self) {
        sqlx::query("UPDATE runs SET lease_until = 1 WHERE status = 'running'")
            .execute(&self.pool)
            .await
            .unwrap();
        let last = self.engine("resume").status().await.unwrap();
        assert!(last.success(), "{last}");
        let store = self.fixture.engine.store();
        assert_eq!(store.unfinished_runs(None).await.unwrap(), Vec::<String>::new());
        let (mut lost, mut crashed) = (0, 0);
        let every = store.list_runs(None, 10_000).await.unwrap();
        for run in &every {
            let mut succeeded: BTreeMap<String, u32> = BTreeMap::new();
            for attempt in store.attempts(&run.id).await.unwrap() {
                match attempt.outcome {
                    Some(AttemptOutcome::Succeeded) => *succeeded.entry(attempt.task).or_default() += 1,
                    Some(AttemptOutcome::Lost) => lost += 1,
                    Some(AttemptOutcome::Crashed) => crashed += 1,
                    Some(AttemptOutcome::Cancelled) if run.dag == "meddled" => {}
                    other => panic!("attempt {} of {}: {other:?}", attempt.attempt, attempt.task),
                }
            }
            assert!(
                succeeded.values().all(|times| *times == 1),
                "a finished task ran again in {}: {succeeded:?}",
                run.dag
            );
            if run.dag.starts_with("crash-") {
                assert_eq!(
                    (run.status, succeeded.len()),
                    (RunStatus::Succeeded, 5),
                    "{}: {succeeded:?}",
                    run.dag
                );
            }
        }
        let taken: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pool_slots")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert_eq!(taken, 0, "all slots of pools are free at the end");
        println!("{} runs, {lost} lost and {crashed} crashed attempts", every.len());
        assert!(lost > 0, "no kill met an attempt");
        self.check_bucket().await;
        let ids: Vec<String> = every.into_iter().map(|run| run.id).collect();
        assert_eq!(left_behind(&ids), Vec::<String>::new(), "no process is left");
        assert_eq!(std::fs::read_dir(self.fixture.path("tmp")).unwrap().count(), 0);
    }

    /// One version and one promotion for each run that succeeded.
    async fn check_bucket(&self) {
        let bucket = self.fixture.engine.bucket();
        for number in 0..self.runs.len() {
            let table = format!("crash-{number}-raw");
            assert_eq!(datasets::versions(bucket, &table).await.unwrap(), [1], "{table}");
            let model = format!("crash-{number}");
            assert_eq!(models::versions(bucket, &model).await.unwrap(), [1], "{model}");
        }
        let entries = PromotionLog::new(bucket.clone()).entries().await.unwrap();
        let promoted: BTreeSet<&str> = entries.iter().map(|entry| entry.model.as_str()).collect();
        assert_eq!(
            (entries.len(), promoted.len()),
            (self.runs.len(), self.runs.len()),
            "one promotion each"
        );
    }
}

/// As if the file had been written three days ago.
fn touch(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(72 * 60 * 60);
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(then)).unwrap();
}

/// Processes whose environment names an attempt of one of these runs.
fn left_behind(runs: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        if runs
            .iter()
            .any(|run| environment.contains(&format!("RATCHET_ATTEMPT={run}/")))
        {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

/// The points that an engine and its workers come to: each file has those of one of them.
async fn points() -> (BTreeSet<String>, BTreeSet<String>) {
    let world = World::new().await;
    let files: [PathBuf; 2] = ["engine-points", "all-points"].map(|name| world.fixture.path(name));
    for number in 0..3 {
        world.fixture.create(&text(number)).await;
    }
    // The second time there is a run that was cancelled and can be corrected; workers tell theirs the third time.
    for round in 0..3 {
        world.leave_old().await;
        let mut engine = world.engine("meddle");
        engine.env("TEST_RECORD", &files[usize::from(round == 2)]);
        if round < 2 {
            engine.env("TEST_RECORD_ENGINE_ONLY", "1");
        } else {
            world.fixture.create(&text(3)).await;
        }
        assert!(engine.status().await.unwrap().success());
    }
    let read = |file: &PathBuf| -> BTreeSet<String> {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    (read(&files[0]), read(&files[1]))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_ends_once_whenever_the_engine_is_killed() {
    let mut random = Random::seeded();
    let mut world = World::new().await;
    for _ in 0..kills() {
        let moment = EARLIEST + random.below(LATEST - EARLIEST);
        world.kill_after(moment).await;
    }
    world.settle().await;
}

/// A run killed between a write and its completion leaves one version and one promotion.
#[tokio::test(flavor = "multi_thread")]
async fn every_run_ends_once_wherever_the_engine_or_a_worker_is_killed() {
    let (of_engine, of_all) = points().await;
    for write in WRITES.into_iter().chain(AT_START) {
        for point in [format!("before {write}"), format!("after {write}")] {
            assert!(of_engine.contains(&point), "`{point}` was not reached: {of_engine:?}");
        }
    }
    // A blob is written by both, and what a worker alone does is killed there.
    let of_worker = ["before write a blob", "after write a blob", "before answer as a worker"];
    assert!(of_worker.iter().all(|point| of_all.contains(*point)), "{of_all:?}");
    println!(
        "{} points of engines and {} of workers",
        of_engine.len(),
        of_worker.len()
    );

    let mut random = Random::seeded();
    let mut world = World::new().await;
    for _ in 0..(kills() / 100).max(1) {
        let mut turns: Vec<(&str, bool)> = of_engine.iter().map(|point| (point.as_str(), false)).collect();
        turns.extend(of_worker.map(|point| (point, true)));
        random.shuffle(&mut turns);
        for (point, by_worker) in turns {
            let at_start = AT_START.iter().any(|action| point.ends_with(action));
            let delay = if at_start { 0 } else { random.below(600) };
            if by_worker {
                world.kill_worker_at(point, delay).await;
            } else {
                world.kill_at(point, delay).await;
            }
        }
    }
    world.settle().await;
}
