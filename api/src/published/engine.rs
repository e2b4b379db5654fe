//! The engine, as far as this service asks it: over its REST, with a key of its own.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::problem::Problem;
use crate::service::StartError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the engine is and what it may be asked for.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Address of `ratchet serve`; there is none without.
    pub url: Option<String>,
    /// API key with the role `operator`.
    pub key: Option<String>,
    /// Name of the DAG that retrains; the only one if none is named.
    pub dag: Option<String>,
    /// How long after a run began none is triggered, unless forced.
    pub cooldown: Duration,
}

/// Asks the engine.
#[derive(Debug)]
pub struct Engine {
    reached: Option<Reached>,
    dag: Option<String>,
    /// How long after a run began none is triggered, unless forced.
    pub cooldown: Duration,
}

struct Reached {
    url: String,
    key: String,
    client: reqwest::Client,
}

impl std::fmt::Debug for Reached {
    /// Without the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Reached")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that is asked when somebody asks for it.
    ///
    /// # Errors
    /// [`StartError::Input`] if the address is none or the key is missing.
    pub fn new(options: &EngineOptions) -> Result<Engine, StartError> {
        let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let reached = match named(&options.url) {
            None => None,
            Some(url) => {
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return Err(StartError::Input(
                        "RATCHET_ENGINE_URL is no address of an engine; write it as http://127.0.0.1:8080".to_owned(),
                    ));
                }
                let key = named(&options.key).ok_or_else(|| {
                    StartError::Input(
                        "RATCHET_ENGINE_URL needs RATCHET_ENGINE_KEY; make one with `ratchet keys add api --role operator --only engine`"
                            .to_owned(),
                    )
                })?;
                let client = reqwest::Client::builder()
                    .timeout(PATIENCE)
                    .build()
                    .map_err(|error| StartError::Failed(format!("no client for the engine: {error}")))?;
                Some(Reached {
                    url: url.trim_end_matches('/').to_owned(),
                    key,
                    client,
                })
            }
        };
        Ok(Engine {
            reached,
            dag: named(&options.dag),
            cooldown: options.cooldown,
        })
    }

    /// Name of the DAG that retrains, and what the engine says of it.
    ///
    /// # Errors
    /// 503 if there is no engine, it does not answer, or which DAG is meant is not known.
    pub async fn dag(&self) -> Result<(String, Value), Problem> {
        let listed = self.get("/api/v1/dags").await?;
        let dags = listed["dags"].as_array().cloned().unwrap_or_default();
        let valid: Vec<Value> = dags.into_iter().filter(|dag| dag["name"].is_string()).collect();
        let found = match &self.dag {
            Some(name) => valid.into_iter().find(|dag| dag["name"] == name.as_str()),
            None if valid.len() == 1 => valid.into_iter().next(),
            None => {
                return Err(Problem::no_engine(
                    "the engine has several DAGs or none; RATCHET_RETRAIN_DAG names the one that retrains",
                ));
            }
        };
        let dag =
            found.ok_or_else(|| Problem::no_engine("the engine has no DAG of the name in RATCHET_RETRAIN_DAG"))?;
        Ok((dag["name"].as_str().unwrap_or_default().to_owned(), dag))
    }

    /// The newest runs of a DAG.
    ///
    /// # Errors
    /// 503.
    pub async fn runs(&self, dag: &str, limit: u32) -> Result<Vec<Value>, Problem> {
        let listed = self.get(&format!("/api/v1/runs?dag={dag}&limit={limit}")).await?;
        Ok(listed["runs"].as_array().cloned().unwrap_or_default())
    }

    /// One run with its tasks; none if there is no such run.
    ///
    /// # Errors
    /// 503.
    pub async fn run(&self, id: Uuid) -> Result<Option<Value>, Problem> {
        let (status, run) = self.ask(Method::GET, &format!("/api/v1/runs/{id}"), None).await?;
        match status {
            StatusCode::OK => Ok(Some(run)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(unexpected(status)),
        }
    }

    /// Starts a run.
    ///
    /// # Errors
    /// 422 with the engine's words if it refuses the parameters; 503.
    pub async fn trigger(&self, dag: &str, params: &Value) -> Result<Value, Problem> {
        let body = json!({"params": params});
        let (status, run) = self
            .ask(Method::POST, &format!("/api/v1/dags/{dag}/runs"), Some(&body))
            .await?;
        match status {
            StatusCode::ACCEPTED => Ok(run),
            StatusCode::UNPROCESSABLE_ENTITY => {
                let faults = run["errors"].as_array().cloned().unwrap_or_default();
                let said: Vec<&str> = faults.iter().filter_map(|fault| fault["message"].as_str()).collect();
                Err(Problem::run_refused(&said.join("; ")))
            }
            status => Err(unexpected(status)),
        }
    }

    /// What holds for a DAG: what its file says and what is set beside it.
    ///
    /// # Errors
    /// 503.
    pub async fn config(&self, dag: &str) -> Result<Value, Problem> {
        self.get(&format!("/api/v1/dags/{dag}/config")).await
    }

    /// Sets what shall hold beside a DAG's file.
    ///
    /// # Errors
    /// 422 with the engine's faults; 503.
    pub async fn configure(&self, dag: &str, wanted: &Value) -> Result<Value, Problem> {
        let path = format!("/api/v1/dags/{dag}/config");
        match self.ask(Method::POST, &path, Some(wanted)).await? {
            (StatusCode::OK, config) => Ok(config),
            (StatusCode::UNPROCESSABLE_ENTITY, refused) => Err(Problem::engine_faults(&refused)),
            (status, _) => Err(unexpected(status)),
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Problem> {
        match self.ask(Method::GET, path, None).await? {
            (StatusCode::OK, answer) => Ok(answer),
            (status, _) => Err(unexpected(status)),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value), Problem> {
        let reached = self.reached.as_ref().ok_or_else(|| {
            Problem::no_engine("this service knows no engine; RATCHET_ENGINE_URL and RATCHET_ENGINE_KEY name one")
        })?;
        let mut request = reached
            .client
            .request(method, format!("{}{path}", reached.url))
            .bearer_auth(&reached.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| {
            // The address stands in the error, the key does not; it goes to the log all the same and not to clients.
            tracing::warn!(%error, "the engine does not answer");
            Problem::no_engine("the engine does not answer")
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }
}

fn unexpected(status: StatusCode) -> Problem {
    tracing::warn!(%status, "the engine refuses");
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::no_engine(
            "the engine does not take the key in RATCHET_ENGINE_KEY for this; give it the role operator",
        ),
        _ => Problem::no_engine("the engine cannot do this now; its log says more"),
    }
}
