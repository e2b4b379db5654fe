//! Online equals offline, to the last bit.

use crate::support::{Client, bundle, raw_vehicles, real_records, real_run, runtime, start_api};
use serde_json::{Value, json};

#[test]
fn every_april_row_posted_raw_is_answered_with_trainings_prediction() {
    let Some(run) = real_run() else { return };
    let Some(incidents) = real_records("lfb_incidents_2017_jan_apr.csv.gz") else {
        return;
    };
    let home = crate::support::directory("parity");
    let store = run.home.join("bucket").display().to_string();
    let server = start_api(&home, Some(&store), &[]);
    runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let bundle = bundle(&run.home, "lfb-response-time", 1).await;
        let vehicles = raw_vehicles(&incidents, "2017-04-01", bundle.schema());
        assert_eq!(vehicles.len(), 11_366);
        let records: Vec<_> = vehicles.iter().map(|vehicle| &vehicle.record).collect();
        // Training's own way: all rows as one table.
        let offline = bundle.predict(&bundle.parse_all(&records).unwrap());
        let check = |answer: &Value, row: usize| {
            let expected = &offline[row];
            let interval = expected.interval.unwrap();
            for (online, offline) in [
                (&answer["seconds"], expected.value),
                (&answer["interval"]["lower"], interval.lower),
                (&answer["interval"]["upper"], interval.upper),
            ] {
                assert_eq!(
                    online.as_f64().unwrap().to_bits(),
                    offline.to_bits(),
                    "row {row}: {answer}"
                );
            }
        };
        // One request a row for all of them; then the same rows in one list.
        let mut tasks = tokio::task::JoinSet::new();
        let (mut next, mut answered) = (0, 0);
        while answered < vehicles.len() {
            while next < vehicles.len() && tasks.len() < 16 {
                let (client, body, row) = (client.clone(), Value::Object(vehicles[next].record.clone()), next);
                tasks.spawn(async move { (row, client.post("/predict/time_pump", &body).await) });
                next += 1;
            }
            let (row, (status, answer)) = tasks.join_next().await.unwrap().unwrap();
            assert_eq!(status, 200, "{answer:#}");
            check(&answer, row);
            answered += 1;
        }
        let list: Vec<Value> = records[..1000]
            .iter()
            .map(|record| Value::Object((*record).clone()))
            .collect();
        let (status, answer) = client.post("/predict/time_pump", &json!(list)).await;
        assert_eq!(status, 200);
        for (row, answer) in answer["predictions"].as_array().unwrap().iter().enumerate() {
            check(answer, row);
        }
        // The metrics of the run are those of these very answers.
        let truth: Vec<f64> = vehicles.iter().map(|vehicle| vehicle.seconds).collect();
        let values: Vec<f64> = offline.iter().map(|prediction| prediction.value).collect();
        let mae = ratchet_model::metrics::mae(&truth, &values);
        let reported = crate::support::metric(crate::support::model(&run.document, "lfb-response-time"), "mae");
        assert!((mae - reported).abs() < 1e-9, "{mae} online, {reported} reported");
        println!("{answered} rows answered alike to the last bit; MAE {mae:.3} s");
    });
}
