//! What people read of a run, and what a pull request does with it.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::browser::{chromium, python};
use crate::engine::start_engine;
use crate::support::{directory, ratchet, run_dag, task, text, workspace};

const MODEL: &str = "california-housing";

/// Fields, candidates and what else is different of a training.
struct Edit {
    fields: &'static str,
    candidate: &'static str,
    breaking: bool,
    /// Rows that the gate asks for.
    fewest: u32,
}

const FEW: &str = "[longitude, median_income]";
const ALL: &str = "[longitude, latitude, housing_median_age, total_rooms, population, households, median_income]";
const LINEAR: &str = "linear: {}";
const BOOSTING: &str = "boosting: { trees: 80 }";

/// The shipped DAG with less to learn, on built-in records.
fn dag(home: &Path, edit: &Edit) -> PathBuf {
    let shipped = std::fs::read_to_string(workspace().join("dags/california_housing.yaml")).unwrap();
    let (before, rest) = shipped.split_once("      features:\n").unwrap();
    let (_, after) = rest.split_once("      route:").unwrap();
    let text = format!(
        "{before}      features:\n        - number: {{ fields: {} }}\n      candidates:\n        - {}\n      route:{after}",
        edit.fields, edit.candidate
    );
    let text = text
        .replace("rows=20000&seed=7", "rows=6000&seed=7")
        .replace(
            "row_count: { min: 5000 }",
            &format!("row_count: {{ min: {} }}", edit.fewest),
        )
        .replace(
            "comparison: ${{ tasks.compare.comparison }}",
            &format!(
                "comparison: ${{{{ tasks.compare.comparison }}}}\n      breaking: {}",
                edit.breaking
            ),
        );
    let path = home.join("housing.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

fn run(home: &Path, edit: &Edit) -> (i32, Value) {
    run_dag(ratchet(home), &dag(home, edit), &[])
}

fn report(home: &Path, document: &Value, format: &str) -> (i32, String) {
    let Output { status, stdout, stderr } = ratchet(home)
        .args(["report", document["run"].as_str().unwrap(), "--format", format])
        .output()
        .unwrap();
    assert_eq!(text(&stderr), "");
    (status.code().unwrap(), text(&stdout))
}

fn models(home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = ratchet(home).arg("models").args(arguments).output().unwrap();
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

/// A model that gets better, one that gets worse, one that asks for more, and a gate that refuses: what the reports say of each, whether a
/// pull request would be blocked, and how the pages look.
#[test]
fn a_report_blocks_what_is_worse_and_its_pages_are_for_everybody() {
    let home = directory("reports");
    let plain = |fields, candidate| Edit {
        fields,
        candidate,
        breaking: false,
        fewest: 5000,
    };
    let (status, first) = run(&home, &plain(FEW, LINEAR));
    assert_eq!(status, 0, "{first:#}");
    let (status, better) = run(&home, &plain(FEW, BOOSTING));
    assert_eq!(status, 0, "{better:#}");
    assert_eq!(better["models"][0]["verdict"], "better", "{better:#}");
    let (status, markdown) = report(&home, &better, "markdown");
    println!("{markdown}");
    assert_eq!(status, 0);
    for part in [
        "## california-housing@2 SIMULATED",
        "Against the champion california-housing@1. Verdict: **better**.",
        "| calibration | holds |",
        "## Gate `gate`\n\nPassed: ",
        "- california-housing@2 is champion now: mae falls by",
        "| promote | succeeded |",
    ] {
        assert!(markdown.contains(part), "{part} is not in\n{markdown}");
    }
    let (status, document) = report(&home, &better, "json");
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((status, &document["against"]), (0, &json!([])));
    assert_eq!(document["gates"][0]["report"]["passed"], true);

    let (status, worse) = run(&home, &plain("[households]", LINEAR));
    assert_eq!((status, &task(&worse, "promote")["state"]), (0, &json!("skipped")));
    let (status, markdown) = report(&home, &worse, "markdown");
    assert_eq!(status, 1, "a model that is worse blocks");
    assert!(
        markdown.contains("- california-housing@3 is worse: mae rises by"),
        "{markdown}"
    );

    let (status, page) = report(&home, &better, "html");
    assert_eq!(status, 0);
    std::fs::write(home.join("run.html"), page).unwrap();
    let (status, refused) = run(
        &home,
        &Edit {
            fewest: 7000,
            ..plain(FEW, LINEAR)
        },
    );
    assert_eq!(status, 1);
    let (status, page) = report(&home, &refused, "html");
    assert_eq!(status, 1, "a run that failed blocks");
    assert!(
        page.contains("task `gate` failed: expectation `row_count &gt;= 7000` failed"),
        "{page}"
    );
    std::fs::write(home.join("refused.html"), page).unwrap();

    let (status, compared, _) = models(
        &home,
        &["compare", "california-housing@3", "--against", "1", "--format", "json"],
    );
    let compared: Value = serde_json::from_str(&compared).unwrap();
    assert_eq!(
        (status, &compared["worse"], &compared["champion"]["version"]),
        (1, &json!(true), &json!(1))
    );
    assert_eq!(compared["holdout"]["uses"], json!({ "measured": 2, "decided": 2 }));
    let (status, _, said) = models(&home, &["compare", "california-housing@9"]);
    assert_eq!(status, 2);
    assert!(said.contains("its versions are 1 to 3"), "{said}");

    look_at_pages(&home);
    what_breaks_is_refused(&home);
}

fn look_at_pages(home: &Path) {
    let Some(chromium) = chromium() else { return };
    let mut pages: Vec<Value> = Vec::new();
    for path in files(&home.join("bucket/runs"), "html")
        .into_iter()
        .chain(files(home, "html"))
    {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let known = pages.iter().filter(|page| page["kind"] == json!(name)).count();
        // The first two of each kind: the first comparison has no champion, the second has one.
        if known < 2 && !pages.iter().any(|page| page["path"] == json!(path)) {
            pages.push(json!({ "kind": name, "name": format!("{name}-{}", known + 1), "path": path }));
        }
    }
    for kind in ["profile", "gate", "comparison", "run", "refused"] {
        assert!(
            pages.iter().any(|page| page["kind"] == kind),
            "no page {kind} in {pages:?}"
        );
    }
    let screenshots = directory("screenshots");
    let looked = python(
        "pages.py",
        &json!({ "chromium": chromium, "screenshots": screenshots, "pages": pages }),
    );
    println!("screenshots are kept in {}", screenshots.display());
    println!("{looked}");
    assert_eq!(looked.as_array().unwrap().len(), pages.len());
}

/// A version that asks for more than the one before is promoted where somebody says so, and nowhere else.
fn what_breaks_is_refused(home: &Path) {
    let asks_for_more = |breaking| Edit {
        fields: ALL,
        candidate: BOOSTING,
        breaking,
        fewest: 5000,
    };
    let (status, refused) = run(home, &asks_for_more(false));
    assert_eq!(status, 1, "{refused:#}");
    let message = task(&refused, "promote")["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("california-housing@4 would break requests or answers of california-housing@2")
            && message.contains("it asks for `total_rooms`, which nobody sends yet")
            && message.contains("`breaking: true`"),
        "{message}"
    );
    let (status, markdown) = report(home, &refused, "markdown");
    assert_eq!(status, 1, "what was refused blocks");
    assert!(
        markdown.contains("- california-housing@4 was not promoted: california-housing@4 would break"),
        "{markdown}"
    );
    let (status, allowed) = run(home, &asks_for_more(true));
    assert_eq!(
        (status, &allowed["models"][0]["promoted"]),
        (0, &json!(true)),
        "{allowed:#}"
    );

    let by_hand = ["promote", "california-housing@2", "--reason", "as before"];
    over_rest(home, &allowed, &by_hand);
    let (status, _, said) = models(home, &by_hand);
    assert_eq!(status, 2);
    assert!(
        said.contains("it refuses `total_rooms`, which is sent now") && said.contains("--breaking"),
        "{said}"
    );
    let (status, promoted, _) = models(home, &[&by_hand[..], &["--breaking"]].concat());
    assert_eq!(status, 0);
    assert!(
        promoted.contains(&format!("champion of {MODEL} is now @2")),
        "{promoted}"
    );
}

/// The service refuses the same, and tells the same report.
fn over_rest(home: &Path, document: &Value, by_hand: &[&str]) {
    let dags = home.join("dags");
    std::fs::create_dir_all(&dags).unwrap();
    let added = ratchet(home)
        .args(["keys", "add", "ci", "--role", "operator", "--format", "json"])
        .output()
        .unwrap();
    let key: Value = serde_json::from_slice(&added.stdout).unwrap();
    let server = start_engine(home, &dags);
    let url = format!("http://{}", server.address);
    let there = |arguments: &[&str]| {
        let mut command = ratchet(home);
        command
            .args(arguments)
            .args(["--server", &url])
            .env("RATCHET_TOKEN", key["secret"].as_str().unwrap());
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code().unwrap(), text(&stdout), text(&stderr))
    };
    let (status, _, said) = there(&[&["models"], by_hand].concat());
    assert_ne!(status, 0);
    assert!(said.contains("it refuses `total_rooms`, which is sent now"), "{said}");
    let (status, told, said) = there(&["report", document["run"].as_str().unwrap()]);
    assert_eq!((status, told), report(home, document, "markdown"), "{said}");
}

/// Files below a directory with this ending, sorted.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
