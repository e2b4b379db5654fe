//! A service in process, and what tests do to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use ratchet_api::{Options, Service};
use ratchet_artifacts::lookups::{self, NewLookup};
use ratchet_artifacts::models::{self, NewModel};
use ratchet_artifacts::{
    Bucket, Expected, Lineage, LookupManifest, ModelManifest, NewPromotion, NewRouting, PromotionLog,
};
use ratchet_identity::{Identity, Role};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub struct Server {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    pub token: String,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

/// A home with a bucket in it and the user `ada`.
pub struct House {
    pub home: tempfile::TempDir,
    pub bucket: Bucket,
    pub identity: Identity,
}

pub const PASSWORD: &str = "correct horse";

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

impl House {
    pub async fn new() -> House {
        let home = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(home.path().join("bucket").to_str().unwrap())
            .await
            .unwrap();
        House::over(home, bucket).await
    }

    pub async fn over(home: tempfile::TempDir, bucket: Bucket) -> House {
        let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
        identity.add_user("ada", PASSWORD, Role::User).await.unwrap();
        House { home, bucket, identity }
    }

    pub fn options(&self) -> Options {
        Options {
            listen: "127.0.0.1:0".to_owned(),
            store: None,
            home: self.home.path().to_owned(),
            memory_limit: None,
            administrator: None,
            default_model: None,
            ..Options::default()
        }
    }

    /// Registers a bundle as the model's next version.
    pub async fn register(&self, name: &str, bytes: Vec<u8>) -> ModelManifest {
        let bundle = self.bucket.put_blob(Bytes::from(bytes)).await.unwrap();
        let model = NewModel {
            name: name.to_owned(),
            bundle,
            metrics: BTreeMap::new(),
            rows: BTreeMap::new(),
            parameters: json!({}),
            report: json!({}),
            lineage: Lineage::default(),
            key: uuid::Uuid::now_v7().to_string(),
        };
        models::register(&self.bucket, model).await.unwrap()
    }

    /// Publishes the next version of a lookup.
    pub async fn publish(&self, name: &str, content: Vec<u8>) -> LookupManifest {
        let lookup = NewLookup {
            name: name.to_owned(),
            content: self.bucket.put_blob(Bytes::from(content)).await.unwrap(),
            rows: 1,
            found_by: Vec::new(),
            time: None,
            columns: Vec::new(),
            lineage: Lineage::default(),
            key: uuid::Uuid::now_v7().to_string(),
        };
        lookups::register(&self.bucket, lookup).await.unwrap()
    }

    pub async fn promote(&self, manifest: &ModelManifest) -> u64 {
        self.promote_to(manifest, "champion").await
    }

    pub async fn promote_to(&self, manifest: &ModelManifest, alias: &str) -> u64 {
        let promotion = NewPromotion {
            model: manifest.name.clone(),
            version: manifest.version,
            digest: manifest.bundle.sha256.clone(),
            alias: alias.to_owned(),
            expected: Expected::Any,
            actor: "test".to_owned(),
            reason: "test".to_owned(),
            comparison: Value::Null,
            key: uuid::Uuid::now_v7().to_string(),
            attended: true,
        };
        PromotionLog::new(self.bucket.clone())
            .promote(promotion)
            .await
            .unwrap()
            .entry
            .number
    }

    /// Spreads requests, such as `[("champion", 90), ("challenger", 10)]`.
    pub async fn route(&self, name: &str, shares: &[(&str, u32)], shadows: &[&str]) {
        self.route_by(name, shares, shadows, None).await;
    }

    /// The same, with a field that requests stick to.
    pub async fn route_by(&self, name: &str, shares: &[(&str, u32)], shadows: &[&str], sticky: Option<&str>) {
        let routing = NewRouting {
            model: name.to_owned(),
            shares: shares
                .iter()
                .map(|(alias, share)| ((*alias).to_owned(), *share))
                .collect(),
            shadows: shadows.iter().map(|alias| (*alias).to_owned()).collect(),
            sticky: sticky.map(str::to_owned),
            actor: "test".to_owned(),
            reason: "test".to_owned(),
            key: uuid::Uuid::now_v7().to_string(),
        };
        PromotionLog::new(self.bucket.clone()).route(&routing).await.unwrap();
    }

    pub async fn rollback(&self, name: &str) {
        let log = PromotionLog::new(self.bucket.clone());
        let key = uuid::Uuid::now_v7().to_string();
        log.rollback(name, "champion", "test", "test", &key).await.unwrap();
    }

    /// Registers and promotes.
    pub async fn release(&self, name: &str, bytes: Vec<u8>) -> ModelManifest {
        let manifest = self.register(name, bytes).await;
        self.promote(&manifest).await;
        manifest
    }

    pub async fn serve(&self) -> Server {
        self.serve_with(self.options()).await
    }

    pub async fn serve_with(&self, options: Options) -> Server {
        let service = Service::start_with(self.identity.clone(), self.bucket.clone(), &options)
            .await
            .unwrap();
        let user = self
            .identity
            .list()
            .await
            .unwrap()
            .into_iter()
            .find(|user| user.username == "ada")
            .unwrap();
        let token = self.identity.issue_token(&user).unwrap().token;
        let address = service.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.await;
            };
            service.run(stop).await.unwrap();
        });
        Server {
            address,
            client: client(),
            token,
            stop: Some(stop),
            running,
        }
    }
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn text(&self, path: &str) -> String {
        self.client
            .get(self.url(path))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// As somebody else than `ada`.
    pub async fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self
            .client
            .request(method.parse().unwrap(), self.url(path))
            .bearer_auth(token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(self.url(path)).bearer_auth(&self.token).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Polls `/health` until `holds`.
    pub async fn wait_for(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let mut health = Value::Null;
        for _ in 0..600 {
            health = self.get("/health").await.1;
            if holds(&health) {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("health never got there: {health:#}");
    }

    pub async fn wait_until_settled(&self) -> Value {
        self.wait_for(|health| health["status"] != "starting").await
    }

    pub async fn wait_for_version(&self, name: &str, version: u64) -> Value {
        self.wait_for(|health| model(health, name)["served"]["version"] == version)
            .await
    }

    pub async fn stop(mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        self.running.await.unwrap();
    }
}

/// The entry of a model in `/health` or `/models`.
pub fn model<'a>(document: &'a Value, name: &str) -> &'a Value {
    let models = document["models"].as_array().unwrap();
    models
        .iter()
        .find(|model| model["name"] == name)
        .unwrap_or(&Value::Null)
}

pub fn row(easting: f64) -> Value {
    json!({"easting": easting, "station": "Soho", "called_at": "1970-01-01 00:30:00"})
}
