//! Secrets reach the tasks that read them, and nothing else.

use std::path::Path;
use std::process::Command;

use ratchet_core::plugin::Output;
use ratchet_runtime::{RunRecord, RunStatus, TaskRecord};

use crate::fixture::{Fixture, worker};

const VALUE: &str = "s3cr3t/with spaces";
const VARIABLE: &str = "0ther-v4lue";
/// What `base64` prints of the two.
const ENCODED: [&str; 2] = ["czNjcjN0L3dpdGggc3BhY2Vz", "MHRoZXItdjRsdWU="];

/// Drives a DAG in a process of its own, whose environment is its own. What it said, and how the run was recorded.
pub async fn drive(home: &Path, text: &str, environment: &[(&str, &str)]) -> (String, RunRecord, Vec<TaskRecord>) {
    let file = home.join("dag.yaml");
    std::fs::write(&file, text).unwrap();
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let directory = home.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(worker())
            .arg("drive")
            .arg(directory)
            .arg(file)
            .envs(environment)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    let engine = Fixture::open(home).await;
    let runs = engine.store().list_runs(None, 1).await.unwrap();
    let tasks = engine.store().tasks(&runs[0].id).await.unwrap();
    (said, runs[0].clone(), tasks)
}

/// Every file below a directory that holds the text.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

fn task<'a>(tasks: &'a [TaskRecord], id: &str) -> &'a TaskRecord {
    tasks.iter().find(|task| task.id == id).unwrap()
}

const LEAKS: &str = "name: leaks
defaults: { environment: { GIVEN: '${{ secrets.OTHER }}' } }
tasks:
  tells: { uses: test.leak, with: { secret: '${{ secrets.KEY }}', variable: GIVEN } }
  fails: { uses: test.leak, with: { secret: '${{ secrets.KEY }}', variable: GIVEN, fails: true } }
  later: { uses: test.echo, with: { value: '${{ tasks.tells.value.given }}' } }
";

/// Y-170
#[tokio::test]
async fn no_secret_is_in_the_home_directory_or_on_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("RATCHET_SECRET_KEY", VALUE), ("RATCHET_SECRET_OTHER", VARIABLE)];
    let (said, run, tasks) = drive(home.path(), LEAKS, &environment).await;
    assert_eq!(run.status, RunStatus::Failed);
    let Output::Value(value) = &task(&tasks, "tells").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(value["given"], "***", "it was given, and masked");
    assert_eq!(value["secret"]["***"][0], "***");
    assert_eq!(value["others"], 0, "a task sees what it reads and no other secret");
    let error = task(&tasks, "fails").error.clone().unwrap();
    assert_eq!(error.message, "it refuses ******");
    let Output::Value(later) = &task(&tasks, "later").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(later, "***");
    let engine = Fixture::open(home.path()).await;
    let lines = engine.logs(&run.id, Some("tells")).await.unwrap();
    let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
    assert!(messages.contains(&"said <***> ***"), "{messages:#?}");
    assert!(messages.contains(&"printed ***"), "{messages:#?}");
    assert_eq!(
        messages.iter().filter(|message| **message == "***").count(),
        2,
        "base64"
    );
    drop(engine);
    std::fs::remove_file(home.path().join("dag.yaml")).unwrap();
    for secret in [VALUE, VARIABLE].into_iter().chain(ENCODED) {
        assert_eq!(files_with(home.path(), secret), Vec::<String>::new(), "{secret}");
        assert!(!said.contains(secret), "{said}");
    }
    assert!(
        !files_with(home.path(), "secrets.KEY").is_empty(),
        "the text of the DAG is kept as it is written"
    );
}

/// Y-171
#[tokio::test]
async fn a_missing_secret_fails_its_task_and_names_the_places() {
    let home = tempfile::tempdir().unwrap();
    let text = "name: missing\ntasks:\n  a: { uses: test.leak, retry: { attempts: 3, initial: 100s }, environment: { A: '${{ secrets.NONE }}' } }\n  b: { uses: test.leak, with: { secret: \"${{ secrets.NONE | default('no') }}\" } }\n";
    let (_, run, tasks) = drive(home.path(), text, &[]).await;
    assert_eq!(run.status, RunStatus::Failed);
    let failed = task(&tasks, "a");
    assert_eq!(failed.attempts, 0, "it is not tried again");
    let error = failed.error.as_ref().unwrap().to_string();
    assert!(error.contains("the secret `NONE` is nowhere"), "{error}");
    for place in [
        "RATCHET_SECRET_NONE",
        "RATCHET_SECRETS_FILE",
        "RATCHET_SECRETS_DIRECTORY",
    ] {
        assert!(error.contains(place), "{error}");
    }
    assert_eq!(task(&tasks, "b").state, ratchet_runtime::TaskState::Succeeded);
}

/// Y-171
#[tokio::test]
async fn secrets_come_from_a_file_and_from_a_directory_outside_of_the_home() {
    let home = tempfile::tempdir().unwrap();
    let places = tempfile::tempdir().unwrap();
    let file = places.path().join("secrets.env");
    std::fs::write(&file, format!("KEY={VALUE}\n")).unwrap();
    std::fs::write(places.path().join("OTHER"), format!("{VARIABLE}\n")).unwrap();
    let (file, directory) = (file.display().to_string(), places.path().display().to_string());
    let environment = [
        ("RATCHET_SECRETS_FILE", file.as_str()),
        ("RATCHET_SECRETS_DIRECTORY", directory.as_str()),
    ];
    let (_, _, tasks) = drive(home.path(), LEAKS, &environment).await;
    let Output::Value(value) = &task(&tasks, "tells").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(value["given"], "***");
    assert_eq!(value["secret"]["***"][0], "***");
    for secret in [VALUE, VARIABLE] {
        assert_eq!(files_with(home.path(), secret), Vec::<String>::new());
    }
    // Without the file the task that reads from it fails, and says which file.
    std::fs::remove_file(places.path().join("secrets.env")).unwrap();
    let (_, _, tasks) = drive(home.path(), LEAKS, &environment).await;
    let error = task(&tasks, "tells").error.as_ref().unwrap().to_string();
    assert!(
        error.contains(&file) && error.contains("RATCHET_SECRETS_FILE"),
        "{error}"
    );
}

/// Y-190
#[tokio::test]
async fn a_task_with_an_environment_has_a_process_of_its_own() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run("name: places\ndefaults: { environment: { LEVEL: low, DAY: '${{ run.logical_date }}' } }\ntasks:\n  a: { uses: test.leak, isolation: inline, environment: { LEVEL: 1.10 }, with: { variable: LEVEL } }\n  b: { uses: test.leak, with: { variable: DAY } }\n")
        .await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    let value = |id: &str| match &ended.task(id).outputs["value"] {
        Output::Value(value) => value.clone(),
        _ => panic!("no value"),
    };
    assert_eq!(value("a")["given"], "1.10", "as it is written, over the default");
    assert_eq!(value("b")["given"], ended.run.logical_date.to_string());
    assert_ne!(value("a")["process"], std::process::id());
    let ended = fixture
        .run("name: inside\ntasks:\n  a: { uses: test.leak, with: { variable: LEVEL } }\n")
        .await;
    let Output::Value(value) = &ended.task("a").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(value["process"], std::process::id());
    assert_eq!(value["given"], "", "the engine's own environment stays as it is");
}
