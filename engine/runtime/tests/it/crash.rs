//! The engine process is killed again and again, at moments that nobody chose.
//!
//! `RATCHET_CRASH_KILLS` says how often (20 without it); `RATCHET_CRASH_SEED` repeats the moments of an earlier test.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ratchet_artifacts::{PromotionLog, datasets, models};
use ratchet_runtime::{AttemptOutcome, RunStatus};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::fixture::{Fixture, worker};

/// Active at once.
const RUNS: usize = 6;

/// Moments of a kill, in milliseconds after the engine's start.
const EARLIEST: u64 = 40;
const LATEST: u64 = 900;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A run that makes tables, a model and a promotion of its own, with tasks that leave processes behind.
fn text(number: usize) -> String {
    let mut text = format!(
        "\
name: crash-{number}
tasks:
  raw:
    uses: test.table
    with: {{ content: rows of {number} }}
  slow:
    uses: test.sleep
    with: {{ seconds: 0.15, pids: pids-{number} }}
  train:
    uses: test.model
    needs: [slow]
    with: {{ name: crash-{number}, content: bundle of {number}, table: \"${{{{ tasks.raw.table }}}}\" }}
"
    );
    let _ = write!(
        text,
        "  promote:\n    uses: test.promote\n    with: {{ model: \"${{{{ tasks.train.model }}}}\" }}\n  \
         last:\n    uses: test.echo\n    needs: [promote]\n    with: {{ value: {number} }}\n"
    );
    text
}

/// The next number of a simple generator: the moments can be repeated, their quality does not matter.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn engine(home: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(worker());
    command
        .arg("resume")
        .arg(home)
        .current_dir(home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// As if the time of every lease were over: the engine that held them is known to be dead.
async fn end_leases(pool: &SqlitePool) {
    sqlx::query("UPDATE runs SET lease_until = 1 WHERE status = 'running'")
        .execute(pool)
        .await
        .unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn every_run_ends_once_whenever_the_engine_is_killed() {
    let kills = number("RATCHET_CRASH_KILLS").unwrap_or(20);
    let seed = number("RATCHET_CRASH_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond() as u64);
    println!("{kills} kills, RATCHET_CRASH_SEED={seed}");
    let mut state = seed;
    let fixture = Fixture::new().await;
    let home = fixture.directory.path();
    let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..kills {
        // There is always work to be killed at.
        while fixture.engine.store().unfinished_runs(None).await.unwrap().len() < RUNS {
            runs.push(fixture.create(&text(runs.len())).await);
        }
        end_leases(&pool).await;
        let mut child = engine(home).spawn().unwrap();
        let moment = EARLIEST + next(&mut state) % (LATEST - EARLIEST);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }
    end_leases(&pool).await;
    let last = engine(home).status().await.unwrap();
    assert!(last.success(), "{last}");

    let mut lost = 0;
    for (number, run) in runs.iter().enumerate() {
        let store = fixture.engine.store();
        let record = store.run(run).await.unwrap().unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "run {number}");
        let mut succeeded: BTreeMap<String, u32> = BTreeMap::new();
        for attempt in store.attempts(run).await.unwrap() {
            match attempt.outcome {
                Some(AttemptOutcome::Succeeded) => *succeeded.entry(attempt.task).or_default() += 1,
                Some(AttemptOutcome::Lost) => lost += 1,
                other => panic!("attempt {} of {}: {other:?}", attempt.attempt, attempt.task),
            }
        }
        assert_eq!(succeeded.len(), 5, "run {number}: {succeeded:?}");
        assert!(
            succeeded.values().all(|times| *times == 1),
            "a finished task ran again in run {number}: {succeeded:?}"
        );
        let table = format!("crash-{number}-raw");
        let versions = datasets::versions(fixture.engine.bucket(), &table).await.unwrap();
        assert_eq!(versions, [1], "{table}");
        let model = format!("crash-{number}");
        let versions = models::versions(fixture.engine.bucket(), &model).await.unwrap();
        assert_eq!(versions, [1], "{model}");
    }
    println!("{} runs, {lost} lost attempts", runs.len());
    assert!(lost > 0, "no kill met an attempt");
    let bucket = fixture.engine.bucket();
    let entries = PromotionLog::new(bucket.clone()).entries().await.unwrap();
    assert_eq!(entries.len(), runs.len(), "one promotion each");
    assert_eq!(left_behind(&runs), Vec::<String>::new(), "no process is left");
    assert_eq!(std::fs::read_dir(fixture.path("tmp")).unwrap().count(), 0);
}
