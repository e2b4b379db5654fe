//! The shipped DAG on real records with all its lookups: trained, served, and read anew while it serves.
//!
//! Stations are the published table. Holidays, congestion and weather are small tables made up here: they show that
//! lookups work, not what they are worth.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Client, bundle, directory, http, lfb_dag, metric, model, ratchet, raw_vehicles, real_parameters, real_records,
    run_dag, runtime, start_api, workspace,
};

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn made_up_holidays() -> String {
    let days = (1..=4).flat_map(|month| (3..=13).map(move |day| format!("2017-{month:02}-{day:02},1\n")));
    format!("Date,SchoolHoliday\n{}", days.collect::<String>())
}

fn made_up_congestion() -> String {
    let hours = (0..168).map(|hour| format!("{hour},{}\n", (hour * 37 % 101) as f64 / 10.0));
    format!("HourOfWeek,Index\n{}", hours.collect::<String>())
}

/// An hour each from January to April 2017, warmer by `warmer`.
fn made_up_weather(warmer: f64) -> String {
    let days = [(1, 31), (2, 28), (3, 31), (4, 30)];
    let days = days
        .into_iter()
        .flat_map(|(month, days)| (1..=days).map(move |day| (month, day)));
    let hours = days.flat_map(|(month, day)| (0..24).map(move |hour| (month, day, hour)));
    let lines = hours.map(|(month, day, hour)| {
        let (degrees, rain) = (f64::from(hour) / 2.0 + f64::from(month) + warmer, f64::from(day % 5));
        format!(
            "2017-{month:02}-{day:02} {hour:02}:00:00,{degrees},{rain},{}\n",
            day % 7
        )
    });
    format!(
        "KnownAt,Temperature,Precipitation,WindSpeed\n{}",
        lines.collect::<String>()
    )
}

/// Polls what the model lists until it reads this version of the weather.
async fn wait_for_weather(client: &Client, version: u64) {
    for _ in 0..200 {
        let (_, listed) = client.get("/models").await;
        let lookups = model(&listed, "lfb-response-time")["lookups"].clone();
        let read = |lookup: &Value| lookup["name"] == "lfb-weather" && lookup["version"] == version;
        if lookups.as_array().unwrap().iter().any(read) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the service never read version {version} of the weather");
}

fn republish(home: &Path, weather: String) {
    let dag: PathBuf = workspace().join("dags/lfb_weather.yaml");
    let (status, document) = run_dag(ratchet(home), &dag, &[("weather", weather)]);
    assert_eq!(status, 0, "{document:#}");
}

#[test]
fn real_records_with_all_lookups_are_learnt_served_and_follow_a_newer_table() {
    let Some(mut parameters) = real_parameters(true) else {
        return;
    };
    let Some(incidents) = real_records("lfb_incidents_2017_jan_apr.csv.gz") else {
        return;
    };
    let home = directory("lookups");
    parameters.push(("holidays", write(&home, "made_up_holidays.csv", &made_up_holidays())));
    parameters.push((
        "congestion",
        write(&home, "made_up_congestion.csv", &made_up_congestion()),
    ));
    parameters.push(("weather", write(&home, "made_up_weather.csv", &made_up_weather(0.0))));
    let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
    assert_eq!(status, 0, "{document:#}");
    let time = model(&document, "lfb-response-time");
    println!("lfb-response-time with all lookups: {:#}", time["metrics"]);
    // Three columns of noise cost little.
    assert!(metric(time, "mae") < 74.0);
    assert_eq!(time["promoted"], true);

    let store = home.join("bucket").display().to_string();
    let api_home = directory("lookups-api");
    let server = start_api(&api_home, Some(&store), &[]);
    runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let offline = bundle(&home, "lfb-response-time", 1).await;
        let schema = offline.schema();
        for joined in ["Easting", "SchoolHoliday", "Index", "Temperature"] {
            assert!(schema.position(joined).is_none(), "no client sends {joined}");
        }
        let vehicles = raw_vehicles(&incidents, "2017-04-10", schema);
        let records: Vec<_> = vehicles.iter().map(|vehicle| &vehicle.record).collect();
        let rows = offline.parse_all(&records).unwrap();
        let expected = offline.predict(&rows);
        let unmatched = offline.features_and_unmatched(&rows).1;
        let names: Vec<&str> = offline.lookups().map(|(name, _)| name).collect();
        let found_nothing: Vec<usize> = unmatched
            .iter()
            .map(|rows| rows.iter().filter(|row| **row).count())
            .collect();
        println!(
            "rows that found nothing, of {}: {names:?} {found_nothing:?}",
            records.len()
        );
        let mut first = Value::Null;
        for (row, record) in records.iter().enumerate().take(300) {
            let (status, answer) = client
                .post("/predict/time_pump", &Value::Object((*record).clone()))
                .await;
            assert_eq!(status, 200, "{answer:#}");
            assert_eq!(
                answer["seconds"].as_f64().unwrap().to_bits(),
                expected[row].value.to_bits(),
                "row {row}"
            );
            if row == 0 {
                first = answer;
            }
        }
        let versions = json!({"lfb-congestion": 1, "lfb-school-holidays": 1, "lfb-stations": 1, "lfb-weather": 1});
        assert_eq!(first["model"]["lookups"], versions);
        // Another model of the same run reads three of them, at the time of the call.
        let pumps = bundle(&home, "lfb-pumps", 1).await;
        let (status, answer) = client
            .post("/predict/number_of_pumps", &Value::Object(pumps.example()))
            .await;
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!(answer["model"]["lookups"].as_object().unwrap().len(), 3);

        republish(&home, write(&home, "warmer.csv", &made_up_weather(25.0)));
        wait_for_weather(&client, 2).await;
        let warmer = bundle(&home, "lfb-response-time", 1).await;
        let expected = warmer.predict(&rows);
        let mut changed = 0;
        for (row, record) in records.iter().enumerate().take(100) {
            let (_, answer) = client
                .post("/predict/time_pump", &Value::Object((*record).clone()))
                .await;
            assert_eq!(answer["model"]["lookups"]["lfb-weather"], 2);
            assert_eq!(
                answer["seconds"].as_f64().unwrap().to_bits(),
                expected[row].value.to_bits(),
                "row {row}"
            );
            changed += usize::from(offline.predict(&rows.select(&[row]))[0].value != expected[row].value);
        }
        println!("{changed} of 100 answers changed with the weather");
        assert!(changed > 50);
    });
}

/// The published interface of the delivery service, asked as its documentation asks it.
#[test]
fn the_published_question_of_deliveries_gets_the_published_answer() {
    const QUESTION: &str = r#"{"id":12345,"delivery_person_age":30.0,"delivery_person_ratings":5.0,"restaurant_latitude":22.744648,"restaurant_longitude":75.894377,"delivery_location_latitude":22.824648,"delivery_location_longitude":75.974377,"weather_conditions":1,"road_traffic_density":3,"vehicle_condition":0,"type_of_order":3,"type_of_vehicle":2,"multiple_deliveries":0.0,"festival":1,"city":0,"city_code":10,"day":20,"month":3,"quarter":1,"year":2022,"day_of_week":6,"is_month_start":0,"is_month_end":0,"is_quarter_start":0,"is_quarter_end":0,"is_year_start":0,"is_year_end":0,"is_weekend":1,"order_prepare_time":15.0,"distance":12}"#;
    let home = directory("deliveries");
    let dag = workspace().join("dags/delivery_duration.yaml");
    let parameters = [("deliveries", "simulated://delivery?rows=6000&seed=1".to_owned())];
    let (status, document) = run_dag(ratchet(&home), &dag, &parameters);
    assert_eq!(status, 0, "{document:#}");
    let store = home.join("bucket").display().to_string();
    let server = start_api(&directory("deliveries-api"), Some(&store), &[]);
    runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let response = http()
            .post(format!("http://{}/api/predict/delivery/duration", server.address))
            .bearer_auth(client.token())
            .header("Content-Type", "application/json")
            .body(QUESTION)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        let fields = answer.as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["duration_time"], "{answer:#}");
        assert!(
            (5.0..90.0).contains(&answer["duration_time"].as_f64().unwrap()),
            "{answer:#}"
        );
        let (_, listed) = client.get("/models").await;
        let unused = model(&listed, "delivery-duration")["unused_fields"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(unused.len(), 21);
        assert!(unused.contains(&json!({"name": "festival", "because": "the training table does not have it"})));
    });
}
