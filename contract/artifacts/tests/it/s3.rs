//! What an S3 server answers, word for word, becomes a message with a remedy.
//!
//! The server here only speaks; a real one is tested where crates meet.

use std::sync::{Arc, Mutex};

use ratchet_artifacts::{Bucket, BucketError, Created, outside};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const EMPTY_LISTING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>b</Name>\
    <KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";

/// Status line and body for the head of a request.
type Answer = fn(&str) -> (&'static str, &'static str);

/// A server that answers as `answer` says and keeps the heads of the requests.
struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, kept.clone()));
            }
        });
        Self { endpoint, requests }
    }

    async fn open(&self, url: &str) -> Result<Bucket, BucketError> {
        open(url, &self.endpoint).await
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, requests: Arc<Mutex<Vec<String>>>) {
    let mut text = Vec::new();
    let head = loop {
        let mut buffer = [0_u8; 4096];
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        text.extend_from_slice(&buffer[..read]);
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&text[..end]).to_lowercase();
        }
    };
    let (status, body) = answer(&head);
    requests.lock().unwrap().push(head);
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"e\"\r\nlast-modified: Fri, 20 Nov 2026 04:00:00 GMT\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

async fn open(url: &str, endpoint: &str) -> Result<Bucket, BucketError> {
    let options = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "hidden"),
        ("AWS_REGION", "eu-west-2"),
    ];
    Bucket::open_with(url, &options).await
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = Server::start(|_| ("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>")).await;
    let error = server.open("s3://nowhere/prefix").await.unwrap_err();
    assert!(
        matches!(error, BucketError::BucketMissing { .. }) && !error.may_retry(),
        "{error}"
    );
    assert!(error.to_string().contains("s3://nowhere/prefix"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_names_the_variables_and_never_the_secret() {
    let server = Server::start(|_| ("403 Forbidden", "<Error><Code>SignatureDoesNotMatch</Code></Error>")).await;
    let error = server.open("s3://b").await.unwrap_err();
    assert!(
        matches!(error, BucketError::Denied { .. }) && !error.may_retry(),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("SignatureDoesNotMatch") && message.contains("AWS_ACCESS_KEY_ID"),
        "{message}"
    );
    assert!(!message.contains("hidden"), "{message}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = open("s3://b/prefix", &format!("http://127.0.0.1:{port}"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, BucketError::Unreachable { .. }) && error.may_retry(),
        "{error}"
    );
    assert!(
        error.to_string().contains("s3://b/prefix") && error.to_string().contains("AWS_ENDPOINT_URL"),
        "{error}"
    );
}

#[tokio::test]
async fn a_create_is_conditional_and_below_the_prefix() {
    let server = Server::start(|head| {
        if head.starts_with("get") {
            ("200 OK", EMPTY_LISTING)
        } else {
            ("200 OK", "")
        }
    })
    .await;
    let bucket = server.open("s3://b/some/prefix/").await.unwrap();
    assert_eq!(bucket.url(), "s3://b/some/prefix");
    assert_eq!(
        bucket.create("models/m/1.json", "content".into()).await.unwrap(),
        Created::New
    );
    let requests = server.requests.lock().unwrap();
    let put = requests.iter().find(|head| head.starts_with("put")).unwrap();
    assert!(put.starts_with("put /b/some/prefix/models/m/1.json"), "{put}");
    assert!(put.contains("if-none-match: *"), "{put}");
}

#[tokio::test]
async fn both_answers_of_a_lost_race_mean_that_it_exists() {
    let answers: [Answer; 2] = [
        |head| match &head[..3] {
            "put" => (
                "412 Precondition Failed",
                "<Error><Code>PreconditionFailed</Code></Error>",
            ),
            "hea" => ("200 OK", ""),
            _ => ("200 OK", EMPTY_LISTING),
        },
        |head| match &head[..3] {
            "put" => ("409 Conflict", "<Error><Code>ConditionalRequestConflict</Code></Error>"),
            "hea" => ("200 OK", ""),
            _ => ("200 OK", EMPTY_LISTING),
        },
    ];
    for answer in answers {
        let bucket = Server::start(answer).await.open("s3://b").await.unwrap();
        assert_eq!(
            bucket.create("models/m/1.json", "content".into()).await.unwrap(),
            Created::Exists
        );
    }
}

#[tokio::test]
async fn a_missing_object_is_none_but_a_bucket_that_went_away_is_an_error() {
    let answers: [Answer; 2] = [
        |head| {
            if head.contains("list-type") {
                ("200 OK", EMPTY_LISTING)
            } else {
                ("404 Not Found", "<Code>NoSuchKey</Code>")
            }
        },
        |head| {
            if head.contains("list-type") {
                ("200 OK", EMPTY_LISTING)
            } else {
                ("404 Not Found", "<Code>NoSuchBucket</Code>")
            }
        },
    ];
    let bucket = Server::start(answers[0]).await.open("s3://b").await.unwrap();
    assert_eq!(bucket.get("models/m/1.json").await.unwrap(), None);
    let bucket = Server::start(answers[1]).await.open("s3://b").await.unwrap();
    assert!(matches!(
        bucket.get("models/m/1.json").await.unwrap_err(),
        BucketError::BucketMissing { .. }
    ));
}

#[tokio::test]
async fn an_object_outside_is_told_apart_by_its_tag_and_not_read() {
    let server = Server::start(|head| match head {
        head if head.contains("missing.csv") => ("404 Not Found", ""),
        _ => ("200 OK", ""),
    })
    .await;
    let options = [
        ("AWS_ENDPOINT_URL", server.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let found = outside::look("s3://b/some/a.csv", &options).await.unwrap().unwrap();
    assert_eq!(found.etag.as_deref(), Some("\"e\""));
    assert_eq!(found.modified.to_string(), "2026-11-20T04:00:00Z");
    assert_eq!(outside::look("s3://b/missing.csv", &options).await.unwrap(), None);
    let requests = server.requests.lock().unwrap().clone();
    assert!(requests.iter().all(|head| head.starts_with("head /b/")), "{requests:?}");
    for wrong in ["s3://b", "s3:///a.csv", "a.csv"] {
        let message = outside::look(wrong, &options).await.unwrap_err().to_string();
        assert!(message.contains("names no object"), "{message}");
    }
}
