//! Record collections: rows that come, are found, go, and reach the bucket.

use ratchet_artifacts::collections::{self, Collection};
use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::record::lines;
use crate::server::{House, PASSWORD, Server};

struct Desk {
    house: House,
    server: Server,
    admin: String,
}

/// A service with the collection `deliveries`, and an administrator.
async fn desk() -> Desk {
    let house = House::new().await;
    let collection = Collection {
        name: "deliveries".to_owned(),
        key: vec!["city".to_owned(), "id".to_owned()],
        schema: json!({
            "type": "object", "required": ["city", "id"], "additionalProperties": false,
            "properties": {
                "city": {"type": "string"}, "id": {"type": "integer"}, "minutes": {"type": ["number", "null"], "minimum": 0},
            },
        }),
    };
    let _ = collections::apply(&house.bucket, &collection).await.unwrap();
    let root = house.identity.add_user("root", PASSWORD, Role::Admin).await.unwrap();
    let admin = house.identity.issue_token(&root).unwrap().token;
    let server = house.serve().await;
    Desk { house, server, admin }
}

impl Desk {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.server.ask(&self.admin, method, path, body).await
    }

    async fn add(&self, rows: &Value) -> (u16, Value) {
        self.ask("POST", "/database/deliveries", Some(rows)).await
    }

    /// The ids of rows, page by page.
    async fn ids(&self, query: &str) -> Vec<i64> {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/database/deliveries?{query}{after}");
            let (status, page) = self.ask("GET", &path, None).await;
            assert_eq!(status, 200, "{page}");
            let rows = page["rows"].as_array().unwrap();
            ids.extend(rows.iter().map(|row| row["row"]["id"].as_i64().unwrap()));
            match page["next"].as_str() {
                Some(next) => {
                    after = format!(
                        "&after={}",
                        next.replace('[', "%5B").replace('"', "%22").replace(']', "%5D")
                    )
                }
                None => return ids,
            }
        }
    }
}

fn delivery(id: i64, minutes: impl Into<Value>) -> Value {
    json!({"city": "Agra", "id": id, "minutes": minutes.into()})
}

#[tokio::test]
async fn rows_are_added_replaced_found_and_deleted_and_the_feed_tells_all_of_it() {
    let desk = desk().await;
    assert_eq!(
        desk.add(&delivery(1, 30)).await,
        (200, json!({"added": 1, "replaced": 0, "unchanged": 0}))
    );
    let rows: Vec<Value> = (1..=25).map(|id| delivery(id, id * 10)).collect();
    assert_eq!(
        desk.add(&json!(rows)).await,
        (200, json!({"added": 24, "replaced": 1, "unchanged": 0}))
    );
    assert_eq!(
        desk.add(&json!(rows)).await,
        (200, json!({"added": 0, "replaced": 0, "unchanged": 25}))
    );
    let (_, listed) = desk.ask("GET", "/database", None).await;
    let collection = &listed["collections"][0];
    assert_eq!(
        (&collection["name"], &collection["rows"]),
        (&json!("deliveries"), &json!(25))
    );
    assert_eq!(collection["key"], json!(["city", "id"]));
    let mut all = desk.ids("limit=7").await;
    all.sort_unstable();
    assert_eq!(all, (1..=25).collect::<Vec<_>>(), "pages miss and repeat nothing");
    assert_eq!(desk.ids("filter=minutes%3E%3D240").await, [24, 25]);
    assert_eq!(desk.ids("filter=city=Agra&filter=id=3").await, [3]);
    assert!(desk.ids("filter=city=Delhi").await.is_empty());
    let (_, page) = desk.ask("GET", "/database/deliveries?filter=id=1", None).await;
    assert_eq!(
        (&page["rows"][0]["row"], &page["rows"][0]["by"]),
        (&delivery(1, 10), &json!("root"))
    );

    let delete = "/database/deliveries?filter=minutes%3C=30";
    let counted = desk.ask("DELETE", &format!("{delete}&dry_run=true"), None).await;
    assert_eq!(counted, (200, json!({"matched": 3, "deleted": 0})));
    assert_eq!(desk.ids("limit=1000").await.len(), 25, "a dry run deletes nothing");
    assert_eq!(
        desk.ask("DELETE", delete, None).await,
        (200, json!({"matched": 3, "deleted": 3}))
    );
    assert_eq!(
        desk.ask("DELETE", delete, None).await,
        (200, json!({"matched": 0, "deleted": 0}))
    );
    assert_eq!(
        desk.ask("DELETE", "/database/deliveries?all=true", None).await.1["deleted"],
        22
    );
    let audited = desk.house.identity.audit_log(None, 10).await.unwrap();
    assert!(
        audited
            .iter()
            .any(|entry| entry.action == "database.delete" && entry.outcome == "done: 3 rows"),
        "{audited:?}"
    );

    let Desk { house, server, .. } = desk;
    server.stop().await;
    let told = lines(&house.bucket, "deliveries").await;
    let kinds = |name: &str| told.iter().filter(|line| line[name].is_object()).count();
    assert_eq!((kinds("row"), kinds("delete"), told.len()), (26, 25, 51));
    assert_eq!((&told[0]["row"], &told[0]["by"]), (&delivery(1, 30), &json!("root")));
    assert!(told[0]["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told[26]["delete"], json!({"city": "Agra", "id": 1}));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_as_a_whole_with_every_place() {
    let desk = desk().await;
    let rows = json!([delivery(1, 5), delivery(2, -70077), {"city": "Agra", "id": "seven"}, delivery(1, 6), {"id": 3, "x": 1}, 3]);
    let (status, problem) = desk.add(&rows).await;
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(status, 422, "{problem}");
    for expected in ["/1/minutes", "/2/id", "/3", "/4/city", "/4/x", "/5"] {
        assert!(pointers.contains(&expected), "{expected}: {problem}");
    }
    assert!(
        !problem.to_string().contains("70077") && !problem.to_string().contains("seven"),
        "{problem}"
    );
    assert!(desk.ids("").await.is_empty(), "none of the list is kept");
    for (method, path, status) in [
        ("GET", "/database/rides", 404),
        ("DELETE", "/database/No-Name?all=true", 404),
        ("GET", "/database/deliveries?filter=speed=3", 422),
        ("GET", "/database/deliveries?filter=id=three", 422),
        ("GET", "/database/deliveries?limit=0", 422),
        ("GET", "/database/deliveries?page=2", 422),
        ("DELETE", "/database/deliveries", 422),
        ("DELETE", "/database/deliveries?all=maybe", 422),
    ] {
        let (found, problem) = desk.ask(method, path, None).await;
        assert_eq!(found, status, "{method} {path}: {problem}");
    }
    assert_eq!(desk.ask("POST", "/database/rides", Some(&json!({}))).await.0, 404);
}

#[tokio::test]
async fn another_schema_holds_within_seconds() {
    let desk = desk().await;
    let (status, _) = desk.add(&json!({"city": "Agra", "id": 1, "courier": "Ada"})).await;
    assert_eq!(status, 422);
    let mut collection = collections::get(&desk.house.bucket, "deliveries")
        .await
        .unwrap()
        .unwrap();
    collection.schema["properties"]["courier"] = json!({"type": "string"});
    let _ = collections::apply(&desk.house.bucket, &collection).await.unwrap();
    for _ in 0..100 {
        if desk.add(&json!({"city": "Agra", "id": 1, "courier": "Ada"})).await.0 == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the old schema held for ten seconds");
}
