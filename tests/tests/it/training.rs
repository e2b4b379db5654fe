//! Accuracy, intervals and flags on the real table, April 2017 held out.

use ratchet_model::{Column, FieldKind, Rows};
use serde_json::json;

use crate::support::{
    bundle, lfb_dag, metric, model, ratchet, raw_vehicles, real_parameters, real_records, real_run, run_dag, runtime,
    text,
};

#[test]
fn models_are_as_good_as_promised_on_april() {
    let Some(run) = real_run() else { return };
    let time = model(&run.document, "lfb-response-time");
    println!("lfb-response-time with stations: {:#}", time["metrics"]);
    assert_eq!(time["rows"]["holdout"], 11_366);
    assert_eq!(time["rows"]["train"], 31_028);
    assert!(metric(time, "mae") <= 72.0);
    assert!(metric(time, "r2") >= 0.385);

    let over = model(&run.document, "lfb-over-target");
    println!("lfb-over-target: {:#}", over["metrics"]);
    assert_eq!(over["rows"]["holdout"], 11_366);
    assert!(metric(over, "auc") >= 0.845);

    let pumps = model(&run.document, "lfb-pumps");
    println!("lfb-pumps: {:#}", pumps["metrics"]);
    assert!(metric(pumps, "accuracy") > 0.65);
    assert!(metric(pumps, "accuracy") < 0.8, "so much would mean a leak");
    assert!(metric(pumps, "macro_f1") > 0.30);

    for name in ["lfb-response-time", "lfb-over-target", "lfb-pumps"] {
        let trained = model(&run.document, name);
        assert_eq!(trained["verdict"], "better");
        assert_eq!(trained["promoted"], true);
        assert_eq!(trained["simulated"], false);
        // The same numbers are stored with the version.
        let output = ratchet(&run.home)
            .args(["models", "show", &format!("{name}@1"), "--format", "json"])
            .output()
            .unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(text(&output.stdout).contains(trained["digest"].as_str().unwrap()));
        assert_eq!(
            shown.pointer("/metrics").or(shown.pointer("/manifest/metrics")),
            Some(&trained["metrics"])
        );
    }
}

#[test]
fn positions_learnt_from_the_own_ground_cost_little() {
    let Some(parameters) = real_parameters(false) else {
        return;
    };
    let home = crate::support::directory("learnt");
    let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
    assert_eq!(status, 0);
    let time = model(&document, "lfb-response-time");
    println!("lfb-response-time with learnt positions: {:#}", time["metrics"]);
    assert!(metric(time, "mae") < 76.0);
    assert_eq!(crate::support::task(&document, "stations")["state"], "skipped");
}

#[test]
fn intervals_and_flags_hold_on_april() {
    let Some(run) = real_run() else { return };
    let time = model(&run.document, "lfb-response-time");
    let coverage = metric(time, "coverage");
    println!(
        "90 % intervals cover {:.2} % of April, mean width {:.1} s",
        coverage * 100.0,
        metric(time, "interval_width")
    );
    assert!((0.88..=0.92).contains(&coverage));

    let excess = metric(time, "underestimation_excess");
    println!(
        "flagged rows ({:.1} %) are underestimated in {:.1} %, others in {:.1} %: {:.1} points more",
        metric(time, "underestimation_flagged") * 100.0,
        metric(time, "underestimated_where_flagged") * 100.0,
        metric(time, "underestimated_elsewhere") * 100.0,
        excess * 100.0
    );
    assert!(excess > 0.0);

    let outside = metric(time, "out_of_distribution");
    println!("{:.2} % of April is flagged out of distribution", outside * 100.0);
    assert!(outside <= 0.02);
}

/// Residuals, calibration and slice risk come from the last training weeks: the bundle says so, and it is the same
/// whatever happens in the holdout.
#[test]
fn a_field_moved_out_of_range_is_flagged_by_name_on_every_row() {
    let Some(run) = real_run() else { return };
    let Some(incidents) = real_records("lfb_incidents_2017_jan_apr.csv.gz") else {
        return;
    };
    let bundle = runtime().block_on(bundle(&run.home, "lfb-response-time", 1));
    let vehicles = raw_vehicles(&incidents, "2017-04-01", bundle.schema());
    assert_eq!(vehicles.len(), 11_366);
    let records: Vec<_> = vehicles.iter().map(|vehicle| &vehicle.record).collect();
    let rows = bundle.parse_all(&records).unwrap();
    for (position, field) in bundle.schema().fields.iter().enumerate() {
        let mut columns = rows.columns().to_vec();
        columns[position] = match field.kind {
            FieldKind::Number => Column::Number(vec![9e9; rows.len()]),
            FieldKind::Text => Column::Text(vec![Some("never seen".into()); rows.len()]),
            FieldKind::Timestamp => Column::Timestamp(vec![Some(0); rows.len()]),
        };
        let moved = Rows::new(columns).unwrap();
        for answer in bundle.answer(&moved) {
            let said = &answer.to_json()["out_of_distribution"];
            assert_eq!(said["flag"], true);
            assert!(
                said["fields"].as_array().unwrap().contains(&json!(field.name)),
                "{} is not named",
                field.name
            );
        }
    }
}
