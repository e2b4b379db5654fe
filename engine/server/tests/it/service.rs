//! A service on a free port over a home of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratchet_core::plugin::{Isolation, Outputs, Plugin, Port, Registry, TaskContext, TaskError};
use ratchet_runtime::{Engine, EngineOptions};
use ratchet_server::{Server, ServerOptions};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Does nothing.
pub struct Nothing;

/// No configuration.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingConfig {}

#[async_trait::async_trait]
impl Plugin for Nothing {
    type Config = NothingConfig;
    const NAME: &'static str = "test.nothing";
    const SUMMARY: &'static str = "Does nothing.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    async fn run(_config: NothingConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        Ok(Outputs::default())
    }
}

/// A running service.
pub struct Service {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), ratchet_server::ServerError>>,
}

impl Service {
    /// Starts one over `home`, whose `dags` directory holds the DAG files.
    pub async fn start(home: &Path) -> Self {
        let mut registry = Registry::default();
        registry.add::<Nothing>();
        let registry = Arc::new(registry);
        let options = EngineOptions {
            home: home.to_owned(),
            bucket_url: home.join("bucket").to_string_lossy().into_owned(),
            working_directory: home.to_owned(),
            worker: std::env::current_exe().unwrap(),
            slots: 2,
            registry: registry.clone(),
        };
        let engine = Engine::open(options).await.unwrap();
        std::fs::create_dir_all(home.join("dags")).unwrap();
        let options = ServerOptions {
            engine,
            registry,
            dag_directory: home.join("dags"),
            home: home.to_owned(),
        };
        let server = Server::bind(options, SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        Self {
            address,
            stop,
            task: tokio::spawn(server.run(stopped)),
        }
    }

    /// Status, content type and text of an answer.
    pub async fn get(&self, path: &str) -> (u16, String, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client
            .get(format!("http://{}{path}", self.address))
            .send()
            .await
            .unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.text().await.unwrap())
    }

    /// The JSON of a successful answer.
    pub async fn json(&self, path: &str) -> Value {
        let (status, kind, text) = self.get(path).await;
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Asks until the answer is as wanted.
    pub async fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.json(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{path} stays {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops it as a signal would.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }
}
