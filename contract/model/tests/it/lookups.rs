//! Lookups joined inside the pipeline: one code for training and serving, and nothing of the future.

use std::sync::Arc;

use proptest::prelude::*;
use ratchet_model::features::{
    FitInputs, JoinConfig, KeyConfig, LookupColumn, LookupTable, LookupTables, Pipeline, StepConfig, plan_joins,
};
use ratchet_model::{Column, Field, FieldKind, Known, Rows, Schema};
use serde_json::{Value, json};

const HOUR: i64 = 3_600;

fn schema() -> Schema {
    let field = |name: &str, kind, known| Field {
        name: name.to_owned(),
        kind,
        known,
        nullable: false,
    };
    Schema {
        fields: vec![
            field("station", FieldKind::Text, Known::Dispatch),
            field("called_at", FieldKind::Timestamp, Known::Call),
            field("easting", FieldKind::Number, Known::Call),
        ],
        unused: Vec::new(),
    }
}

fn rows(rows: &[(&str, i64, f64)]) -> Rows {
    Rows::new(vec![
        Column::Text(rows.iter().map(|row| Some(row.0.into())).collect()),
        Column::Timestamp(rows.iter().map(|row| Some(row.1)).collect()),
        Column::Number(rows.iter().map(|row| row.2).collect()),
    ])
    .unwrap()
}

fn column(name: &str, values: Column) -> LookupColumn {
    LookupColumn {
        name: name.to_owned(),
        known: Some(Known::Call),
        values,
    }
}

fn texts(values: &[&str]) -> Column {
    Column::Text(values.iter().map(|value| Some((*value).into())).collect())
}

/// Stations with a place, of which one has none.
fn stations() -> LookupTable {
    let columns = vec![
        column("name", texts(&["Soho", "Euston", "Poplar"])),
        column("x", Column::Number(vec![100.0, 200.0, f64::NAN])),
        column("y", Column::Number(vec![10.0, 20.0, 30.0])),
        column("borough", texts(&["Westminster", "Camden", "Tower Hamlets"])),
    ];
    LookupTable::new(vec!["name".to_owned()], None, columns).unwrap()
}

/// Rain that was measured at these hours.
fn weather(hours: &[i64]) -> LookupTable {
    let columns = vec![
        column(
            "known_at",
            Column::Timestamp(hours.iter().map(|hour| Some(hour * HOUR)).collect()),
        ),
        column("rain", Column::Number(hours.iter().map(|hour| *hour as f64).collect())),
    ];
    LookupTable::new(Vec::new(), Some("known_at".to_owned()), columns).unwrap()
}

/// The index of each hour of the week is the hour.
fn congestion() -> LookupTable {
    let hours = || Column::Number((0..168).map(f64::from).collect());
    let columns = vec![column("hour", hours()), column("index", hours())];
    LookupTable::new(vec!["hour".to_owned()], None, columns).unwrap()
}

/// Two days.
fn holidays() -> LookupTable {
    let days = [0, 3].map(|day| Some(day * 24 * HOUR)).to_vec();
    let columns = vec![
        column("date", Column::Timestamp(days)),
        column("holiday", Column::Number(vec![1.0; 2])),
    ];
    LookupTable::new(vec!["date".to_owned()], None, columns).unwrap()
}

struct Given<'a> {
    name: &'a str,
    key: Vec<KeyConfig>,
    at: Option<&'a str>,
    tolerance: Option<i64>,
    table: LookupTable,
}

fn given() -> Vec<Given<'static>> {
    let called_at = || "called_at".to_owned();
    let without_time = |name, key, table| Given {
        name,
        key: vec![key],
        at: None,
        tolerance: None,
        table,
    };
    vec![
        without_time("stations", KeyConfig::Field("station".to_owned()), stations()),
        without_time("congestion", KeyConfig::HourOfWeek(called_at()), congestion()),
        without_time("holidays", KeyConfig::Date(called_at()), holidays()),
        Given {
            name: "weather",
            key: Vec::new(),
            at: Some("called_at"),
            tolerance: Some(3 * HOUR),
            table: weather(&[1, 2, 3, 4, 10, 50]),
        },
    ]
}

fn steps(steps: Value) -> Vec<StepConfig> {
    serde_json::from_value(steps).unwrap()
}

fn fit(
    given: &[Given<'_>],
    features: Value,
    rows: &Rows,
    predict_at: Known,
) -> Result<(Pipeline, LookupTables), String> {
    let features = steps(features);
    let names: Vec<String> = given.iter().map(|given| format!("published-{}", given.name)).collect();
    let configs: Vec<JoinConfig<'_>> = given
        .iter()
        .zip(&names)
        .map(|(given, lookup)| JoinConfig {
            name: given.name,
            lookup,
            key: &given.key,
            at: given.at,
            tolerance: given.tolerance,
            table: &given.table,
        })
        .collect();
    let joins = plan_joins(&configs, &features, &schema()).map_err(|problems| problems.join("; "))?;
    let tables: LookupTables = names
        .iter()
        .zip(given)
        .map(|(name, given)| (name.clone(), Arc::new(given.table.clone())))
        .collect();
    let target = vec![1.0; rows.len()];
    let inputs = FitInputs {
        target: &target,
        folds: &vec![0; rows.len()],
        predict_at,
    };
    let fitted = Pipeline::fit(&features, &joins, &schema(), rows, &tables, &inputs);
    let (pipeline, _) = fitted.map_err(|error| error.to_string())?;
    pipeline.validate(&schema()).unwrap();
    Ok((pipeline, tables))
}

fn all_features() -> Value {
    json!([
        {"number": {"fields": ["easting", "stations.x", "congestion.index", "weather.rain"]}},
        {"impute": {"fields": ["holidays.holiday"], "value": 0}},
        {"distance": {"x": "easting", "y": "easting", "place": "station", "at": {"x": "stations.x", "y": "stations.y"}}},
        {"one_hot": {"field": "stations.borough", "most": 2}},
        {"ordinal": {"field": "stations.borough", "order": ["Camden", "Westminster"]}},
        {"clip": {"fields": ["weather.rain"], "lower": 0, "upper": 0.5}},
        {"product": {"fields": ["easting", "stations.y"]}},
        {"history": {"lookup": "weather", "column": "rain", "lags": [1, 3],
                     "rolling": [{"minutes": 120, "statistics": ["mean", "change"]}]}},
    ])
}

/// A bundle stores the pipeline as JSON: what is read back does what was fitted.
fn stored(pipeline: &Pipeline) -> Pipeline {
    serde_json::from_str(&serde_json::to_string(pipeline).unwrap()).unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn what_lookups_say_are_fields_like_any_other() {
    let asked = rows(&[
        ("SOHO", 4 * HOUR + 1, 7.0),
        ("Poplar", 75 * HOUR, 7.0),
        ("Nowhere", 0, 7.0),
    ]);
    let (pipeline, tables) = fit(&given(), all_features(), &asked, Known::Dispatch).unwrap();
    let (matrix, unmatched) = stored(&pipeline).features_of(&asked, &tables);
    let feature = |name: &str, row: usize| {
        let column = pipeline.features().iter().position(|feature| feature == name);
        matrix.row(row)[column.unwrap_or_else(|| panic!("{name} in {:?}", pipeline.features()))]
    };
    // 1970-01-01 was a Thursday: its fourth hour is the 76th of the week.
    assert_eq!(
        (feature("stations.x", 0), feature("congestion.index", 0)),
        (100.0, 76.0)
    );
    assert_eq!(
        (feature("weather.rain", 0), feature("clip(weather.rain)", 0)),
        (4.0, 4.0)
    );
    assert_eq!(
        (feature("holidays.holiday", 0), feature("missing(holidays.holiday)", 0)),
        (1.0, 0.0)
    );
    assert_eq!(feature("distance(station)", 0), (93.0_f64 * 93.0 + 3.0 * 3.0).sqrt());
    assert_eq!(
        (
            feature("ordinal(stations.borough)", 0),
            feature("product(easting, stations.y)", 0)
        ),
        (1.0, 70.0)
    );
    assert_eq!(
        (feature("weather.rain lag 1", 0), feature("weather.rain lag 3", 0)),
        (4.0, 2.0)
    );
    assert_eq!(feature("weather.rain mean over 120 min", 0), 3.5);
    assert_eq!(feature("weather.rain change over 120 min", 0), 1.0);
    // Poplar is there and stands nowhere; its rain is a day old.
    assert!(feature("stations.x", 1).is_nan() && feature("weather.rain", 1).is_nan());
    assert_eq!(feature("holidays.holiday", 1), 1.0);
    // A key that is not there is missing, and the day before any rain was known has none.
    assert!(feature("stations.x", 2).is_nan() && feature("weather.rain lag 1", 2).is_nan());
    assert_eq!(feature("stations.borough=Westminster", 2), 0.0);
    assert_eq!(unmatched[0], [false, false, true]);
    assert_eq!(unmatched[3], [false, true, true]);
}

#[test]
fn contributions_go_to_the_fields_that_find_a_row() {
    let asked = rows(&[("Soho", 4 * HOUR, 7.0)]);
    let (pipeline, _) = fit(&given(), all_features(), &asked, Known::Dispatch).unwrap();
    let fields = pipeline.feature_fields(&schema());
    let of = |name: &str| {
        let column = pipeline.features().iter().position(|feature| feature == name).unwrap();
        fields[column].clone()
    };
    assert_eq!(
        (of("stations.x"), of("congestion.index"), of("weather.rain lag 3")),
        (vec![0], vec![1], vec![1])
    );
    assert_eq!(
        (of("distance(station)"), of("product(easting, stations.y)")),
        (vec![0, 2], vec![0, 2])
    );
}

#[test]
fn a_column_is_known_no_earlier_than_what_finds_it() {
    let asked = rows(&[("Soho", 4 * HOUR, 7.0)]);
    let read = json!([{"number": {"fields": ["stations.x"]}}]);
    let problem = fit(&given()[..1], read, &asked, Known::Call).unwrap_err();
    assert_eq!(
        problem,
        "feature step 0 reads `stations.x`, which is known `dispatch`, but the model answers at `call`"
    );
}

#[test]
fn what_does_not_fit_is_said_with_the_remedy() {
    let asked = rows(&[("Soho", 4 * HOUR, 7.0)]);
    let refused = |number: usize, change: fn(&mut Given<'_>), field: &str| {
        let mut one = given().remove(number);
        change(&mut one);
        fit(
            &[one],
            json!([{"number": {"fields": [field]}}]),
            &asked,
            Known::Dispatch,
        )
        .unwrap_err()
    };
    assert_eq!(
        refused(0, |_| {}, "stations.z"),
        "lookup `stations` has no column `z`; it has `name`, `x`, `y`, `borough`"
    );
    assert_eq!(
        refused(0, |given| given.key.clear(), "stations.x"),
        "lookup `stations` is found by `name`, but `key` has 0 parts"
    );
    assert_eq!(
        refused(
            0,
            |given| given.key = vec![KeyConfig::Field("easting".to_owned())],
            "stations.x"
        ),
        "lookup `stations` has text in `name`, not a number"
    );
    assert_eq!(
        refused(
            2,
            |given| given.key = vec![KeyConfig::Date("station".to_owned())],
            "holidays.holiday"
        ),
        "lookup `holidays` wants `station` to be a date and time"
    );
    assert_eq!(
        refused(3, |given| given.at = None, "weather.rain"),
        "lookup `weather` has a time, `known_at`: name the field with the time of a request in `at`"
    );
    assert_eq!(
        refused(1, |given| given.at = Some("called_at"), "congestion.index"),
        "lookup `congestion` has no time: leave `at` out, or publish it with `time`"
    );
    assert_eq!(
        refused(0, |_| {}, "easting"),
        "lookup `stations` is read by no feature; write `stations.<column>` in one, or remove it"
    );
    let undated = |given: &mut Given<'_>| {
        let columns = vec![
            column("name", texts(&["Soho"])),
            LookupColumn {
                known: None,
                ..column("x", Column::Number(vec![1.0]))
            },
        ];
        given.table = LookupTable::new(vec!["name".to_owned()], None, columns).unwrap();
    };
    assert_eq!(
        refused(0, undated, "stations.x"),
        "lookup `stations` does not say when `x` is known; add it to `known` of the task that publishes it"
    );
}

#[test]
fn a_damaged_pipeline_is_refused() {
    let asked = rows(&[("Soho", 4 * HOUR, 7.0)]);
    let (pipeline, _) = fit(&given(), all_features(), &asked, Known::Dispatch).unwrap();
    let text = serde_json::to_string(&pipeline).unwrap();
    for (from, to) in [
        ("\"field\":1,\"part\"", "\"field\":7,\"part\""),
        ("\"at\":1", "\"at\":3"),
    ] {
        assert!(text.contains(from), "{from}");
        let damaged: Pipeline = serde_json::from_str(&text.replace(from, to)).unwrap();
        assert!(damaged.validate(&schema()).is_err(), "{to}");
    }
    // A lag that counts from 0 was never written; it is missing and no panic.
    let lag: Pipeline = serde_json::from_str(&text.replace("{\"lag\":3}", "{\"lag\":0}")).unwrap();
    let (matrix, _) = lag.features_of(
        &asked,
        &LookupTables::from([("published-weather".to_owned(), Arc::new(weather(&[1])))]),
    );
    assert_eq!(matrix.rows, 1);
}

proptest! {
    /// The same code answers a row and a table, to the last bit, whatever is asked.
    #[test]
    fn one_row_gives_the_same_bits_as_many(
        asked in prop::collection::vec((prop::sample::select(vec!["Soho", "poplar", "EUSTON", "x"]), -10_i64..400_000, -1e3..1e3_f64), 1..20)
    ) {
        let asked = rows(&asked);
        let (pipeline, tables) = fit(&given(), all_features(), &asked, Known::Dispatch).unwrap();
        let served = stored(&pipeline);
        let (all, _) = pipeline.features_of(&asked, &tables);
        for row in 0..asked.len() {
            let (one, _) = served.features_of(&asked.select(&[row]), &tables);
            prop_assert_eq!(bits(one.row(0)), bits(all.row(row)));
        }
    }

    /// Whatever becomes known after a request changes no bit of its features.
    #[test]
    fn nothing_of_the_future_is_seen(
        hours in prop::collection::btree_set(0_i64..200, 1..30),
        asked_at in 0_i64..200,
        minute in 0_i64..60,
    ) {
        let hours: Vec<i64> = hours.into_iter().collect();
        let at = asked_at * HOUR + minute * 60;
        let asked = rows(&[("Soho", at, 1.0)]);
        let features = json!([
            {"number": {"fields": ["weather.rain"]}},
            {"history": {"lookup": "weather", "column": "rain", "lags": [1, 2, 5], "rolling": [
                {"minutes": 1440, "statistics": ["mean", "minimum", "maximum", "change", "deviation"]}]}},
        ]);
        let with = |hours: &[i64]| {
            let mut one = given().remove(3);
            one.table = weather(hours);
            let (pipeline, tables) = fit(&[one], features.clone(), &asked, Known::Dispatch).unwrap();
            bits(&pipeline.features_of(&asked, &tables).0.values)
        };
        let known: Vec<i64> = hours.iter().copied().filter(|hour| hour * HOUR <= at).collect();
        // A table needs a row, so both begin with one of long ago.
        let since_long = |hours: &[i64]| [&[-1_000_000], hours].concat();
        prop_assert_eq!(with(&since_long(&hours)), with(&since_long(&known)));
    }
}

proptest! {
    /// A file from outside is read or refused, whatever was done to it.
    #[test]
    fn a_file_with_other_bytes_is_read_or_refused(changes in prop::collection::vec((0_usize..400, any::<u8>()), 1..6)) {
        let mut content = stations().write().unwrap();
        let length = content.len();
        for (place, byte) in changes {
            content[place % length] = byte;
        }
        if let Ok(table) = LookupTable::read(&content) {
            prop_assert!(!table.is_empty());
            prop_assert!(LookupTable::read(&table.write().unwrap()).is_ok());
        }
    }
}
