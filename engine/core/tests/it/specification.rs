//! Rules of `docs/specs` that no other test has: what holds where a file says nothing, and what small texts mean.

use std::collections::BTreeMap;
use std::time::Duration;

use ratchet_core::diagnostics::Code;
use ratchet_core::plugin::Isolation;
use ratchet_core::spec::{Backoff, Catchup, Dag, OnGap, OnOverlap, Overlap, TriggerRule};
use ratchet_core::template::{Scope, render};
use serde_json::{Value, json};

use crate::plugins::registry;

fn load(text: &str) -> Dag {
    ratchet_core::load("f.yaml", text, &registry()).unwrap()
}

fn codes(text: &str) -> Vec<Code> {
    let (_, diagnostics) = ratchet_core::check("f.yaml", text, &registry());
    diagnostics.problems.iter().map(|problem| problem.code).collect()
}

fn rendered(text: &str, scope: &Scope) -> Result<Value, String> {
    render(&json!(text), scope).map_err(|error| error.to_string())
}

fn scope() -> Scope {
    Scope {
        params: BTreeMap::from([("n".to_owned(), json!(3)), ("e".to_owned(), json!("${{ params.n }}"))]),
        tasks: BTreeMap::from([("t".to_owned(), BTreeMap::from([("p".to_owned(), json!({ "rows": 2 }))]))]),
        run: json!({
            "id": "r", "logical_date": "2024-01-02T00:00:00Z", "interval_start": "2024-01-01T00:00:00Z",
            "interval_end": "2024-01-02T00:00:00Z",
        }),
        ..Scope::default()
    }
}

/// Y-004, Y-055, Y-059, Y-060, Y-063, Y-082, Y-083, Y-084, Y-087, Y-088
#[test]
fn what_a_file_does_not_say() {
    let dag = load("name: a\nschedule: { cron: '@daily' }\ntasks: { t: { uses: core.noop } }\n");
    let schedule = dag.schedule.as_ref().unwrap();
    assert_eq!(schedule.timezone, "UTC");
    assert_eq!((schedule.on_gap, schedule.on_overlap), (OnGap::Shift, OnOverlap::First));
    assert_eq!((schedule.catchup, schedule.overlap), (Catchup::Latest, Overlap::Skip));
    assert_eq!(dag.max_active_runs, 1);
    let task = &dag.tasks[0];
    assert_eq!(task.trigger, TriggerRule::AllSuccess);
    assert_eq!((task.retry.attempts, task.retry.backoff), (1, Backoff::Exponential));
    assert_eq!(
        Some(task.isolation),
        registry().get("core.noop").map(|plugin| plugin.isolation)
    );
    assert!(task.when.is_none() && task.dependencies.is_empty());
    assert_eq!(
        load("name: a\ntasks: { t: { uses: core.noop, isolation: process } }\n").tasks[0].isolation,
        Isolation::Process
    );
    assert_eq!(codes("name: a\ntasks: {}\n"), [Code::OutOfBounds]);
}

/// Y-011
#[test]
fn a_description_is_any_text() {
    let dag = load("name: a\ndescription: 'see ${{ params.x }} and {{ y }}'\ntasks: { t: { uses: core.noop } }\n");
    assert_eq!(dag.description, "see ${{ params.x }} and {{ y }}");
}

/// Y-030, Y-031, Y-032, Y-033, Y-034, Y-036
#[test]
fn small_texts_and_what_they_mean() {
    for (text, value) in [
        (
            "{{ params.n }} {% if %} ${#a[@]} $(x) $n",
            json!("{{ params.n }} {% if %} ${#a[@]} $(x) $n"),
        ),
        ("${{ params.n }}", json!(3)),
        ("${{ params.n + 1 }}", json!(4)),
        ("n=${{ params.n }}", json!("n=3")),
        ("${{ params.e }}", json!("${{ params.n }}")),
        ("${{ tasks.t.p.rows > 1 }}", json!(true)),
        ("${{ tasks.u.p | default(none) }}", json!(null)),
        (
            "${{ run.id }} ${{ run.interval_start }} ${{ run.interval_end }}",
            json!("r 2024-01-01T00:00:00Z 2024-01-02T00:00:00Z"),
        ),
        ("${{ run.logical_date }}", json!("2024-01-02T00:00:00Z")),
    ] {
        assert_eq!(rendered(text, &scope()).as_ref(), Ok(&value), "{text}");
    }
    for text in [
        "${{ params.x }}",
        "${{ tasks.u.p }}",
        "${{ run.date }}",
        "x ${{ none }}",
    ] {
        assert!(rendered(text, &scope()).is_err(), "{text}");
    }
}

/// Y-039
#[test]
fn a_key_is_not_rendered() {
    let text = "name: a\ntasks: { t: { uses: train.model, with: { table: '${{ tasks.r.table }}', target: y, notes: { '${{ run.id }}': 1 } } }, r: { uses: extract.file, with: { from: x } } }\n";
    assert!(codes(text).contains(&Code::BadExpression), "{:?}", codes(text));
}

/// Y-052, Y-054
#[test]
fn a_need_is_an_edge_without_data() {
    let dag = load("name: a\ntasks:\n  b: { uses: core.noop, needs: [a] }\n  a: { uses: core.noop }\n");
    let order: Vec<&str> = dag.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(order, ["a", "b"]);
    assert!(dag.tasks[1].dependencies.contains("a"));
}

/// Y-062
#[test]
fn defaults_are_taken_key_by_key() {
    let dag = load(
        "name: a\ndefaults: { timeout: 2h, retry: { attempts: 4, initial: 2s } }\ntasks:\n  \
         a: { uses: core.noop, retry: { initial: 3s } }\n  b: { uses: core.noop, timeout: 1m }\n",
    );
    let (a, b) = (&dag.tasks[0], &dag.tasks[1]);
    assert_eq!(
        (a.timeout, a.retry.attempts, a.retry.initial),
        (Duration::from_secs(7_200), 4, Duration::from_secs(3))
    );
    assert_eq!(
        (b.timeout, b.retry.attempts, b.retry.initial),
        (Duration::from_secs(60), 4, Duration::from_secs(2))
    );
}

/// Y-064, Y-066
#[test]
fn resources_are_sizes_and_numbers() {
    let resources = |text: &str| {
        let text = format!("name: a\ntasks: {{ t: {{ uses: core.noop, isolation: process, resources: {text} }} }}\n");
        (codes(&text), ratchet_core::load("f.yaml", &text, &registry()).ok())
    };
    let (_, dag) = resources("{ memory: 1.5GiB, threads: 2 }");
    let found = dag.unwrap().tasks[0].resources;
    assert_eq!((found.memory_bytes, found.threads), (Some(3 << 29), Some(2)));
    assert_eq!(resources("{ memory: 4 gigs }").0, [Code::BadSize]);
    assert_eq!(resources("{ memory: 4096 }").0, [Code::BadSize]);
    assert_eq!(resources("{ threads: 0 }").0, [Code::OutOfBounds]);
}
