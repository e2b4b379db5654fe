//! Windows of drift and of live accuracy, written and read back.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use ratchet_artifacts::monitoring::{self, DriftStatistic, NewWindow, WindowKind};

use crate::support::{local, memory};

fn window(model: &str, value: f64) -> NewWindow {
    NewWindow {
        model: model.to_owned(),
        version: 3,
        kind: WindowKind::Drift,
        from: "2017-05-01T00:00:00Z".parse().unwrap(),
        to: "2017-05-01T01:00:00Z".parse().unwrap(),
        rows: 500,
        labels: 0,
        metrics: BTreeMap::new(),
        statistics: vec![
            DriftStatistic {
                field: "hour".to_owned(),
                measure: "psi".to_owned(),
                value,
                threshold: 0.2,
            },
            DriftStatistic {
                field: "ward".to_owned(),
                measure: "unseen".to_owned(),
                value: 0.01,
                threshold: 0.05,
            },
        ],
    }
}

#[tokio::test]
async fn a_window_reads_back_as_it_was_written() {
    let (_directory, bucket) = local().await;
    let before = Timestamp::now() - 1.second();
    let written = monitoring::write(&bucket, window("time-pump", 0.4)).await.unwrap();
    let paths = monitoring::list(&bucket, "time-pump", before).await.unwrap();
    assert_eq!(paths.len(), 1);
    assert!(paths[0].starts_with("monitoring/time-pump/2"), "{}", paths[0]);
    let read = monitoring::read(&bucket, &paths[0]).await.unwrap().unwrap();
    assert_eq!(read, written);
    let alarms: Vec<&str> = read.alarms().map(|alarm| alarm.field.as_str()).collect();
    assert_eq!(alarms, ["hour"], "what lies below its threshold is no alarm");
}

#[tokio::test]
async fn a_reader_gets_what_was_written_since_in_that_order_and_of_its_model_alone() {
    let bucket = memory();
    let first = monitoring::write(&bucket, window("a", 0.1)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let second = monitoring::write(&bucket, window("a", 0.2)).await.unwrap();
    monitoring::write(&bucket, window("b", 0.3)).await.unwrap();
    let start = first.written_at - 1.minute();
    let all = monitoring::written_after(&bucket, "a", start).await.unwrap();
    assert_eq!(all, [first.clone(), second.clone()]);
    let rest = monitoring::written_after(&bucket, "a", first.written_at).await.unwrap();
    assert_eq!(rest, std::slice::from_ref(&second));
    let none = monitoring::written_after(&bucket, "a", second.written_at)
        .await
        .unwrap();
    assert!(none.is_empty());
    let later = Timestamp::now() + 49.hours();
    assert!(monitoring::list(&bucket, "a", later).await.unwrap().is_empty());
    assert!(monitoring::list(&bucket, "nobody", start).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_could_not_be_read_back_is_not_written() {
    let bucket = memory();
    let message = monitoring::write(&bucket, window("a", f64::NAN))
        .await
        .unwrap_err()
        .to_string();
    assert!(message.contains("`hour` is NaN"), "{message}");
    assert!(monitoring::write(&bucket, window("../a", 0.1)).await.is_err());
    assert!(bucket.list("monitoring").await.unwrap().is_empty());
}
