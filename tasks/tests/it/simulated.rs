//! `simulated://lfb`.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use serde_json::json;

use crate::support::{Stage, shipped_task};

fn text(frame: &DataFrame, name: &str) -> Vec<Option<String>> {
    frame
        .column(name)
        .unwrap()
        .str()
        .unwrap()
        .iter()
        .map(|value| value.map(str::to_owned))
        .collect()
}

fn integers(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().i64().unwrap().iter().collect()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[track_caller]
fn near(what: &str, seen: f64, published: f64, tolerance: f64) {
    assert!(
        (seen - published).abs() <= tolerance,
        "{what}: {seen:.4}, published {published}"
    );
}

#[tokio::test]
async fn shares_are_those_of_the_published_records() {
    let stage = Stage::new();
    let mut with = shipped_task("incidents");
    with["from"] = json!("simulated://lfb");
    let table = stage.table("extract.file", with).await;
    assert_eq!((table.rows, table.columns.len(), table.simulated), (40_000, 32, true));
    assert_eq!(
        table.source,
        "simulated://lfb?rows=40000&seed=7&from=2024-01-01&days=120"
    );
    assert!(stage.log().contains("SIMULATED rows from"), "{}", stage.log());
    let frame = stage.frame(&table).await;
    let rows = frame.height();

    let count = |name: &str, wanted: &str| {
        text(&frame, name)
            .iter()
            .flatten()
            .filter(|value| *value == wanted)
            .count()
    };
    near(
        "false alarms",
        share(count("IncidentGroup", "False Alarm"), rows),
        0.488,
        0.015,
    );
    near("fires", share(count("IncidentGroup", "Fire"), rows), 0.1995, 0.015);
    near(
        "special services",
        share(count("IncidentGroup", "Special Service"), rows),
        0.3126,
        0.015,
    );
    near(
        "automatic alarms",
        share(count("StopCodeDescription", "AFA"), rows),
        0.366,
        0.015,
    );
    near(
        "dwellings",
        share(count("PropertyCategory", "Dwelling"), rows),
        0.4726,
        0.015,
    );
    near(
        "evening calls",
        share(
            integers(&frame, "HourOfCall")
                .iter()
                .filter(|hour| **hour == Some(18))
                .count(),
            rows,
        ),
        0.0678,
        0.006,
    );
    near(
        "withheld postcodes",
        share(frame.column("Postcode_full").unwrap().null_count(), rows),
        0.478,
        0.015,
    );
    near(
        "beyond the border",
        share(count("IncGeo_BoroughName", "NOT GEO-CODED"), rows),
        0.0055,
        0.002,
    );

    let first = integers(&frame, "FirstPumpArriving_AttendanceTime");
    let second = integers(&frame, "SecondPumpArriving_AttendanceTime");
    let mean =
        |values: &[Option<i64>]| values.iter().flatten().sum::<i64>() as f64 / values.iter().flatten().count() as f64;
    let late = |values: &[Option<i64>]| {
        share(
            values.iter().flatten().filter(|seconds| **seconds > 360).count(),
            values.iter().flatten().count(),
        )
    };
    near(
        "first times missing",
        share(first.iter().filter(|time| time.is_none()).count(), rows),
        0.056,
        0.006,
    );
    near("mean of first times", mean(&first), 318.2, 6.0);
    near("first above 360 s", late(&first), 0.2945, 0.015);
    near(
        "second times missing",
        share(second.iter().filter(|time| time.is_none()).count(), rows),
        0.629,
        0.015,
    );
    near("mean of second times", mean(&second), 399.1, 9.0);
    near("second above 360 s", late(&second), 0.5398, 0.02);
    assert!(
        first
            .iter()
            .chain(&second)
            .flatten()
            .all(|seconds| (1..=1200).contains(seconds))
    );

    let mut pumps: BTreeMap<i64, usize> = BTreeMap::new();
    for number in integers(&frame, "NumPumpsAttending").into_iter().flatten() {
        *pumps.entry(number.min(5)).or_default() += 1;
    }
    for (number, published) in [(1, 0.580), (2, 0.330), (3, 0.060), (4, 0.026), (5, 0.002)] {
        near(
            &format!("{number} pumps"),
            share(pumps[&number], rows),
            published,
            0.012,
        );
    }

    let blanks = text(&frame, "PropertyType")
        .iter()
        .flatten()
        .filter(|value| value.ends_with(' '))
        .count();
    assert!(share(blanks, rows) > 0.05, "{blanks} trailing blanks");
    let times = text(&frame, "TimestampOfCall");
    assert!(times.is_sorted(), "rows are sorted by time");
    assert!(times.first().unwrap().as_deref().unwrap().starts_with("2024-01-01 "));
    assert!(times.last().unwrap().as_deref().unwrap().starts_with("2024-04-29 "));
    let numbers: std::collections::BTreeSet<String> = text(&frame, "IncidentNumber").into_iter().flatten().collect();
    assert_eq!(numbers.len(), rows);
}

#[tokio::test]
async fn times_grow_with_the_distance_from_the_deploying_station() {
    let stage = Stage::new();
    let table = stage
        .table("extract.file", json!({ "from": "simulated://lfb?rows=20000" }))
        .await;
    let frame = stage.frame(&table).await;
    let seconds = integers(&frame, "FirstPumpArriving_AttendanceTime");
    let own = text(&frame, "IncidentStationGround");
    let from = text(&frame, "FirstPumpArriving_DeployedFromStation");
    let mean = |wanted: bool| {
        let times: Vec<i64> = (0..frame.height())
            .filter(|row| from[*row].is_some() && (own[*row] == from[*row]) == wanted)
            .filter_map(|row| seconds[row])
            .collect();
        times.iter().sum::<i64>() as f64 / times.len() as f64
    };
    let (near, far) = (mean(true), mean(false));
    assert!(far > near + 60.0, "own ground {near:.0} s, another station {far:.0} s");
}

#[tokio::test]
async fn one_address_is_one_table() {
    let stage = Stage::new();
    let table = |seed: u64| {
        let with = json!({ "from": format!("simulated://lfb?rows=3000&seed={seed}&from=2023-12-20&days=30") });
        let stage = &stage;
        async move { stage.table("extract.file", with).await }
    };
    let (first, again, other) = (table(7).await, table(7).await, table(8).await);
    assert_eq!((&first.raw, &first.files), (&again.raw, &again.files));
    assert_ne!(first.files, other.files);
    // Another platform and another version must make these bytes as well: whoever changes them changes every digest
    // that a demo shows.
    assert_eq!(
        first.raw[0].sha256,
        "46ee131eba55d9639043ca86d264e117ff0e21dafee87bcfff5f70bb0a41c60d"
    );
    let frame = stage.frame(&first).await;
    let numbers = text(&frame, "IncidentNumber");
    assert!(
        numbers.last().unwrap().as_deref().unwrap().ends_with("-18012024"),
        "{:?}",
        numbers.last()
    );
}

#[tokio::test]
async fn a_workbook_of_the_same_rows_is_the_same_table() {
    let stage = Stage::new();
    let table = |from: &str| {
        let mut with = shipped_task("incidents");
        with["from"] = json!(from);
        let stage = &stage;
        async move { stage.table("extract.file", with).await }
    };
    let text = table("simulated://lfb?rows=2000&seed=7&days=30").await;
    let workbook = table("simulated://lfb?rows=2000&seed=7&days=30&format=xlsx").await;
    assert_eq!((&workbook.columns, &workbook.files), (&text.columns, &text.files));
    assert_ne!(workbook.raw, text.raw);
    let again = table("simulated://lfb?rows=2000&seed=7&days=30&format=xlsx").await;
    assert_eq!(again.raw, workbook.raw, "the same address makes the same file");
}

#[tokio::test]
async fn the_table_of_mobilisations_has_every_vehicle_of_the_incidents_and_more() {
    let stage = Stage::new();
    let address = "simulated://lfb-mobilisations?rows=3000&seed=7&days=30&format=xlsx";
    let mut with = shipped_task("mobilisations");
    with["from"] = json!(address);
    let mobilisations = stage.table("extract.file", with).await;
    assert_eq!((mobilisations.columns.len(), mobilisations.simulated), (22, true));
    let mut with = shipped_task("mobilised");
    with["tables"] = json!({ "mobilisations": mobilisations });
    let mobilised = stage.frame(&stage.table("transform.sql", with).await).await;

    let mut with = shipped_task("incidents");
    with["from"] = json!("simulated://lfb?rows=3000&seed=7&days=30");
    let incidents = stage.table("extract.file", with).await;
    let mut with = shipped_task("arrivals");
    with["tables"] = json!({ "incidents": incidents });
    let arrivals = stage.frame(&stage.table("transform.sql", with).await).await;
    assert_eq!(mobilised.get_column_names(), arrivals.get_column_names());
    let rows = |frame: &DataFrame| -> std::collections::BTreeSet<String> {
        let row = |row: usize| {
            let values = frame
                .columns()
                .iter()
                .map(|column| column.get(row).unwrap().to_string());
            values.collect::<Vec<_>>().join(" ")
        };
        (0..frame.height()).map(row).collect()
    };
    let (all, two) = (rows(&mobilised), rows(&arrivals));
    assert!(two.is_subset(&all), "the first and the second are the same");
    assert!(
        all.len() > two.len() + two.len() / 50,
        "{} and {}",
        all.len(),
        two.len()
    );
    assert_eq!(
        integers(&mobilised, "PumpOrder")
            .into_iter()
            .flatten()
            .max()
            .map(|most| most > 3),
        Some(true)
    );
}

#[tokio::test]
async fn mobilised_and_arrived_lie_the_attendance_time_apart() {
    let stage = Stage::new();
    let types = json!({ "DateAndTimeMobilised": "timestamp", "DateAndTimeArrived": "timestamp" });
    let with = json!({ "from": "simulated://lfb-mobilisations?rows=500&format=xlsx", "types": types });
    let frame = stage.frame(&stage.table("extract.file", with).await).await;
    let seconds = |name: &str| {
        let column = frame.column(name).unwrap();
        let micros = column.cast(&polars::prelude::DataType::Int64).unwrap();
        micros
            .i64()
            .unwrap()
            .iter()
            .map(|value| value.unwrap() / 1_000_000)
            .collect::<Vec<_>>()
    };
    let attendance = integers(&frame, "AttendanceTimeSeconds");
    let pairs = seconds("DateAndTimeArrived")
        .into_iter()
        .zip(seconds("DateAndTimeMobilised"));
    for ((arrived, mobilised), attendance) in pairs.zip(attendance) {
        assert_eq!(Some(arrived - mobilised), attendance);
    }
}
