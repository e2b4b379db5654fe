//! Windows of requests that are unlike the training's reach the metrics and the bucket.

use std::time::Duration;

use jiff::Timestamp;
use ratchet_api::Options;
use ratchet_api::record::{DriftOptions, RecordOptions};
use ratchet_artifacts::monitoring::{self, MonitoringWindow, WindowKind};
use ratchet_model::drift::Season;
use serde_json::{Value, json};

use crate::bundles::{TestBundle, noon_and_midnight};
use crate::server::{House, Server, row};

async fn windows(house: &House, count: usize) -> Vec<MonitoringWindow> {
    for _ in 0..400 {
        let found = monitoring::written_after(&house.bucket, "alpha", Timestamp::UNIX_EPOCH)
            .await
            .unwrap();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("there are no {count} windows");
}

async fn serve(every: Duration) -> (House, Server) {
    serve_bundle(TestBundle::new("alpha", 0.5).bytes(), every).await
}

async fn serve_bundle(bytes: Vec<u8>, every: Duration) -> (House, Server) {
    let house = House::new().await;
    house.release("alpha", bytes).await;
    let drift = DriftOptions {
        rows: 100,
        rate: 0.01,
        every,
    };
    let record = RecordOptions {
        // Sampling of the log leaves the windows whole.
        share: 0.0,
        drift,
        ..RecordOptions::default()
    };
    let options = Options {
        record,
        ..house.options()
    };
    let server = house.serve_with(options).await;
    server.wait_for_version("alpha", 1).await;
    (house, server)
}

#[tokio::test]
async fn a_window_that_drifted_names_its_fields_in_the_metrics_and_in_the_bucket() {
    let (house, server) = serve(Duration::ZERO).await;
    let usual: Vec<Value> = (0..100)
        .map(|index| match index % 3 {
            0 => row(0.0),
            1 => json!({"easting": 50.5, "station": "Euston", "called_at": "1970-01-01 01:00:00"}),
            _ => json!({"easting": 100.0, "station": null, "called_at": "1970-01-01 02:00:00"}),
        })
        .collect();
    assert_eq!(server.post("/predict/alpha", &json!(usual)).await.0, 200);
    let strange: Vec<Value> = (0..150).map(|index| row(1000.0 + f64::from(index))).collect();
    assert_eq!(server.post("/predict/alpha", &json!(strange)).await.0, 200);
    let found = windows(&house, 2).await;
    assert_eq!(found.len(), 2, "fifty rows are no window yet");
    for window in &found {
        assert_eq!((window.kind, window.rows, window.version), (WindowKind::Drift, 100, 1));
    }
    assert_eq!(found[0].alarms().count(), 0, "{:?}", found[0].statistics);
    let alarms: Vec<(&str, &str)> = found[1]
        .alarms()
        .map(|alarm| (alarm.field.as_str(), alarm.measure.as_str()))
        .collect();
    assert!(alarms.contains(&("easting", "out_of_range")), "{alarms:?}");
    let metrics = server.text("/metrics/prometheus").await;
    for line in [
        r#"ratchet_api_drift{model="alpha",field="easting",measure="out_of_range"} 1"#,
        r#"ratchet_api_drift_windows_total{model="alpha"} 2"#,
        r#"ratchet_api_drift_threshold{model="alpha",field="easting",measure="ks"}"#,
        r#"ratchet_api_drift{model="alpha",field="station",measure="psi"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn between_windows_is_a_pause() {
    let (house, server) = serve(Duration::from_secs(3600)).await;
    let rows: Vec<Value> = (0..500).map(|_| row(1.0)).collect();
    assert_eq!(server.post("/predict/alpha", &json!(rows)).await.0, 200);
    windows(&house, 1).await;
    assert_eq!(server.post("/predict/alpha", &json!(rows)).await.0, 200);
    server.stop().await;
    assert_eq!(windows(&house, 1).await.len(), 1);
}

#[tokio::test]
async fn rows_of_one_season_are_compared_with_that_season() {
    let noon: Vec<Value> = (0..100)
        .map(|row| json!({"easting": 96 + row % 11, "station": "Soho", "called_at": "1970-02-01 12:00:00"}))
        .collect();
    for (season, alarms) in [(None, 1), (Some(Season::HourOfDay), 0)] {
        let (house, server) = serve_bundle(noon_and_midnight(season), Duration::ZERO).await;
        assert_eq!(server.post("/predict/alpha", &json!(noon)).await.0, 200);
        let found = windows(&house, 1).await;
        let fired: Vec<&str> = found[0].alarms().map(|alarm| alarm.measure.as_str()).collect();
        assert_eq!(fired, ["ks"][..alarms], "{season:?}");
        let unknown = found[0].statistics.iter().find(|told| told.measure == "unknown_season");
        assert_eq!(unknown.map(|told| told.value), season.map(|_| 0.0));
    }
}
