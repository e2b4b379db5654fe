//! `transform.resample`.

use polars::prelude::{DataFrame, DataType};
use ratchet_core::plugin::Table;
use ratchet_model::schema::format_timestamp;
use serde_json::{Value, json};

use crate::support::Stage;

async fn readings(stage: &Stage, csv: &str) -> Table {
    stage.file("readings.csv", csv);
    let known = json!({ "call": ["at", "place", "rain"] });
    let with = json!({ "from": "readings.csv", "types": { "at": "timestamp", "rain": "number" }, "known": known });
    stage.table("extract.file", with).await
}

fn with(table: &Table, more: Value) -> Value {
    let mut with = json!({
        "table": table, "time": "at", "by": ["place"], "every": { "hours": 1 },
        "aggregate": { "rain": ["mean", "sum", "minimum", "maximum", "first", "last", "count"] },
    });
    for (key, value) in more.as_object().unwrap() {
        with[key] = value.clone();
    }
    with
}

/// The values of a column as a person writes them.
fn shown(frame: &DataFrame, name: &str) -> Vec<String> {
    let values = frame.column(name).unwrap();
    let texts: Vec<Option<String>> = match values.dtype() {
        DataType::Float64 => values
            .f64()
            .unwrap()
            .iter()
            .map(|value| value.map(|value| format!("{value:?}")))
            .collect(),
        DataType::String => values
            .str()
            .unwrap()
            .iter()
            .map(|value| value.map(str::to_owned))
            .collect(),
        _ => {
            let micros = values.cast(&DataType::Int64).unwrap();
            let micros = micros.i64().unwrap().iter();
            micros
                .map(|value| value.map(|value| format_timestamp(value / 1_000_000)))
                .collect()
        }
    };
    texts
        .into_iter()
        .map(|text| text.unwrap_or_else(|| "null".to_owned()))
        .collect()
}

#[tokio::test]
async fn rows_of_an_hour_become_one_and_say_when_it_is_known() {
    let stage = Stage::new();
    let csv = "at,place,rain\n2017-01-01 10:50:00,a,4\n2017-01-01 10:05:00,a,1\n2017-01-01 10:20:00,a,\n2017-01-01 11:00:00,a,9\n2017-01-01 10:59:59,b,\n,a,7\n";
    let table = readings(&stage, csv).await;
    let made = stage.table("transform.resample", with(&table, json!({}))).await;
    let frame = stage.frame(&made).await;
    assert_eq!(shown(&frame, "place"), ["a", "a", "b"]);
    assert_eq!(
        shown(&frame, "at"),
        ["2017-01-01 10:00:00", "2017-01-01 11:00:00", "2017-01-01 10:00:00"]
    );
    assert_eq!(
        shown(&frame, "known_at"),
        ["2017-01-01 11:00:00", "2017-01-01 12:00:00", "2017-01-01 11:00:00"]
    );
    for (name, values) in [
        ("mean", ["2.5", "9.0", "null"]),
        ("sum", ["5.0", "9.0", "null"]),
        ("minimum", ["1.0", "9.0", "null"]),
        ("maximum", ["4.0", "9.0", "null"]),
        ("first", ["1.0", "9.0", "null"]),
        ("last", ["4.0", "9.0", "null"]),
        ("count", ["2.0", "1.0", "0.0"]),
    ] {
        assert_eq!(shown(&frame, &format!("rain_{name}")), values, "{name}");
    }
    assert!(
        stage.log().contains("1 rows without a time were left out"),
        "{}",
        stage.log()
    );
    let known: Vec<bool> = made.columns.iter().map(|column| column.known.is_some()).collect();
    assert_eq!(known, [true, true, false, true, true, true, true, true, true, true]);
}

#[tokio::test]
async fn a_local_day_has_the_hours_that_the_clock_gives_it() {
    let stage = Stage::new();
    // In London the clocks go forward on 26 March 2017 and back on 29 October: of UTC's rows these are local days.
    let rows = |day: &str| {
        (0..24)
            .map(|hour| format!("{day} {hour:02}:00:00,a,1\n"))
            .collect::<String>()
    };
    let days = [
        "2017-03-25",
        "2017-03-26",
        "2017-03-27",
        "2017-10-28",
        "2017-10-29",
        "2017-10-30",
    ];
    let csv = format!("at,place,rain\n{}", days.map(rows).concat());
    let table = readings(&stage, &csv).await;
    let daily = json!({ "timezone": "Europe/London", "every": { "days": 1 }, "aggregate": { "rain": ["count"] } });
    let made = stage.table("transform.resample", with(&table, daily)).await;
    let frame = stage.frame(&made).await;
    let days = shown(&frame, "at").into_iter().zip(shown(&frame, "rain_count"));
    let hours_of = |day: &str| days.clone().find(|(at, _)| at.starts_with(day)).map(|(_, count)| count);
    assert_eq!(hours_of("2017-03-26").as_deref(), Some("23.0"));
    assert_eq!(hours_of("2017-10-29").as_deref(), Some("25.0"));
    // The hour that comes twice is one stretch of two hours, the one that does not exist has no row.
    let hourly = json!({ "timezone": "Europe/London", "aggregate": { "rain": ["count"] } });
    let made = stage.table("transform.resample", with(&table, hourly)).await;
    let frame = stage.frame(&made).await;
    let hours = shown(&frame, "at").into_iter().zip(shown(&frame, "rain_count"));
    let of = |hour: &str| hours.clone().find(|(at, _)| at == hour).map(|(_, count)| count);
    assert_eq!(of("2017-10-29 01:00:00").as_deref(), Some("2.0"));
    assert_eq!(of("2017-03-26 01:00:00"), None);
}

#[tokio::test]
async fn weeks_begin_on_monday_and_quarters_of_an_hour_at_midnight() {
    let stage = Stage::new();
    let table = readings(
        &stage,
        "at,place,rain\n2017-01-01 23:59:00,a,1\n2017-01-02 00:00:00,a,2\n",
    )
    .await;
    let begins = async |every: Value| {
        let made = stage
            .table("transform.resample", with(&table, json!({ "every": every })))
            .await;
        shown(&stage.frame(&made).await, "at")
    };
    assert_eq!(
        begins(json!({ "days": 7 })).await,
        ["2016-12-26 00:00:00", "2017-01-02 00:00:00"]
    );
    assert_eq!(
        begins(json!({ "minutes": 15 })).await,
        ["2017-01-01 23:45:00", "2017-01-02 00:00:00"]
    );
}

#[tokio::test]
async fn a_missing_key_is_a_group_of_its_own() {
    let stage = Stage::new();
    let table = readings(
        &stage,
        "at,place,rain\n2017-01-01 10:00:00,,1\n2017-01-01 10:10:00,,2\n2017-01-01 10:00:00,a,4\n",
    )
    .await;
    let made = stage.table("transform.resample", with(&table, json!({}))).await;
    let frame = stage.frame(&made).await;
    assert_eq!(shown(&frame, "place"), ["null", "a"]);
    assert_eq!(shown(&frame, "rain_sum"), ["3.0", "4.0"]);
}

#[tokio::test]
async fn what_cannot_be_resampled_is_said_with_the_remedy() {
    let stage = Stage::new();
    let table = readings(&stage, "at,place,rain\n2017-01-01 10:00:00,a,1\n").await;
    let registry = ratchet_tasks::registry();
    let plugin = registry.get("transform.resample").unwrap();
    let problems = |more: Value| {
        let problems = (plugin.validate)(&with(&table, more));
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert_eq!(problems(json!({ "every": { "minutes": 7 } })), ["divides no day"]);
    assert_eq!(problems(json!({ "every": { "hours": 0 } })), ["divides no day"]);
    assert_eq!(
        problems(json!({ "timezone": "Europe/Londn" })),
        ["`Europe/Londn` is no time zone"]
    );
    assert_eq!(problems(json!({ "aggregate": {} })), ["makes nothing"]);
    let error = stage
        .run(
            "transform.resample",
            with(&table, json!({ "aggregate": { "place": ["mean"] } })),
        )
        .await;
    assert!(
        error.unwrap_err().message.contains("column `place`"),
        "a text has no mean"
    );
}
