//! Same inputs, same digest; and what a second training does to the first.

use std::path::PathBuf;

use crate::support::{copy_of, directory, lfb_dag, metric, model, ratchet, real_parameters, real_run, run_dag, task};

const MODELS: [&str; 3] = ["lfb-response-time", "lfb-over-target", "lfb-pumps"];

/// The shipped DAG with a number of threads for every task that computes.
fn dag_with_threads(threads: usize) -> PathBuf {
    let text = std::fs::read_to_string(lfb_dag()).unwrap();
    let mut changed = text.clone();
    for uses in ["train.model", "transform.sql", "compare.champion"] {
        let line = format!("    uses: {uses}\n");
        changed = changed.replace(&line, &format!("{line}    resources: {{ threads: {threads} }}\n"));
    }
    assert_ne!(changed, text);
    let path = directory("threads").join("dag.yaml");
    std::fs::write(&path, changed).unwrap();
    path
}

#[test]
fn five_processes_with_other_threads_give_one_digest() {
    let digests = |threads: usize| {
        let parameters = [("incidents", "simulated://lfb?rows=9000&seed=3&days=90".to_owned())];
        let (status, document) = run_dag(ratchet(&directory("same")), &dag_with_threads(threads), &parameters);
        assert_eq!(status, 0, "{document:#}");
        MODELS.map(|name| model(&document, name)["digest"].as_str().unwrap().to_owned())
    };
    let first = digests(1);
    for threads in [2, 7, 1, 2] {
        assert_eq!(digests(threads), first, "{threads} threads");
    }
    println!("five processes with 1, 2 and 7 threads: {first:?}");
}

#[test]
fn the_same_run_again_is_not_better_and_promotes_nothing() {
    let (Some(run), Some(parameters)) = (real_run(), real_parameters(true)) else {
        return;
    };
    let home = copy_of(&run.home, "again");
    let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
    assert_eq!(status, 0, "{document:#}");
    for name in MODELS {
        let (first, second) = (model(&run.document, name), model(&document, name));
        assert_eq!(first["digest"], second["digest"], "{name}");
        assert_eq!(first["metrics"], second["metrics"], "{name}");
        assert_eq!(second["verdict"], "not_better", "{name}");
        assert_eq!(second["promoted"], false, "{name}");
    }
    assert_eq!(task(&document, "promote_time")["state"], "skipped");
    let entries = std::fs::read_dir(home.join("bucket/promotions")).unwrap().count();
    assert_eq!(entries, 3, "one entry a model, from the first run");
}

#[test]
fn one_month_later_the_second_meets_the_first_on_the_same_rows() {
    let Some(mut parameters) = real_parameters(true) else {
        return;
    };
    let home = directory("months");
    let mut at = |train: &str, holdout: &str| {
        parameters.retain(|(name, _)| !name.ends_with("_until"));
        parameters.push(("train_until", train.to_owned()));
        parameters.push(("holdout_until", holdout.to_owned()));
        let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
        assert_eq!(status, 0, "{document:#}");
        document
    };
    let first = at("2017-03-01", "2017-04-01");
    let second = at("2017-04-01", "2017-05-01");
    for name in MODELS {
        let (earlier, later) = (model(&first, name), model(&second, name));
        assert_eq!(earlier["promoted"], true, "{name}");
        let comparison = &later["comparison"];
        assert_eq!(comparison["champion"]["digest"], earlier["digest"], "{name}");
        assert_eq!(
            comparison["effect"]["rows"], later["rows"]["holdout"],
            "{name}: both answer all of April"
        );
        assert_eq!(comparison["rows_left_out"], 0, "{name}");
        let ours = comparison["metrics"]["challenger"]["accuracy"]
            .as_f64()
            .or(comparison["metrics"]["challenger"]["mae"].as_f64());
        let held_out = if name == "lfb-response-time" {
            metric(later, "mae")
        } else {
            metric(later, "accuracy")
        };
        assert_eq!(ours, Some(held_out), "{name}: the comparison is on the holdout");
        println!(
            "{name}: {} ({})",
            later["verdict"],
            comparison["reason"].as_str().unwrap()
        );
        assert_eq!(later["promoted"], later["verdict"] == "better", "{name}");
    }
}
