//! The Open Inference Protocol, version 2. A real client asks in the tests that cross crates.

use serde_json::{Value, json};

use crate::bundles::TestBundle;
use crate::server::{House, Server, row};

async fn alpha() -> (House, Server) {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.1).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    (house, server)
}

fn inputs(eastings: &Value, shape: &Value) -> Value {
    let count = shape[0].as_u64().unwrap() as usize;
    json!([
        {"name": "easting", "datatype": "FP64", "shape": shape, "data": eastings},
        {"name": "station", "datatype": "BYTES", "shape": shape, "data": vec!["Soho"; count]},
        {"name": "called_at", "datatype": "BYTES", "shape": shape, "data": vec!["1970-01-01 00:30:00"; count]},
    ])
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap();
    outputs.iter().find(|output| output["name"] == name).unwrap()
}

#[tokio::test]
async fn the_service_and_its_models_describe_themselves() {
    let (_house, server) = alpha().await;
    for path in ["/v2", "/v2/"] {
        assert_eq!(server.get(path).await.1["name"], "ratchet");
    }
    assert_eq!(server.get("/v2/health/live").await, (200, json!({"live": true})));
    assert_eq!(server.get("/v2/health/ready").await, (200, json!({"ready": true})));
    for path in ["/v2/models/alpha/ready", "/v2/models/alpha/versions/1/ready"] {
        assert_eq!(server.get(path).await, (200, json!({"name": "alpha", "ready": true})));
    }
    let (_, model) = server.get("/v2/models/alpha").await;
    assert_eq!(server.get("/v2/models/alpha/versions/1").await.1, model);
    assert_eq!(
        (&model["versions"], &model["platform"]),
        (&json!(["1"]), &json!("ratchet"))
    );
    assert_eq!(
        model["inputs"][0],
        json!({"name": "easting", "datatype": "FP64", "shape": [-1]})
    );
    let outputs: Vec<_> = model["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| (&output["name"], &output["datatype"]))
        .collect();
    assert!(outputs.contains(&(&json!("seconds"), &json!("FP64"))), "{outputs:?}");
    assert!(
        outputs.contains(&(&json!("out_of_distribution.flag"), &json!("BOOL"))),
        "{outputs:?}"
    );
    assert!(
        outputs.contains(&(&json!("model.version"), &json!("INT64"))),
        "{outputs:?}"
    );
}

#[tokio::test]
async fn tensors_get_the_numbers_that_rows_get() {
    let (_house, server) = alpha().await;
    for (shape, data) in [
        (json!([2]), json!([50.5, 1e6])),
        (json!([2, 1]), json!([[50.5], [1e6]])),
    ] {
        let request = json!({"id": "mine", "parameters": {"content_type": "pd"}, "inputs": inputs(&data, &shape)});
        let (status, answer) = server.post("/v2/models/alpha/infer", &request).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["model_name"], &answer["model_version"], &answer["id"]),
            (&json!("alpha"), &json!("1"), &json!("mine"))
        );
        let seconds = output(&answer, "seconds");
        assert_eq!((&seconds["datatype"], &seconds["shape"]), (&json!("FP64"), &shape));
        for (number, easting) in [(0, 50.5), (1, 1e6)] {
            let expected = server.post("/predict/alpha", &row(easting)).await.1["seconds"]
                .as_f64()
                .unwrap();
            assert_eq!(seconds["data"][number].as_f64().unwrap().to_bits(), expected.to_bits());
        }
        assert_eq!(
            output(&answer, "out_of_distribution.flag")["data"],
            json!([false, true])
        );
        assert_eq!(
            output(&answer, "out_of_distribution.fields")["data"],
            json!(["", "easting"])
        );
    }
    let request = json!({"inputs": inputs(&json!([1.0]), &json!([1])), "outputs": [{"name": "seconds"}], "parameters": {"explain": true}});
    let (_, answer) = server.post("/v2/models/alpha/versions/1/infer", &request).await;
    assert_eq!(
        (answer["outputs"].as_array().unwrap().len(), answer.get("id")),
        (1, None)
    );
    let request = json!({"inputs": inputs(&json!([2.5]), &json!([1])), "parameters": {"explain": true}});
    let (_, answer) = server.post("/v2/models/alpha/infer", &request).await;
    assert_eq!(
        output(&answer, "explanation.contributions.easting")["data"],
        json!([2.5])
    );
    let (status, answer) = server
        .post(
            "/v2/models/alpha/infer",
            &json!({"inputs": inputs(&json!([]), &json!([0]))}),
        )
        .await;
    assert_eq!((status, &output(&answer, "seconds")["data"]), (200, &json!([])));
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_protocols_shape() {
    let (_house, server) = alpha().await;
    let good = inputs(&json!([1.0]), &json!([1]));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut request = json!({"inputs": good});
        change(&mut request);
        request
    };
    let cases = [
        (
            with(&|request| request["inputs"][0]["shape"] = json!([3])),
            "1 values, its shape says 3",
        ),
        (
            with(&|request| request["inputs"][0]["name"] = json!("x")),
            "no field 'x'; the input 'easting' is missing",
        ),
        (
            with(&|request| request["inputs"][1]["name"] = json!("easting")),
            "comes twice",
        ),
        (
            with(&|request| request["inputs"][0]["datatype"] = json!("FP16")),
            "a datatype that is not read",
        ),
        (
            with(&|request| request["inputs"][2]["data"] = json!(["secret"])),
            "/called_at: not a civil time",
        ),
        (
            with(&|request| request["inputs"][0]["data"] = json!([null])),
            "/easting: a value is required",
        ),
        (
            with(&|request| request["inputs"] = json!("secret")),
            "`inputs` has to be a list",
        ),
        (with(&|request| request["id"] = json!(7)), "`id` has to be a text"),
        (
            with(&|request| request["outputs"] = json!([{"name": "nothing"}])),
            "no output 'nothing'",
        ),
        (json!([]), "the input 'easting' is missing"),
    ];
    for (request, message) in cases {
        let (status, answer) = server.post("/v2/models/alpha/infer", &request).await;
        let error = answer["error"].as_str().unwrap();
        assert_eq!((status, answer.as_object().unwrap().len()), (400, 1), "{answer}");
        assert!(error.contains(message) && !error.contains("secret"), "{error}");
    }
    let good = json!({"inputs": good});
    assert_eq!(server.post("/v2/models/nobody/infer", &good).await.0, 404);
    let (status, answer) = server.post("/v2/models/alpha/versions/7/infer", &good).await;
    assert!(
        status == 404 && answer["error"].as_str().unwrap().contains("version 1 does"),
        "{answer}"
    );
    for path in [
        "/v2/nothing",
        "/v2/models/nobody",
        "/v2/models/alpha/versions/x",
        "/v2/models/nobody/ready",
    ] {
        let (status, answer) = server.get(path).await;
        assert_eq!((status, answer["error"].is_string()), (404, true), "{path}");
    }
    let response = server
        .client
        .get(server.url("/v2/models/alpha/infer"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["allow"].to_str().unwrap()
        ),
        (405, "POST")
    );
    let response = server
        .client
        .post(server.url("/v2/models/alpha/infer"))
        .json(&good)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
    assert!(response.json::<Value>().await.unwrap()["error"].is_string());
}

#[tokio::test]
async fn an_admin_takes_a_model_out_of_service_and_back() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let root = house
        .identity
        .add_user("root", crate::server::PASSWORD, ratchet_identity::Role::Admin)
        .await
        .unwrap();
    let admin = house.identity.issue_token(&root).unwrap().token;
    let ask = async |path: &str| {
        let request = server.client.post(server.url(path)).bearer_auth(&admin);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let index = async || ask("/v2/repository/index").await.1[0].clone();
    assert_eq!(
        index().await,
        json!({"name": "alpha", "version": "1", "state": "READY", "reason": ""})
    );
    assert_eq!(ask("/v2/repository/models/alpha/unload").await, (200, json!({})));
    assert_eq!(index().await["state"], "UNAVAILABLE");
    let row = crate::server::row(1.0);
    assert_eq!(server.post("/predict/alpha", &row).await.0, 503);
    let (status, health) = server.get("/health").await;
    assert_eq!(
        (status, &health["status"], &health["models"][0]["state"]),
        (200, &json!("degraded"), &json!("unloaded"))
    );
    assert_eq!(ask("/v2/repository/models/alpha/load").await.0, 200);
    assert_eq!(server.post("/predict/alpha", &row).await.0, 200);
    // A promotion brings it back, too.
    assert_eq!(ask("/v2/repository/models/alpha/unload").await.0, 200);
    house.release("alpha", TestBundle::new("alpha", 2.0).bytes()).await;
    server.wait_for_version("alpha", 2).await;
    assert_eq!(ask("/v2/repository/models/nobody/load").await.0, 404);
    let newest = house.identity.audit_log(None, 1).await.unwrap();
    assert_eq!(
        (newest[0].actor.as_str(), newest[0].action.as_str()),
        ("root", "model.unload")
    );
}
