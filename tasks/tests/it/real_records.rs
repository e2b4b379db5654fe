//! The tasks of the DAG that ships, on the published records of 2017.

use ratchet_core::plugin::{ColumnType, Known, Table};
use serde_json::json;

use crate::support::{Stage, real_records, shipped_task, shipped_vehicles};

async fn incidents(stage: &Stage) -> Option<Table> {
    let mut with = shipped_task("incidents");
    with["from"] = json!(real_records("lfb_incidents_2017_jan_apr.csv.gz")?);
    Some(stage.table("extract.file", with).await)
}

#[tokio::test]
async fn every_column_says_when_it_is_known_and_numbers_stay_codes() {
    let stage = Stage::new();
    let Some(table) = incidents(&stage).await else { return };
    assert_eq!((table.rows, table.columns.len(), table.simulated), (32_247, 32, false));
    assert!(table.columns.iter().all(|column| column.known.is_some()));
    let column = |name: &str| table.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(column("IncidentNumber").kind, ColumnType::Text);
    assert_eq!(column("HourOfCall").kind, ColumnType::Integer);
    assert_eq!(column("FirstPumpArriving_AttendanceTime").kind, ColumnType::Integer);
    assert_eq!(column("FirstPumpArriving_AttendanceTime").nulls, 1_819);
    assert_eq!(column("NumPumpsAttending").known, Some(Known::After));
    assert_eq!(
        column("FirstPumpArriving_DeployedFromStation").known,
        Some(Known::Dispatch)
    );
    let frame = stage.frame(&table).await;
    assert_eq!(
        frame.column("IncidentNumber").unwrap().str().unwrap().get(0),
        Some("000003-01012017")
    );
}

#[tokio::test]
async fn incidents_become_vehicles_and_calls() {
    let stage = Stage::new();
    let Some(incidents) = incidents(&stage).await else {
        return;
    };
    let mut gate = shipped_task("gate");
    gate["table"] = json!(incidents);
    let gated = stage.table("quality.gate", gate).await;
    assert_eq!(gated, incidents);

    let vehicles = shipped_vehicles(&stage, &gated).await;
    assert_eq!(vehicles.rows, 42_394);
    let frame = stage.frame(&vehicles).await;
    let april = frame.column("DateOfCall").unwrap().str().unwrap().iter().flatten();
    assert_eq!(april.filter(|date| date.starts_with("2017-04")).count(), 11_366);
    let known = |name: &str| {
        vehicles
            .columns
            .iter()
            .find(|column| column.name == name)
            .unwrap()
            .known
    };
    assert_eq!(known("DeployedFromStation"), Some(Known::Dispatch));
    assert_eq!(known("PumpOrder"), Some(Known::Dispatch));
    assert_eq!(known("AttendanceSeconds"), Some(Known::After));
    assert_eq!(known("PropertyType"), Some(Known::Call));

    let mut with = shipped_task("calls");
    with["tables"] = json!({ "incidents": gated });
    let calls = stage.table("transform.sql", with).await;
    assert_eq!(calls.rows, 32_247 - 68);
    let pumps = calls
        .columns
        .iter()
        .find(|column| column.name == "NumPumpsAttending")
        .unwrap();
    assert_eq!((pumps.known, pumps.nulls), (Some(Known::After), 0));
}

#[tokio::test]
async fn a_month_without_dates_does_not_pass_the_gate() {
    let stage = Stage::new();
    let Some(incidents) = incidents(&stage).await else {
        return;
    };
    let names: Vec<String> = incidents
        .columns
        .iter()
        .map(|column| {
            if column.name == "DateOfCall" {
                "NULL AS DateOfCall".into()
            } else {
                column.name.clone()
            }
        })
        .collect();
    let with = json!({
        "tables": { "incidents": incidents },
        "sql": format!("SELECT {} FROM incidents", names.join(", ")),
        "sort": ["IncidentNumber"],
    });
    let broken = stage.table("transform.sql", with).await;
    let mut gate = shipped_task("gate");
    gate["table"] = json!(broken);
    let error = stage.run("quality.gate", gate).await.unwrap_err();
    let expected =
        "expectation `null_share(DateOfCall) <= 0.01` failed: 1.0000 of 32,247 rows are null (rows 0, 1, 2, ...)";
    assert!(error.message.contains(expected), "{error}");
    assert_eq!(stage.report(&error.outputs).await["passed"], json!(false));
}

#[tokio::test]
async fn the_station_table_is_read_by_its_own_delimiter() {
    let stage = Stage::new();
    let Some(path) = real_records("lfb_stations.csv") else {
        return;
    };
    let mut with = shipped_task("stations");
    with["from"] = json!(path);
    let table = stage.table("extract.file", with).await;
    assert_eq!((table.rows, table.columns.len()), (103, 13));
    let easting = table.columns.iter().find(|column| column.name == "Easting").unwrap();
    assert_eq!((easting.kind, easting.nulls), (ColumnType::Number, 0));
}

#[tokio::test]
async fn older_files_with_other_dates_and_numbers_are_tables_too() {
    let stage = Stage::new();
    for (name, columns) in [
        ("lfb_incidents_2009_sample20.csv", 39),
        ("lfb_mobilisations_2009_sample20.csv", 22),
    ] {
        let Some(path) = real_records(name) else { return };
        let table = stage.table("extract.file", json!({ "from": path })).await;
        assert_eq!((table.rows, table.columns.len()), (20, columns), "{name}");
    }
}

#[test]
fn the_dag_that_ships_passes_every_check() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dags/lfb_response_time.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let dag = ratchet_core::load("lfb_response_time.yaml", &text, &ratchet_tasks::registry());
    let dag = dag.unwrap_or_else(|problems| panic!("{problems}"));
    let gate = dag.task("gate").unwrap();
    assert!(gate.dependencies.contains("incidents"));
}
