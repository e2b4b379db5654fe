//! Files that load, and one with ten problems.

use ratchet_core::plugin::Isolation;
use ratchet_core::spec::{Backoff, Catchup, OnGap, Retry, TriggerRule};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::plugins::registry;

pub const WHOLE: &str = r##"
# yaml-language-server: $schema=./schema/dag.schema.json
name: lfb-response-time
description: Retrained when the month's records are out.
schedule:
  cron: "0 2 15 * *"
  timezone: Europe/London
  on_gap: skip
  catchup: all
params:
  incidents: { type: string, default: "simulated://lfb?rows=40000&seed=7", description: where the records are }
  stations: { type: string, default: "" }
  target_seconds: { type: integer, default: 360, minimum: 60 }
  version: { type: string, default: 1.10 }
defaults:
  timeout: 30m
  retry: { attempts: 3, initial: 5s, max: 5m, jitter: false }
max_active_runs: 2
tasks:
  promote:
    uses: promote.model
    when: ${{ tasks.train.better }}
    with: { model: "${{ tasks.train.model }}", alias: champion }
  gate:
    uses: quality.gate
    with:
      table: ${{ tasks.incidents.table }}
      expect:
        - { row_count: { min: 5000 } }
        - { null_share: { columns: [a, b], max: 0.01 } }
  incidents:
    uses: extract.file
    with: { from: "${{ params.incidents }}", null_values: [NA, 010, 1.10] }
    retry: { backoff: constant }
  stations:
    uses: extract.file
    when: ${{ params.stations != '' }}
    with: { from: "stations.csv ${#a[@]} {%s} {{ x }}" }
  train:
    uses: train.model
    needs: [stations]
    trigger: none_failed
    timeout: 1h30m
    isolation: process
    resources: { memory: 4GiB, threads: 2 }
    with:
      table: ${{ tasks.gate.table | default(none) }}
      lookup: ${{ tasks.stations.table | default(none) }}
      target: seconds-${{ params.target_seconds }}-${{ params.version }}
      candidates:
        - { kind: linear }
        - { kind: boosting, trees: 300 }
      seed: ${{ params.target_seconds }}
"##;

/// Y-062, Y-063
#[test]
fn a_whole_file_becomes_a_dag() {
    let (dag, diagnostics) = ratchet_core::check("dags/lfb.yaml", WHOLE, &registry());
    assert_eq!(diagnostics.to_string(), "no problems in dags/lfb.yaml\n");
    let dag = dag.unwrap();
    assert_eq!(dag.name, "lfb-response-time");
    let order: Vec<&str> = dag.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(order, ["incidents", "gate", "stations", "train", "promote"]);
    let schedule = dag.schedule.as_ref().unwrap();
    assert_eq!(
        (schedule.cron.as_str(), schedule.timezone.as_str()),
        ("0 2 15 * *", "Europe/London")
    );
    assert_eq!((schedule.on_gap, schedule.catchup), (OnGap::Skip, Catchup::All));
    assert_eq!(dag.max_active_runs, 2);
    assert_eq!(dag.params["version"].default, Some(json!("1.10")));

    let incidents = dag.task("incidents").unwrap();
    assert_eq!(incidents.with["null_values"], json!(["NA", "010", "1.10"]));
    assert_eq!(incidents.timeout, Duration::from_secs(1800));
    assert_eq!(incidents.isolation, Isolation::Inline);
    let inherited = Retry {
        attempts: 3,
        backoff: Backoff::Constant,
        jitter: false,
        ..Retry::default()
    };
    assert_eq!(incidents.retry, inherited);

    let train = dag.task("train").unwrap();
    assert_eq!(train.trigger, TriggerRule::NoneFailed);
    assert_eq!(train.timeout, Duration::from_secs(5400));
    assert_eq!(train.isolation, Isolation::Process);
    assert_eq!(
        (train.resources.memory_bytes, train.resources.threads),
        (Some(4 << 30), Some(2))
    );
    let dependencies: Vec<&str> = train.dependencies.iter().map(String::as_str).collect();
    assert_eq!(dependencies, ["gate", "stations"]);
    assert_eq!(dag.task("promote").unwrap().when.as_deref(), Some("tasks.train.better"));
    assert_eq!(
        dag.task("stations").unwrap().with["from"],
        json!("stations.csv ${#a[@]} {%s} {{ x }}")
    );
}

/// Y-008
#[test]
fn anchors_and_merges_work_and_a_byte_order_mark_is_skipped() {
    let text = "\u{feff}name: a\ntasks:\n  one:\n    uses: extract.file\n    with: &with { from: x, limit: 5 }\n    retry: &retry { attempts: 2 }\n  two:\n    uses: extract.file\n    with: *with\n    retry: { <<: *retry, jitter: false }\n";
    let dag = ratchet_core::load("a.yaml", text, &registry()).unwrap();
    assert_eq!(dag.task("two").unwrap().with, json!({"from": "x", "limit": 5}));
    let retry = &dag.task("two").unwrap().retry;
    assert_eq!((retry.attempts, retry.jitter), (2, false));
}

/// Y-009
#[test]
fn a_file_with_ten_problems_shows_them_all() {
    let text = r#"name: LFB response
schedule:
  cron: "0 25 15 * *"
  timezone: Europe/Londn
params:
  limit: { type: integer, default: many }
tasks:
  incidents:
    uses: extract.fil
    with: { from: x }
  gate:
    uses: quality.gate
    with:
      tabel: ${{ tasks.incidents.table }}
      expect:
        - { row_count: { min: few } }
        - { nul_share: { columns: [a], max: 2 } }
  train:
    uses: train.model
    needs: [gaet]
    timeout: 30
    with:
      table: ${{ tasks.gate.report }}
      target: ${{ parms.target }}
      candidates:
        - { kind: forest }
  promote:
    uses: promote.model
    with:
      model: ${{ tasks.train.modell }}
"#;
    let diagnostics = ratchet_core::load("dags/broken.yaml", text, &registry()).unwrap_err();
    insta::assert_snapshot!("ten_problems", diagnostics.render(false, 100));
    insta::assert_snapshot!(
        "ten_problems_json",
        serde_json::to_string_pretty(&diagnostics.to_json()).unwrap()
    );
    assert!(diagnostics.render(true, 100).contains("\u{1b}["));
}

/// Y-022, Y-023
#[test]
fn parameters_are_bound_and_all_problems_told() {
    let text = "name: a\nparams:\n  rows: { type: integer, minimum: 1, maximum: 10 }\n  share: { type: number, default: 0.5 }\n  quick: { type: boolean, default: false }\n  city: { type: string, choices: [london, paris], default: london }\ntasks:\n  one: { uses: core.noop }\n";
    let dag = ratchet_core::load("a.yaml", text, &registry()).unwrap();
    let given = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let values = dag.bind(&given(&[("rows", "7"), ("quick", "true")])).unwrap();
    assert_eq!(
        json!(values),
        json!({"rows": 7, "share": 0.5, "quick": true, "city": "london"})
    );
    let problems = dag
        .bind(&given(&[
            ("share", "half"),
            ("city", "lodnon"),
            ("quikc", "true"),
            ("quick", "yes"),
        ]))
        .unwrap_err();
    assert_eq!(
        problems,
        [
            "`a` has no parameter `quikc`: did you mean `quick`?",
            "parameter `city` cannot be `lodnon`: did you mean `london`?",
            "parameter `quick` takes `true` or `false`, not `yes`",
            "parameter `rows` has no default: give it with `-p rows=...`",
            "parameter `share` takes a number, not `half`",
        ]
    );
    assert_eq!(
        dag.bind(&given(&[("rows", "11")])).unwrap_err(),
        ["parameter `rows` is 11; it is at most 10"]
    );
    assert!(dag.bind(&given(&[("rows", "7"), ("share", "inf")])).is_err());
}
