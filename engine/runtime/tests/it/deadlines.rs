//! Runs that take longer than their DAG's deadline.

use std::time::Duration;

use ratchet_runtime::RunStatus;
use tokio::sync::{mpsc, watch};

use crate::fixture::Fixture;
use crate::notifications::hook;

fn slow(address: &str, seconds: f64) -> String {
    format!(
        "name: slow\ndeadline: 1s\nnotify: [{{ on: [late], webhook: '{address}' }}]\ntasks:\n  \
         a: {{ uses: test.sleep, with: {{ seconds: {seconds}, polite: true }} }}\n"
    )
}

/// Y-162
#[tokio::test]
async fn a_late_run_is_marked_and_told_once_also_if_another_engine_goes_on_with_it() {
    let fixture = Fixture::new().await;
    let (address, heard) = hook(&[200]).await;
    let id = fixture.create(&slow(&address, 4.0)).await;
    let accepted = fixture.engine.run(&id).await.unwrap();
    let due = accepted.due_at.unwrap();
    let allowed = due.duration_since(accepted.created_at).as_millis();
    assert!((999..=1000).contains(&allowed), "{allowed}");
    let (_stay, cancel) = watch::channel(false);
    let (events, _) = mpsc::unbounded_channel();
    let first = fixture.engine.execute(&id, events.clone(), cancel.clone());
    // The engine is gone after the mark.
    assert!(tokio::time::timeout(Duration::from_millis(2_500), first).await.is_err());
    let marked = fixture.engine.run(&id).await.unwrap();
    assert!(marked.late_at.unwrap() >= due && marked.status == RunStatus::Running);
    let other = Fixture::open(fixture.directory.path()).await;
    let ended = loop {
        match other.execute(&id, events.clone(), cancel.clone()).await {
            Ok(ended) => break ended,
            // Until the lease of the first ends.
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    assert_eq!((ended.status, ended.late_at), (RunStatus::Succeeded, marked.late_at));
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(
        heard[0].1.starts_with(&format!("*slow* is late: run {id} for ")),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_run_within_its_deadline_gets_no_mark() {
    let fixture = Fixture::new().await;
    let (address, heard) = hook(&[200]).await;
    let ended = fixture.run(&slow(&address, 0.1)).await;
    assert_eq!((ended.run.status, ended.run.late_at), (RunStatus::Succeeded, None));
    assert!(heard.lock().unwrap().is_empty());
}

/// Y-163
#[tokio::test]
async fn a_run_over_its_timeout_is_ended_and_has_failed_also_by_the_next_engine() {
    let fixture = Fixture::new().await;
    let text = "name: endless\ntimeout: 2s\ntasks:\n  a: { uses: test.sleep, with: { seconds: 600 } }\n  b: { uses: test.echo, needs: [a], with: { value: 1 } }\n";
    let started = std::time::Instant::now();
    let ended = fixture.run(text).await;
    assert!(started.elapsed() > Duration::from_secs(2));
    assert_eq!(ended.run.status, RunStatus::Failed);
    assert_eq!(
        ended.task("a").reason.as_deref(),
        Some("the run took longer than its timeout while it was running")
    );
    assert!(
        ended.task("b").reason.as_deref().unwrap().contains("timeout (2s)"),
        "{:?}",
        ended.tasks
    );
    // Nobody drove this one in time.
    let late = fixture.create(text).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let (_stay, cancel) = watch::channel(false);
    let ended = fixture.execute(&late, cancel).await;
    assert_eq!((ended.run.status, ended.task("a").attempts), (RunStatus::Failed, 0));
}
