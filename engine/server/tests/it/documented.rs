//! Every status that the document names can be met.

use std::collections::BTreeSet;
use std::path::Path;

use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::bucket::fill;
use crate::service::Service;

/// What needs a store that is away.
const NOT_PROVOKED: [&str; 1] = ["503"];

/// What is sent beside method and path.
#[derive(Default)]
struct Sent {
    role: Option<Role>,
    headers: Vec<(&'static str, String)>,
    kind: Option<&'static str>,
    body: Vec<u8>,
}

fn by(role: Role) -> Sent {
    Sent {
        role: Some(role),
        ..Sent::default()
    }
}

fn json_by(role: Role, body: &Value) -> Sent {
    Sent {
        kind: Some("application/json"),
        body: body.to_string().into_bytes(),
        ..by(role)
    }
}

fn with(header: &'static str, value: impl Into<String>, sent: Sent) -> Sent {
    let mut headers = sent.headers;
    headers.push((header, value.into()));
    Sent { headers, ..sent }
}

fn form(text: &str) -> Sent {
    Sent {
        kind: Some("application/x-www-form-urlencoded"),
        body: text.as_bytes().to_vec(),
        ..Sent::default()
    }
}

/// The service, and what was met so far.
struct Met<'a> {
    service: &'a Service,
    seen: BTreeSet<(String, String, String)>,
}

impl Met<'_> {
    /// Asks, and holds the answer to the status and the document's path.
    async fn meet(&mut self, expected: u16, method: &str, pattern: &str, path: &str, sent: Sent) -> Value {
        let mut request = self.service.request(method, path);
        if let Some(role) = sent.role {
            request = request.bearer_auth(self.service.token(role).await);
        }
        for (name, value) in sent.headers {
            request = request.header(name, value);
        }
        if let Some(kind) = sent.kind {
            request = request.header("Content-Type", kind);
        }
        let answer = request.body(sent.body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!(status, expected, "{method} {path}: {text}");
        self.seen
            .insert((method.to_lowercase(), pattern.to_owned(), status.to_string()));
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The faults of every JSON body.
    async fn bodies(&mut self, pattern: &str, path: &str, role: Role) {
        let broken = Sent {
            kind: Some("application/json"),
            body: b"{".to_vec(),
            ..by(role)
        };
        self.meet(400, "POST", pattern, path, broken).await;
        let long = Sent {
            kind: Some("application/json"),
            body: vec![b' '; 100_000],
            ..by(role)
        };
        self.meet(413, "POST", pattern, path, long).await;
        let text = Sent {
            kind: Some("text/plain"),
            body: b"{}".to_vec(),
            ..by(role)
        };
        self.meet(415, "POST", pattern, path, text).await;
        self.meet(422, "POST", pattern, path, json_by(role, &json!({ "unknown": 1 })))
            .await;
    }
}

async fn started(home: &Path) -> Service {
    std::fs::create_dir_all(home.join("dags")).unwrap();
    let plain = "name: plain\ntasks:\n  only: { uses: test.talk }\n";
    std::fs::write(home.join("dags/plain.yaml"), plain).unwrap();
    let timed =
        "name: timed\nschedule: { cron: \"0 2 1 1 *\", timezone: UTC }\ntasks:\n  only: { uses: test.nothing }\n";
    std::fs::write(home.join("dags/timed.yaml"), timed).unwrap();
    let long = "name: long\ntasks:\n  only: { uses: test.linger }\n";
    std::fs::write(home.join("dags/long.yaml"), long).unwrap();
    let asks = "name: asks\ntasks:\n  only: { approval: { message: Really? } }\n";
    std::fs::write(home.join("dags/asks.yaml"), asks).unwrap();
    for (name, default) in [("hooked", " | default('let me in')"), ("silent", "")] {
        let text = format!(
            "name: {name}\nparams: {{ city: {{ type: string, default: York }} }}\n\
             triggers: [{{ on_webhook: {{ token: \"${{{{ secrets.NOBODY_SETS_THIS{default} }}}}\", params: {{ city: /city }} }} }}]\n\
             tasks:\n  only: {{ uses: test.nothing }}\n"
        );
        std::fs::write(home.join(format!("dags/{name}.yaml")), text).unwrap();
    }
    let service = Service::start(home).await;
    fill(service.engine.bucket()).await;
    service
}

#[tokio::test]
async fn every_documented_status_can_be_provoked() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let mut met = Met {
        service: &service,
        seen: BTreeSet::new(),
    };
    public(&mut met).await;
    let runs = triggers(&mut met, home.path()).await;
    pauses(&mut met).await;
    configs(&mut met).await;
    backfills(&mut met).await;
    hooks(&mut met).await;
    reading_runs(&mut met, &runs).await;
    operations(&mut met, &runs).await;
    artifacts(&mut met).await;
    people(&mut met).await;
    let document = service.json("/api/v1/openapi.json").await;
    // Without a token and without the role: the same for all, and tried route by route in `roles`.
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                let asked = (method.clone(), path.clone(), status.clone());
                if NOT_PROVOKED.contains(&status.as_str()) || ["401", "403"].contains(&status.as_str()) {
                    continue;
                }
                assert!(met.seen.contains(&asked), "{asked:?} is documented and was not met");
            }
        }
    }
    for (method, path, status) in &met.seen {
        let responses = &document["paths"][path][method]["responses"];
        assert!(
            responses[status].is_object(),
            "{method} {path} answered {status}, which is not documented"
        );
    }
    service.stop().await;
}

async fn public(met: &mut Met<'_>) {
    met.meet(200, "GET", "/", "/", Sent::default()).await;
    met.meet(200, "GET", "/health", "/health", Sent::default()).await;
    met.service.user(Role::User).await;
    let token = "/api/v1/token";
    met.meet(200, "POST", token, token, form("username=user&password=correct+horse"))
        .await;
    for _ in 0..5 {
        met.meet(400, "POST", token, token, form("username=user&password=wrong"))
            .await;
    }
    met.meet(429, "POST", token, token, form("username=user&password=correct+horse"))
        .await;
    let document = "/api/v1/openapi.json";
    met.meet(200, "GET", document, document, by(Role::User)).await;
}

/// Two runs of `plain`.
async fn triggers(met: &mut Met<'_>, home: &Path) -> Vec<String> {
    let pattern = "/api/v1/dags/{name}/runs";
    let path = "/api/v1/dags/plain/runs";
    let keyed = || with("Idempotency-Key", "k", by(Role::Operator));
    let first = met.meet(202, "POST", pattern, path, keyed()).await;
    let claim = std::fs::read_dir(home.join("requests"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut left: Value = serde_json::from_slice(&std::fs::read(&claim).unwrap()).unwrap();
    left["run"] = Value::Null;
    std::fs::write(&claim, left.to_string()).unwrap();
    met.meet(409, "POST", pattern, path, keyed()).await;
    met.bodies(pattern, path, Role::Operator).await;
    met.meet(404, "POST", pattern, "/api/v1/dags/none/runs", by(Role::Operator))
        .await;
    let second = met.meet(202, "POST", pattern, path, by(Role::Operator)).await;
    [first, second]
        .iter()
        .map(|run| run["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn reading_runs(met: &mut Met<'_>, runs: &[String]) {
    let list = "/api/v1/dags";
    met.meet(200, "GET", list, list, by(Role::User)).await;
    for (pattern, statuses) in [
        ("/api/v1/dags/{name}", &[(200, "plain"), (404, "none")][..]),
        (
            "/api/v1/dags/{name}/next",
            &[(200, "timed"), (404, "none"), (409, "plain"), (400, "timed?count=0")],
        ),
    ] {
        for (status, name) in statuses {
            let (name, query) = name
                .split_once('?')
                .map_or((*name, String::new()), |(name, query)| (name, format!("?{query}")));
            let path = format!("{}{query}", pattern.replace("{name}", name));
            met.meet(*status, "GET", pattern, &path, by(Role::User)).await;
        }
    }
    let pools = "/api/v1/pools";
    met.meet(200, "GET", pools, pools, by(Role::User)).await;
    let list = "/api/v1/runs";
    met.meet(200, "GET", list, list, by(Role::User)).await;
    met.meet(400, "GET", list, "/api/v1/runs?limit=0", by(Role::User)).await;
    for run in runs {
        let path = format!("/api/v1/runs/{run}");
        met.service
            .wait_for(&path, |run| run["status"] != json!("running"))
            .await;
    }
    // Both ids begin with the same moment.
    let several = &runs[0][..4];
    for pattern in [
        "/api/v1/runs/{id}",
        "/api/v1/runs/{id}/tasks",
        "/api/v1/runs/{id}/attempts",
        "/api/v1/runs/{id}/logs",
        "/api/v1/runs/{id}/logs/text",
        "/api/v1/runs/{id}/artifacts",
        "/api/v1/runs/{id}/events",
    ] {
        for (status, id) in [(200, runs[0].as_str()), (400, several), (404, "ffffffff")] {
            met.meet(status, "GET", pattern, &pattern.replace("{id}", id), by(Role::User))
                .await;
        }
    }
    let document = "/api/v1/runs/{id}/artifacts/{task}/{attempt}/{name}";
    let path = format!("/api/v1/runs/{}/artifacts/only", runs[0]);
    for (status, name) in [(200, "1/log.ndjson"), (404, "1/none"), (400, "x/log.ndjson")] {
        met.meet(status, "GET", document, &format!("{path}/{name}"), by(Role::User))
            .await;
    }
    let known = with("If-None-Match", "*", by(Role::User));
    met.meet(304, "GET", document, &format!("{path}/1/log.ndjson"), known)
        .await;
    let text = "/api/v1/runs/{id}/logs/text";
    for (status, range) in [(206, "bytes=0-3"), (416, "bytes=99999999-")] {
        let sent = with("Range", range, by(Role::User));
        met.meet(status, "GET", text, &text.replace("{id}", &runs[0]), sent)
            .await;
    }
}

async fn pauses(met: &mut Met<'_>) {
    for pattern in ["/api/v1/dags/{name}/pause", "/api/v1/dags/{name}/unpause"] {
        for (status, name) in [(200, "timed"), (404, "none")] {
            met.meet(
                status,
                "POST",
                pattern,
                &pattern.replace("{name}", name),
                by(Role::Operator),
            )
            .await;
        }
    }
}

async fn configs(met: &mut Met<'_>) {
    let pattern = "/api/v1/dags/{name}/config";
    for (status, name) in [(200, "timed"), (404, "none")] {
        let path = pattern.replace("{name}", name);
        met.meet(status, "GET", pattern, &path, by(Role::User)).await;
        met.meet(status, "POST", pattern, &path, by(Role::Operator)).await;
    }
    met.bodies(pattern, "/api/v1/dags/timed/config", Role::Operator).await;
}

async fn backfills(met: &mut Met<'_>) {
    let pattern = "/api/v1/dags/{name}/backfills";
    let path = "/api/v1/dags/timed/backfills";
    let body = |dry_run: bool| {
        let body = json!({ "from": "2024-01-01", "to": "2024-01-02", "dry_run": dry_run });
        json_by(Role::Operator, &body)
    };
    met.meet(200, "POST", pattern, path, body(true)).await;
    met.bodies(pattern, path, Role::Operator).await;
    let keyless = with("Idempotency-Key", "", body(false));
    met.meet(400, "POST", pattern, path, keyless).await;
    met.meet(404, "POST", pattern, "/api/v1/dags/none/backfills", body(true))
        .await;
    let started = met.meet(202, "POST", pattern, path, body(false)).await;
    let id = started["id"].as_str().unwrap();
    let list = "/api/v1/backfills";
    met.meet(200, "GET", list, list, by(Role::User)).await;
    met.meet(400, "GET", list, "/api/v1/backfills?limit=0", by(Role::User))
        .await;
    let one = "/api/v1/backfills/{id}";
    met.meet(404, "GET", one, "/api/v1/backfills/none", by(Role::User))
        .await;
    met.meet(200, "GET", one, &one.replace("{id}", id), by(Role::User))
        .await;
    let stop = "/api/v1/backfills/{id}/stop";
    met.meet(404, "POST", stop, "/api/v1/backfills/none/stop", by(Role::Operator))
        .await;
    // Another one that is too long to end by itself.
    let long = json_by(Role::Operator, &json!({ "from": "2010-01-01", "to": "2024-05-02" }));
    let long = met.meet(202, "POST", pattern, path, long).await;
    let long = stop.replace("{id}", long["id"].as_str().unwrap());
    met.meet(200, "POST", stop, &long, by(Role::Operator)).await;
    met.meet(409, "POST", stop, &long, by(Role::Operator)).await;
}

async fn hooks(met: &mut Met<'_>) {
    let pattern = "/api/v1/hooks/{dag}";
    let path = "/api/v1/hooks/hooked";
    let sent = |body: &[u8]| Sent {
        body: body.to_vec(),
        ..with("Authorization", "Bearer let me in", Sent::default())
    };
    met.meet(202, "POST", pattern, path, sent(b"")).await;
    met.meet(400, "POST", pattern, path, sent(b"{")).await;
    met.meet(404, "POST", pattern, path, Sent::default()).await;
    met.meet(413, "POST", pattern, path, sent(&[b' '; 100_000])).await;
    met.meet(422, "POST", pattern, path, sent(b"{ \"city\": [] }")).await;
    met.meet(503, "POST", pattern, "/api/v1/hooks/silent", sent(b"")).await;
    for (act, status) in [("pause", 409), ("unpause", 202)] {
        let pause = format!("/api/v1/dags/hooked/{act}");
        let document = format!("/api/v1/dags/{{name}}/{act}");
        met.meet(200, "POST", &document, &pause, by(Role::Operator)).await;
        met.meet(status, "POST", pattern, path, sent(b"")).await;
    }
}

async fn operations(met: &mut Met<'_>, runs: &[String]) {
    let trigger = "/api/v1/dags/{name}/runs";
    let long = met
        .meet(202, "POST", trigger, "/api/v1/dags/long/runs", by(Role::Operator))
        .await;
    let long = long["id"].as_str().unwrap();
    let several = &runs[0][..4];
    let retry = json!({ "from": ["only"] });
    for (pattern, done, body) in [
        ("/api/v1/runs/{id}/retry", 202, retry),
        ("/api/v1/runs/{id}/clear", 202, json!({ "tasks": ["only"] })),
        (
            "/api/v1/runs/{id}/tasks/{task}/mark",
            200,
            json!({ "state": "succeeded" }),
        ),
    ] {
        let path = |id: &str| pattern.replace("{id}", id).replace("{task}", "only");
        for (status, id) in [(done, runs[0].as_str()), (400, several), (404, "ffffffff"), (409, long)] {
            met.meet(status, "POST", pattern, &path(id), json_by(Role::Operator, &body))
                .await;
        }
        met.bodies(pattern, &path(&runs[0]), Role::Operator).await;
    }
    let mark = "/api/v1/runs/{id}/tasks/{task}/mark";
    let other = format!("/api/v1/runs/{}/tasks/other/mark", runs[0]);
    let body = json_by(Role::Operator, &json!({ "state": "failed" }));
    met.meet(404, "POST", mark, &other, body).await;
    let asking = met
        .meet(202, "POST", trigger, "/api/v1/dags/asks/runs", by(Role::Operator))
        .await;
    let asking = asking["id"].as_str().unwrap();
    met.service
        .wait_for(&format!("/api/v1/runs/{asking}"), |run| run["approvals"] != json!([]))
        .await;
    let approve = "/api/v1/runs/{id}/tasks/{task}/approve";
    let path = |id: &str| approve.replace("{id}", id).replace("{task}", "only");
    met.bodies(approve, &path(asking), Role::Operator).await;
    for (status, id) in [(200, asking), (409, asking), (400, several), (404, "ffffffff")] {
        let yes = json_by(Role::Operator, &json!({ "approved": true }));
        met.meet(status, "POST", approve, &path(id), yes).await;
    }
    let cancel = "/api/v1/runs/{id}/cancel";
    for (status, id) in [(202, long), (400, several), (404, "ffffffff"), (409, &runs[0])] {
        met.meet(status, "POST", cancel, &cancel.replace("{id}", id), by(Role::Operator))
            .await;
    }
}

async fn artifacts(met: &mut Met<'_>) {
    let lookups = "/api/v1/lookups";
    met.meet(200, "GET", lookups, lookups, by(Role::User)).await;
    for (kind, name) in [("datasets", "trips"), ("models", "eta")] {
        let list = format!("/api/v1/{kind}");
        met.meet(200, "GET", &list, &list, by(Role::User)).await;
        let one = format!("/api/v1/{kind}/{{name}}");
        for (status, name) in [(200, name), (404, "none"), (400, "No%20Name")] {
            met.meet(status, "GET", &one, &format!("{list}/{name}"), by(Role::User))
                .await;
        }
        let version = format!("{one}/versions/{{version}}");
        for (status, path) in [(200, "1"), (404, "99"), (400, "x")] {
            met.meet(
                status,
                "GET",
                &version,
                &format!("{list}/{name}/versions/{path}"),
                by(Role::User),
            )
            .await;
        }
        let known = with("If-None-Match", "*", by(Role::User));
        met.meet(304, "GET", &version, &format!("{list}/{name}/versions/1"), known)
            .await;
    }
    let promote = "/api/v1/models/{name}/promote";
    let path = "/api/v1/models/eta/promote";
    let version = |version: u64| json_by(Role::Operator, &json!({ "version": version, "reason": "x" }));
    met.meet(200, "POST", promote, path, version(1)).await;
    met.meet(409, "POST", promote, path, version(1)).await;
    met.meet(404, "POST", promote, path, version(99)).await;
    met.meet(412, "POST", promote, path, with("If-Match", "\"other\"", version(2)))
        .await;
    met.meet(200, "POST", promote, path, version(2)).await;
    met.bodies(promote, path, Role::Operator).await;
    let rollback = "/api/v1/models/{name}/rollback";
    let path = "/api/v1/models/eta/rollback";
    let reason = || json_by(Role::Operator, &json!({ "reason": "x" }));
    met.meet(200, "POST", rollback, path, reason()).await;
    met.meet(409, "POST", rollback, path, reason()).await;
    met.bodies(rollback, path, Role::Operator).await;
    let route = "/api/v1/models/{name}/route";
    let path = "/api/v1/models/eta/route";
    let shares = |share: u32| {
        json_by(
            Role::Operator,
            &json!({ "shares": { "champion": share }, "reason": "x" }),
        )
    };
    met.meet(200, "POST", route, path, shares(100)).await;
    met.meet(409, "POST", route, path, shares(90)).await;
    met.bodies(route, path, Role::Operator).await;
    let alias = "/api/v1/models/{name}/aliases/{alias}";
    met.meet(200, "GET", alias, "/api/v1/models/eta/aliases/champion", by(Role::User))
        .await;
    met.meet(404, "GET", alias, "/api/v1/models/eta/aliases/other", by(Role::User))
        .await;
    let log = "/api/v1/promotions";
    met.meet(200, "GET", log, log, by(Role::User)).await;
    met.meet(400, "GET", log, "/api/v1/promotions?limit=1", by(Role::User))
        .await;
}

async fn people(met: &mut Met<'_>) {
    for (list, one, good) in [
        (
            "/api/v1/users",
            "/api/v1/users/{name}",
            json!({ "username": "ada", "password": "correct horse" }),
        ),
        ("/api/v1/keys", "/api/v1/keys/{name}", json!({ "name": "ada" })),
    ] {
        met.meet(200, "GET", list, list, by(Role::Admin)).await;
        met.meet(201, "POST", list, list, json_by(Role::Admin, &good)).await;
        met.meet(409, "POST", list, list, json_by(Role::Admin, &good)).await;
        met.bodies(list, list, Role::Admin).await;
        met.meet(204, "DELETE", one, &format!("{list}/ada"), by(Role::Admin))
            .await;
        met.meet(404, "DELETE", one, &format!("{list}/ada"), by(Role::Admin))
            .await;
    }
    met.meet(
        409,
        "DELETE",
        "/api/v1/users/{name}",
        "/api/v1/users/admin",
        by(Role::Admin),
    )
    .await;
    let audit = "/api/v1/audit";
    met.meet(200, "GET", audit, audit, by(Role::Admin)).await;
    met.meet(400, "GET", audit, "/api/v1/audit?limit=0", by(Role::Admin))
        .await;
    met.meet(
        200,
        "GET",
        "/api/v1/audit/check",
        "/api/v1/audit/check",
        by(Role::Admin),
    )
    .await;
}
