//! Versions, and which of them is in production.

use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::bucket::fill;
use crate::service::Service;

#[tokio::test]
async fn a_version_is_told_once_and_then_known_by_its_tag() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    fill(service.engine.bucket()).await;
    for path in ["/api/v1/models/eta/versions/2", "/api/v1/datasets/trips/versions/1"] {
        let answer = service.asking(Role::User, "GET", path).await.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert!(
            answer.headers()["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        for (sent, expected) in [
            (tag.as_str(), 304),
            ("\"other\"", 200),
            (&format!("\"other\", {tag}"), 304),
        ] {
            let request = service
                .asking(Role::User, "GET", path)
                .await
                .header("If-None-Match", sent);
            assert_eq!(
                request.send().await.unwrap().status().as_u16(),
                expected,
                "{path} {sent}"
            );
        }
    }
    let model = service.json("/api/v1/models/eta/versions/2").await;
    assert_eq!((&model["name"], &model["version"]), (&json!("eta"), &json!(2)));
    let dataset = service.json("/api/v1/datasets/trips").await;
    assert_eq!(
        (&dataset["versions"], &dataset["latest"]["rows"]),
        (&json!([1]), &json!(3))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_lookup_says_how_new_it_is_and_which_model_in_production_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    fill(service.engine.bucket()).await;
    let listed = service.json("/api/v1/lookups").await;
    let weather = &listed["lookups"][0];
    assert_eq!(
        (
            &weather["name"],
            &weather["latest"],
            &weather["versions"],
            &weather["rows"],
            &weather["readers"]
        ),
        (&json!("weather"), &json!(2), &json!(2), &json!(22), &json!([]))
    );
    let body = json!({ "version": 2, "reason": "looks better" });
    assert_eq!(service.post("/api/v1/models/eta/promote", &body).await.0, 200);
    let listed = service.json("/api/v1/lookups").await;
    let reader = json!({ "model": "eta", "version": 2, "alias": "champion", "trained_with": 1 });
    assert_eq!(listed["lookups"][0]["readers"], json!([reader]));
    service.stop().await;
}

#[tokio::test]
async fn a_promotion_by_hand_says_who_and_why_and_can_be_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    fill(service.engine.bucket()).await;
    let promote = async |version: u64| {
        let body = json!({ "version": version, "reason": "looks better" });
        service.post("/api/v1/models/eta/promote", &body).await
    };
    let (status, entry) = promote(1).await;
    assert_eq!(status, 200, "{entry}");
    assert_eq!(
        (&entry["actor"], &entry["reason"]),
        (&json!("operator"), &json!("looks better"))
    );
    assert_eq!(promote(1).await.0, 409, "it holds the alias already");
    assert_eq!(promote(9).await.0, 404);
    assert_eq!(promote(2).await.0, 200);
    let (status, back) = service
        .post("/api/v1/models/eta/rollback", &json!({ "reason": "it is not" }))
        .await;
    assert_eq!((status, &back["version"]), (200, &json!(1)));
    let again = service
        .post("/api/v1/models/eta/rollback", &json!({ "reason": "further" }))
        .await;
    assert_eq!(again.0, 409, "nothing to go back to");
    let log = service.json("/api/v1/promotions?model=eta").await;
    assert_eq!(log["promotions"].as_array().unwrap().len(), 3);
    assert_eq!(
        service.json("/api/v1/promotions?model=other").await["promotions"],
        json!([])
    );
    let audit = service.identity.audit_log(None, 100).await.unwrap();
    let count = |action: &str, outcome: &str| {
        let matching =
            |entry: &&ratchet_identity::AuditEntry| entry.action == action && entry.outcome.starts_with(outcome);
        audit.iter().filter(matching).count()
    };
    assert_eq!(
        (count("model.promote", "done"), count("model.promote", "refused: ")),
        (2, 2)
    );
    assert_eq!(
        (count("model.rollback", "done"), count("model.rollback", "refused: ")),
        (1, 1)
    );
    assert_eq!(service.identity.verify_audit().await.unwrap().broken, None);
    service.stop().await;
}

#[tokio::test]
async fn a_promotion_without_a_reason_is_refused_and_leaves_no_trace() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    fill(service.engine.bucket()).await;
    for body in [
        json!({ "version": 1 }),
        json!({ "version": 1, "reason": "  " }),
        json!({ "reason": "x" }),
    ] {
        let (status, problem) = service.post("/api/v1/models/eta/promote", &body).await;
        assert_eq!(
            (status, problem["errors"].as_array().map(Vec::len)),
            (422, Some(1)),
            "{problem}"
        );
    }
    assert_eq!(service.json("/api/v1/promotions").await["promotions"], json!([]));
    service.stop().await;
}

#[tokio::test]
async fn a_promotion_under_a_condition_is_refused_once_the_alias_changed_hands() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    fill(service.engine.bucket()).await;
    let promote = async |version: u64, tag: Option<&str>, key: Option<&str>| {
        let mut request = service
            .asking(Role::Operator, "POST", "/api/v1/models/eta/promote")
            .await;
        if let Some(tag) = tag {
            request = request.header("If-Match", tag);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let body = json!({ "version": version, "reason": "looks better" });
        let answer = request.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let first = promote(1, None, Some("k")).await;
    assert_eq!(
        promote(1, None, Some("k")).await,
        first,
        "the same key is the same entry"
    );
    assert_eq!(
        promote(2, None, Some("k")).await.0,
        409,
        "another act under the same key"
    );
    let path = "/api/v1/models/eta/aliases/champion";
    let answer = service.asking(Role::User, "GET", path).await.send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(promote(2, Some("\"other\""), None).await.0, 412);
    assert_eq!(promote(2, Some(&tag), None).await.0, 200);
    assert_eq!(promote(1, Some(&tag), None).await.0, 412, "it changed hands");
    assert_eq!(promote(1, Some("no tag"), None).await.0, 400);
    service.stop().await;
}

#[tokio::test]
async fn requests_are_spread_by_whoever_may_and_it_says_who_and_why() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    fill(service.engine.bucket()).await;
    let path = "/api/v1/models/eta/route";
    let half = json!({ "shares": { "champion": 50, "challenger": 50 }, "reason": "half a week" });
    assert_eq!(service.post(path, &half).await.0, 409, "nobody holds an alias");
    for (version, alias) in [(1, "champion"), (2, "challenger")] {
        let body = json!({ "version": version, "alias": alias, "reason": "try it" });
        assert_eq!(service.post("/api/v1/models/eta/promote", &body).await.0, 200);
    }
    let (status, entry) = service.post(path, &half).await;
    assert_eq!(status, 200, "{entry}");
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&json!("route"), &json!("operator"))
    );
    assert_eq!(entry["table"]["eta"]["challenger"]["weight"], 50);
    let wrong = json!({ "shares": { "champion": 0, "challenger": "half" }, "shadows": [1], "sticky": 2 });
    let (status, problem) = service.post(path, &wrong).await;
    let faults = problem["errors"].as_array().unwrap();
    let mut pointers: Vec<&str> = faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    let expected = [
        "/reason",
        "/shadows/0",
        "/shares/challenger",
        "/shares/champion",
        "/sticky",
    ];
    assert_eq!((status, pointers.as_slice()), (422, &expected[..]), "{problem}");
    let sent = |body: Value| {
        let service = &service;
        async move {
            let request = service.asking(Role::Operator, "POST", path).await;
            let answer = request.header("Idempotency-Key", "k").json(&body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    let first = sent(half.clone()).await;
    assert_eq!(sent(half).await, first, "the same key is the same entry");
    let whole = json!({ "shares": { "champion": 100 }, "reason": "enough" });
    assert_eq!(sent(whole).await.0, 409, "another act under the same key");
    let audit = service.identity.audit_log(None, 100).await.unwrap();
    let told = |outcome: &str| {
        let of =
            |entry: &&ratchet_identity::AuditEntry| entry.action == "model.route" && entry.outcome.starts_with(outcome);
        audit.iter().filter(of).count()
    };
    assert_eq!((told("done"), told("refused: ")), (3, 2));
    service.stop().await;
}
