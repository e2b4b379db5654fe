//! `extract.file` from the web.

use serde_json::json;

use crate::server::{Answer, Request, Server};
use crate::support::Stage;

const CSV: &str = "id,n\na,1\nb,2\n";

fn plain(_: &Request, _: usize) -> Answer {
    Answer::new(200, CSV).with("etag", "\"v1\"")
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_fetched_again() {
    let stage = Stage::new();
    let server = Server::start(|request, _| match request.header("if-none-match") {
        Some("\"v1\"") => Answer::new(304, ""),
        _ => plain(request, 0).with("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
    })
    .await;
    let with = json!({ "from": format!("{}/a.csv?part=1", server.url) });
    let first = stage.table("extract.file", with.clone()).await;
    assert_eq!(
        (first.rows, first.source.as_str()),
        (2, &*format!("{}/a.csv?part=1", server.url))
    );
    stage.register(&first).await;
    let again = stage.table("extract.file", with).await;
    assert_eq!(again, first, "also the time at which its bytes were collected");
    let requests = server.requests();
    assert_eq!(requests[0].header("if-none-match"), None);
    assert_eq!(
        requests[1].header("if-modified-since"),
        Some("Thu, 01 Jan 2026 00:00:00 GMT")
    );
    assert!(stage.log().contains("has not changed since"), "{}", stage.log());

    // Another file of the same dataset is asked for without a condition.
    let other = json!({ "from": format!("{}/a.csv?part=2", server.url) });
    stage.table("extract.file", other).await;
    assert_eq!(server.requests()[2].header("if-none-match"), None);
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_stopped() {
    let stage = Stage::new();
    let rows: String = (0..2000).map(|row| format!("{row},{}\n", row * 7)).collect();
    let content = format!("id,n\n{rows}");
    let whole = content.clone();
    let server = Server::start(move |request, before| {
        let from: usize = request
            .header("range")
            .map_or(0, |range| range[6..range.len() - 1].parse().unwrap());
        let rest = whole.as_bytes()[from..].to_vec();
        let mut answer = Answer::new(if from == 0 { 200 } else { 206 }, rest).with("etag", "\"v1\"");
        if from > 0 {
            assert_eq!(request.header("if-range"), Some("\"v1\""));
            answer = answer.with(
                "content-range",
                format!("bytes {from}-{}/{}", whole.len() - 1, whole.len()),
            );
        }
        // Seven breaks: more than there are tries without progress.
        answer.breaks_after = (before < 7).then_some(1000);
        answer
    })
    .await;
    let table = stage
        .table("extract.file", json!({ "from": format!("{}/a.csv", server.url) }))
        .await;
    assert_eq!((table.rows, server.requests().len()), (2000, 8));
    assert_eq!(table.raw[0].sha256, ratchet_artifacts::sha256(content.as_bytes()));
}

#[tokio::test]
async fn a_file_that_changes_between_two_parts_is_fetched_anew() {
    let stage = Stage::new();
    let server = Server::start(|_, before| match before {
        0 => Answer {
            breaks_after: Some(8),
            ..Answer::new(200, "id,n\nold,1\nold,2\n").with("etag", "\"v1\"")
        },
        _ => Answer::new(200, CSV).with("etag", "\"v2\""),
    })
    .await;
    let with = json!({ "from": format!("{}/a.csv", server.url) });
    let table = stage.table("extract.file", with).await;
    assert_eq!(table.raw[0].sha256, ratchet_artifacts::sha256(CSV.as_bytes()));
    assert_eq!(table.collected.unwrap().etag.as_deref(), Some("\"v2\""));
    assert_eq!(server.requests()[1].header("range"), Some("bytes=8-"));
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_when_it_says() {
    let stage = Stage::new();
    let server = Server::start(|request, before| match before {
        0 => Answer::new(500, "broken"),
        1 => Answer::new(503, "busy").with("retry-after", "0"),
        _ => plain(request, before),
    })
    .await;
    let with = json!({ "from": format!("{}/a.csv", server.url) });
    assert_eq!(stage.table("extract.file", with).await.rows, 2);
    assert!(
        stage
            .log()
            .contains("answers 503 Service Unavailable; asked again in 0 ms"),
        "{}",
        stage.log()
    );
}

#[tokio::test]
async fn redirects_are_followed_to_an_end() {
    let stage = Stage::new();
    let server = Server::start(|request, before| match request.target.as_str() {
        "/circle" => Answer::new(302, "").with("location", "/circle"),
        target if target.starts_with("/far") => Answer::new(302, "").with("location", format!("/far{before}")),
        "/moved" => Answer::new(301, "").with("location", "/a.csv"),
        _ => plain(request, before),
    })
    .await;
    let from = |path: &str| json!({ "from": format!("{}{path}", server.url) });
    assert_eq!(stage.table("extract.file", from("/moved")).await.rows, 2);
    for (path, expected) in [
        ("/circle", "redirects in a circle"),
        ("/far", "redirects more than 5 times"),
    ] {
        let error = stage.run("extract.file", from(path)).await.unwrap_err();
        assert!(error.message.contains(expected) && !error.retryable, "{error}");
    }
}

#[tokio::test]
async fn what_does_not_arrive_is_named_without_its_password() {
    let stage = Stage::new();
    let server = Server::start(|request, _| match request.target.split('?').next().unwrap() {
        "/closed" => Answer::new(401, ""),
        "/busy" => Answer::new(429, "").with("retry-after", "3600"),
        "/cut.csv.gz" => Answer::new(200, [0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75, 76]),
        _ => Answer::new(404, ""),
    })
    .await;
    let base = server.url.replace("http://", "http://ada:hush-hush@");
    let cases = [
        ("/closed?key=hush-hush", "answers 401 Unauthorized", false),
        ("/none.csv", "answers 404 Not Found", false),
        ("/busy", "asks to wait 3600 s", true),
        ("/cut.csv.gz", "is cut off: its gzip stream ends", false),
    ];
    for (path, expected, retryable) in cases {
        let with = json!({ "from": format!("{base}{path}") });
        let error = stage.run("extract.file", with).await.unwrap_err();
        assert!(error.message.contains(expected) && error.help.is_some(), "{error}");
        assert_eq!(error.retryable, retryable, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    assert!(!stage.log().contains("hush-hush@") && server.requests()[0].header("authorization").is_some());
}

#[tokio::test]
async fn another_file_than_the_declared_one_is_refused_and_kept() {
    let stage = Stage::new();
    let server = Server::start(plain).await;
    let from = format!("{}/a.csv", server.url);
    let digest = ratchet_artifacts::sha256(CSV.as_bytes());
    stage
        .table("extract.file", json!({ "from": from, "sha256": digest }))
        .await;
    let wrong = json!({ "from": from, "sha256": "0".repeat(64) });
    let error = stage.run("extract.file", wrong).await.unwrap_err();
    assert!(
        error.message.contains(&format!("has the SHA-256 {digest}, not 0000")),
        "{error}"
    );
}
