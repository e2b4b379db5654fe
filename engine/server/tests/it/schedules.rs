//! Ticks become runs.

use std::path::Path;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use ratchet_core::plugin::Registry;
use ratchet_runtime::{Beginning, Engine, EngineOptions, NewRun, RunTrigger};
use serde_json::{Value, json};

use crate::service::{Nothing, Service};

/// An hourly DAG that was followed until `hours` hours ago.
pub fn left_behind(home: &Path, catchup: &str, hours: i64) {
    let dag = format!(
        "name: hourly\nschedule: {{ cron: \"0 * * * *\", timezone: UTC, catchup: {catchup} }}\n\
         tasks:\n  only: {{ uses: test.nothing }}\n"
    );
    std::fs::create_dir(home.join("dags")).unwrap();
    std::fs::write(home.join("dags/hourly.yaml"), dag).unwrap();
    let until = Timestamp::now() - hours.hours();
    let followed = json!({ "hourly": { "schedule": "0 * * * * UTC", "until": until } });
    std::fs::write(home.join("schedules.json"), followed.to_string()).unwrap();
}

fn all_succeeded(answer: &Value, count: usize) -> bool {
    let runs = answer["runs"].as_array().unwrap();
    runs.len() >= count && runs.iter().all(|run| run["status"] == json!("succeeded"))
}

fn logical_dates(answer: &Value) -> Vec<Timestamp> {
    let runs = answer["runs"].as_array().unwrap();
    let mut dates: Vec<Timestamp> = runs
        .iter()
        .map(|run| run["logical_date"].as_str().unwrap().parse().unwrap())
        .collect();
    dates.sort();
    dates
}

/// Y-087
#[tokio::test]
async fn the_newest_missed_tick_is_caught_up_once_and_not_again_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    left_behind(home.path(), "latest", 5);
    let service = Service::start(home.path()).await;
    let answer = service
        .wait_for("/api/v1/runs", |answer| all_succeeded(answer, 1))
        .await;
    let run = &answer["runs"][0];
    assert_eq!(
        (&run["trigger"], &run["actor"]),
        (&json!("schedule"), &json!("scheduler"))
    );
    let [date] = logical_dates(&answer)[..] else {
        panic!("{answer}")
    };
    assert!(
        date <= Timestamp::now() && date > Timestamp::now() - 61.minutes(),
        "{date}"
    );
    assert_eq!(
        run["interval_start"].as_str().unwrap().parse::<Timestamp>().unwrap(),
        date - 1.hour()
    );
    service.stop().await;
    let service = Service::start(home.path()).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    // An hour may have begun meanwhile: its tick is another one.
    let dates = logical_dates(&service.json("/api/v1/runs").await);
    assert_eq!(dates.iter().filter(|other| **other == date).count(), 1, "{dates:?}");
    service.stop().await;
}

/// Y-087, Y-089
#[tokio::test]
async fn all_missed_ticks_are_caught_up_by_two_schedulers_with_one_run_each() {
    let home = tempfile::tempdir().unwrap();
    left_behind(home.path(), "all", 4);
    let first = Service::start(home.path()).await;
    let second = Service::start(home.path()).await;
    let answer = first.wait_for("/api/v1/runs", |answer| all_succeeded(answer, 4)).await;
    let dates = logical_dates(&answer);
    assert!(dates.windows(2).all(|pair| pair[1] == pair[0] + 1.hour()), "{dates:?}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_edited_schedule_fires_nothing_old() {
    let home = tempfile::tempdir().unwrap();
    left_behind(home.path(), "all", 48);
    let edited = std::fs::read_to_string(home.path().join("dags/hourly.yaml"))
        .unwrap()
        .replace("0 * *", "1 * *");
    std::fs::write(home.path().join("dags/hourly.yaml"), edited).unwrap();
    let service = Service::start(home.path()).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let dates = logical_dates(&service.json("/api/v1/runs").await);
    assert!(
        dates.iter().all(|date| *date > Timestamp::now() - 1.minute()),
        "{dates:?}"
    );
    service.stop().await;
}

/// Nobody drives the manual run in its first seconds: it is left to the process that made it. It counts all the same.
/// Y-088
#[tokio::test]
async fn a_run_of_another_process_counts_for_the_most_active_runs() {
    let home = tempfile::tempdir().unwrap();
    left_behind(home.path(), "all", 3);
    let mut registry = Registry::default();
    registry.add::<Nothing>();
    let registry = Arc::new(registry);
    let file = home.path().join("dags/hourly.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let dag = ratchet_core::load("hourly.yaml", &text, &registry).unwrap();
    let engine = Engine::open(EngineOptions {
        home: home.path().to_owned(),
        database_url: None,
        bucket_url: home.path().join("bucket").to_string_lossy().into_owned(),
        signing_key: None,
        replay: None,
        working_directory: home.path().to_owned(),
        worker: std::env::current_exe().unwrap(),
        slots: 1,
        registry,
    })
    .await
    .unwrap();
    let now = Timestamp::now();
    let manual = NewRun {
        dag,
        params: Default::default(),
        logical_date: now,
        interval_start: now,
        trigger: RunTrigger::Manual,
        actor: "ada".to_owned(),
    };
    let reserved = Beginning {
        reserved: true,
        ..Beginning::default()
    };
    let manual = engine.create_run_from(manual, &reserved).await.unwrap();
    let service = Service::start(home.path()).await;
    service
        .wait_for("/api/v1/runs", |answer| all_succeeded(answer, 4))
        .await;
    let freed = engine.run(&manual).await.unwrap().finished_at.unwrap();
    for run in engine.store().list_runs(None, 100).await.unwrap() {
        assert!(
            run.id == manual || run.created_at >= freed,
            "{} began while another was active",
            run.logical_date
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Postgres; `make test` runs it where there is one"]
async fn two_schedulers_on_one_postgres_make_each_tick_once() {
    let server = ratchet_database::test_server::PostgresServer::start().await;
    let database = server.database("ticks").await;
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut services = Vec::new();
    for home in &homes {
        left_behind(home.path(), "all", 30);
        let file = home.path().join("dags/hourly.yaml");
        let text = std::fs::read_to_string(&file).unwrap() + "max_active_runs: 5\n";
        std::fs::write(&file, text).unwrap();
    }
    for home in &homes {
        let service = Service::start_on(home.path(), Some(database.clone()), |_| async {}).await;
        services.push(service);
    }
    for service in &services {
        let answer = service
            .wait_for("/api/v1/runs", |answer| all_succeeded(answer, 30))
            .await;
        let dates = logical_dates(&answer);
        assert!(dates.windows(2).all(|pair| pair[1] == pair[0] + 1.hour()), "{dates:?}");
        let runs = answer["runs"].as_array().unwrap();
        assert!(runs.iter().all(|run| run["trigger"] == json!("schedule")), "{answer}");
    }
    for service in services {
        service.stop().await;
    }
}
