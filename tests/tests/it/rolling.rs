//! `ratchet models backtest`: a model's configuration as of several moments of the past.

use serde_json::Value;

use crate::support::{ratchet, simulated_run, text};

#[test]
fn a_backtest_prints_each_fold_and_leaves_everything_as_it_was() {
    let home = simulated_run();
    let ask = |arguments: &[&str]| {
        let output = ratchet(home).args(arguments).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let before = ask(&["models", "list", "--format", "json"]).1;
    let backtest = ["models", "backtest", "lfb-pumps", "--folds", "2"];
    let (status, table, said) = ask(&backtest);
    assert_eq!(status, Some(0), "{said}");
    println!("{table}");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "a header, two folds, their mean and the mark: {table}");
    assert!(
        lines[0].starts_with("FOLD") && lines[3].starts_with("mean") && lines[4] == "SIMULATED",
        "{table}"
    );
    assert!(said.contains("fold 2 of 2"), "{said}");

    let (_, document, _) = ask(&[&backtest[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&document).unwrap();
    let folds = document["folds"].as_array().unwrap();
    assert_eq!(folds[0]["until"], folds[1]["from"]);
    let accuracy = |value: &Value| value["accuracy"].as_f64().unwrap();
    let mean = (accuracy(&folds[0]["metrics"]) + accuracy(&folds[1]["metrics"])) / 2.0;
    assert!((accuracy(&document["mean"]) - mean).abs() < 1e-12);
    assert_eq!(ask(&["models", "list", "--format", "json"]).1, before);

    let (status, _, said) = ask(&["models", "backtest", "nobody"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("there is no model `nobody`"), "{said}");
    let (status, _, said) = ask(&["models", "backtest", "lfb-pumps", "--folds", "1"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("2..=50"), "{said}");
}
