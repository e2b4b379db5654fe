//! The part of MLflow's REST that is needed.

use std::time::Duration;

use bytes::Bytes;
use ratchet_artifacts::{BucketError, web};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

use crate::http;

/// The server's address; MLflow's own name for it.
const ADDRESS: &str = "MLFLOW_TRACKING_URI";
const TOKEN: &str = "MLFLOW_TRACKING_TOKEN";
const USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
const PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";

/// How long one request may take; a bundle is some megabytes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Most of each kind that the server takes at once.
const METRICS: usize = 1000;
const PARAMETERS: usize = 100;

/// Why the server was not told.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The failure, with its remedy if there is one. It holds no password.
    pub message: String,
    /// True if another try may help.
    pub may_pass: bool,
    code: String,
}

impl Problem {
    pub fn lasting(message: String) -> Self {
        Self {
            message,
            may_pass: false,
            code: String::new(),
        }
    }

    pub fn passing(message: String) -> Self {
        Self {
            may_pass: true,
            ..Self::lasting(message)
        }
    }

    pub fn of_bucket(error: BucketError) -> Self {
        Self {
            may_pass: error.may_retry(),
            ..Self::lasting(error.to_string())
        }
    }

    /// True if the server said so by this word.
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }
}

/// True if a server is named.
pub fn is_wanted() -> bool {
    variable(ADDRESS).is_some()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Who asks.
enum Credentials {
    Nobody,
    Token(String),
    User(String, Option<String>),
}

/// A server.
pub struct Client {
    http: reqwest::Client,
    address: Url,
    credentials: Credentials,
}

impl Client {
    /// The server that the environment names, as MLflow's own client reads it.
    pub fn from_environment() -> Result<Self, Problem> {
        let text = variable(ADDRESS).ok_or_else(|| {
            Problem::lasting(format!(
                "no MLflow server is named; set {ADDRESS}, such as http://127.0.0.1:5000"
            ))
        })?;
        let address: Url = Some(text.trim_end_matches('/'))
            .and_then(|text| text.parse().ok())
            .filter(|address: &Url| matches!(address.scheme(), "http" | "https"))
            .ok_or_else(|| {
                Problem::lasting(format!(
                    "{ADDRESS} begins with neither https:// nor http://; name a server, not a directory"
                ))
            })?;
        let credentials = match (variable(TOKEN), variable(USERNAME)) {
            (Some(token), _) => Credentials::Token(token),
            (None, Some(user)) => Credentials::User(user, variable(PASSWORD)),
            (None, None) => Credentials::Nobody,
        };
        let http = web::client(&address).timeout(TIMEOUT).build();
        let http =
            http.map_err(|error| Problem::lasting(format!("no connection can be made: {}", error.without_url())))?;
        Ok(Self {
            http,
            address,
            credentials,
        })
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Problem> {
        let mut address = self.address(&format!("/api/2.0/mlflow/{path}"));
        address.query_pairs_mut().extend_pairs(query);
        self.send(self.http.request(Method::GET, address)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Problem> {
        let address = self.address(&format!("/api/2.0/mlflow/{path}"));
        self.send(self.http.request(Method::POST, address).json(body)).await
    }

    /// Parameters, points of metrics and tags of a run, as many at once as the server takes.
    pub async fn log(&self, run: &str, parameters: &[Value], metrics: &[Value], tags: &[Value]) -> Result<(), Problem> {
        let mut parameters = parameters.chunks(PARAMETERS);
        let mut metrics = metrics.chunks(METRICS - 2 * PARAMETERS);
        let mut tags = tags.chunks(PARAMETERS);
        loop {
            let (some, points, marks) = (parameters.next(), metrics.next(), tags.next());
            if some.is_none() && points.is_none() && marks.is_none() {
                return Ok(());
            }
            let batch = json!({
                "run_id": run, "params": some.unwrap_or_default(), "metrics": points.unwrap_or_default(),
                "tags": marks.unwrap_or_default(),
            });
            self.post("runs/log-batch", &batch).await?;
        }
    }

    /// Stores an artifact of a run. A server that does not pass artifacts on itself has them elsewhere, where only its own
    /// clients get with credentials that Ratchet does not have: that is said once in the log and is no failure.
    pub async fn put(&self, artifacts: &str, path: &str, content: Bytes) -> Result<(), Problem> {
        let Some(root) = artifacts.strip_prefix("mlflow-artifacts:") else {
            tracing::warn!(
                "MLflow gets no artifact `{path}`: it keeps them at {artifacts}; start it with --serve-artifacts"
            );
            return Ok(());
        };
        // `mlflow-artifacts:/1/...` or `mlflow-artifacts://host:port/1/...`
        let root = match root.strip_prefix("//") {
            Some(rest) => rest.split_once('/').map_or("", |(_, root)| root),
            None => root.trim_start_matches('/'),
        };
        let address = self.address(&format!("/api/2.0/mlflow-artifacts/artifacts/{root}/{path}"));
        let request = self.http.request(Method::PUT, address).body(content);
        self.send(request).await.map(drop)
    }

    pub async fn end(&self, run: &str, mut how: Value) -> Result<(), Problem> {
        how["run_id"] = json!(run);
        self.post("runs/update", &how).await.map(drop)
    }

    /// Where people look at a run.
    pub fn page(&self, experiment: &str, run: &str) -> String {
        let mut address = self.address.clone();
        // An address without a host has neither.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        let address = address.as_str().trim_end_matches('/');
        format!("{address}/#/experiments/{experiment}/runs/{run}")
    }

    fn address(&self, path: &str) -> Url {
        let mut address = self.address.clone();
        let path = format!("{}{path}", address.path().trim_end_matches('/'));
        address.set_path(&path);
        address
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Problem> {
        let request = match &self.credentials {
            Credentials::Nobody => request,
            Credentials::Token(token) => request.bearer_auth(token),
            Credentials::User(user, password) => request.basic_auth(user, password.as_ref()),
        };
        let answer = request
            .send()
            .await
            .map_err(|error| Problem::passing(http::described(error)))?;
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .map_err(|error| Problem::passing(http::described(error)))?;
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(json);
        }
        let said = json["message"].as_str().unwrap_or_default();
        let remedy = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("; check {TOKEN}, or {USERNAME} and {PASSWORD}")
            }
            _ => String::new(),
        };
        Err(Problem {
            message: format!("it answered {status}: {said}{remedy}"),
            may_pass: http::may_pass(status),
            code: json["error_code"].as_str().unwrap_or_default().to_owned(),
        })
    }
}
