//! A service on a free port over a home of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratchet_core::plugin::{Isolation, Outputs, Plugin, Port, Registry, TaskContext, TaskError};
use ratchet_identity::{Audience, Identity, Role, User};
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

/// Says three lines.
struct Talk;

#[async_trait::async_trait]
impl Plugin for Talk {
    type Config = NothingConfig;
    const NAME: &'static str = "test.talk";
    const SUMMARY: &'static str = "Says three lines.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    async fn run(_config: NothingConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        for line in ["one", "two", "three"] {
            context.info(line);
        }
        Ok(Outputs::default())
    }
}

/// Says that it began and how far it is, and goes on until it is cancelled.
struct Linger;

#[async_trait::async_trait]
impl Plugin for Linger {
    type Config = NothingConfig;
    const NAME: &'static str = "test.linger";
    const SUMMARY: &'static str = "Goes on until it is cancelled.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    async fn run(_config: NothingConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        context.info("begun");
        context.progress(0.5, "halfway");
        while !context.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Outputs::default())
    }
}

/// What signs the tokens of these tests.
pub const SECRET: &str = "a secret of the tests, long enough to sign with";

/// A running service.
pub struct Service {
    pub address: SocketAddr,
    pub engine: Engine,
    /// As the engine's REST sees it.
    pub identity: Identity,
    client: reqwest::Client,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), ratchet_server::ServerError>>,
}

impl Service {
    /// Starts one over `home`, whose `dags` directory holds the DAG files.
    pub async fn start(home: &Path) -> Self {
        Self::start_with(home, |_| async {}).await
    }

    /// The same, after something was done to the engine.
    pub async fn start_with<Done: Future<Output = ()>>(home: &Path, before: impl FnOnce(Engine) -> Done) -> Self {
        Self::start_on(home, None, before).await
    }

    /// The same with the metadata at this address.
    pub async fn start_on<Done: Future<Output = ()>>(
        home: &Path,
        database_url: Option<String>,
        before: impl FnOnce(Engine) -> Done,
    ) -> Self {
        let mut registry = Registry::default();
        registry.add::<Nothing>();
        registry.add::<Talk>();
        registry.add::<Linger>();
        let registry = Arc::new(registry);
        let options = EngineOptions {
            home: home.to_owned(),
            database_url,
            bucket_url: home.join("bucket").to_string_lossy().into_owned(),
            signing_key: None,
            replay: None,
            working_directory: home.to_owned(),
            worker: std::env::current_exe().unwrap(),
            slots: 2,
            registry: registry.clone(),
        };
        let engine = Engine::open(options).await.unwrap();
        before(engine.clone()).await;
        std::fs::create_dir_all(home.join("dags")).unwrap();
        let identity = Identity::open_with_secret(home, None, Some(SECRET)).await.unwrap();
        let identity = identity.for_audience(Audience::Engine);
        let options = ServerOptions {
            engine: engine.clone(),
            registry,
            dag_directory: home.join("dags"),
            home: home.to_owned(),
            identity: identity.clone(),
        };
        let server = Server::bind(options, SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            address,
            engine,
            identity,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            stop,
            task: tokio::spawn(server.run(stopped)),
        }
    }

    /// The user of a role, who has its name; added if there is none.
    pub async fn user(&self, role: Role) -> User {
        let known = self.identity.list().await.unwrap();
        match known.into_iter().find(|user| user.username == role.as_str()) {
            Some(user) => user,
            None => match self.identity.add_user(role.as_str(), "correct horse", role).await {
                Ok(user) => user,
                // Another service on the same home was faster.
                Err(_) => {
                    let known = self.identity.list().await.unwrap();
                    known.into_iter().find(|user| user.username == role.as_str()).unwrap()
                }
            },
        }
    }

    /// A token of that user.
    pub async fn token(&self, role: Role) -> String {
        let user = self.user(role).await;
        self.identity.issue_token(&user).unwrap().token
    }

    /// A request without a token.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method: reqwest::Method = method.parse().unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request of a role.
    pub async fn asking(&self, role: Role, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).bearer_auth(self.token(role).await)
    }

    /// Sends JSON as an operator; status and answer.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.asking(Role::Operator, "POST", path).await.json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Status, content type and text of an answer to a user.
    pub async fn get(&self, path: &str) -> (u16, String, String) {
        let response = self.asking(Role::User, "GET", path).await.send().await.unwrap();
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
