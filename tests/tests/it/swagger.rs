//! The page of the API's document in a browser: Authorize, Try it out, Execute.

use serde_json::json;

use crate::browser::{chromium, python};
use crate::support::{PASSWORD, USERNAME, directory, simulated_run, start_api};

#[test]
fn a_visitor_authorizes_and_gets_a_prediction() {
    let Some(chromium) = chromium() else { return };
    let store = simulated_run().join("bucket").display().to_string();
    let server = start_api(&directory("swagger"), Some(&store), &[]);
    let screenshot = directory("swagger-page").join("executed.png");
    let seen = python(
        "swagger.py",
        &json!({
            "chromium": chromium, "address": server.address, "username": USERNAME, "password": PASSWORD,
            "path": "/predict/time_pump", "screenshot": screenshot,
        }),
    );
    assert_eq!(seen["status"], "200", "{seen:#}");
    let body = seen["body"].as_str().unwrap();
    assert!(
        body.contains("prediction_id") && body.contains("lfb-response-time"),
        "{body}"
    );
    assert_eq!(seen["elsewhere"], json!([]), "nothing is fetched from elsewhere");
    println!("screenshot: {}", screenshot.display());
}
