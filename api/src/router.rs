//! Paths to handlers, and what surrounds every one of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use futures::FutureExt;

use crate::access::keys::public_keys;
use crate::access::token::{FORM_LIMIT, revoke, token};
use crate::access::{caller, users};
use crate::database;
use crate::health::health;
use crate::models::list::models;
use crate::models::registry::Target;
use crate::open_inference;
use crate::open_inference::routes::shaped;
use crate::openapi::openapi;
use crate::predict::handler::{DEFAULT_PATH, at_path};
use crate::problem::Problem;
use crate::published::{self, config, evaluate, retrain};
use crate::record::{accuracy, feedback, logs};
use crate::service::Application;
use crate::telemetry::metrics;
use crate::{docs, headers};

/// Longest time from a request's headers to the beginning of its answer; a stream may go on for as long as rows come.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How much later the limit around all routes is than those of routes that say more about it.
const LATER: Duration = Duration::from_secs(1);

/// All routes. The paths of models are not among them: they come and go, and arrive at the fallback.
pub fn build(application: Arc<Application>) -> Router {
    let cors = headers::cors(&application.origins);
    let routes = routes(application.clone()).layer(middleware::from_fn_with_state(application.clone(), around));
    // Outermost: a browser asks before it asks, and gets its answer without a token.
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes.layer(middleware::from_fn_with_state(application, headers::harden))
}

fn routes(application: Arc<Application>) -> Router {
    Router::new()
        .route(
            "/token",
            post(token).layer(DefaultBodyLimit::max(FORM_LIMIT)).fallback(post_only),
        )
        .route(
            "/token/revoke",
            post(revoke)
                .layer(DefaultBodyLimit::max(FORM_LIMIT))
                .fallback(post_only),
        )
        .route("/register", post(users::register).fallback(post_only))
        .route(
            "/user",
            get(users::list)
                .post(users::add)
                .delete(users::remove)
                .fallback(|| async { Problem::method_not_allowed("GET, HEAD, POST, DELETE") }),
        )
        .route("/.well-known/jwks.json", get(public_keys).fallback(get_only))
        .route("/logs/{limit}", get(logs::logs).fallback(get_only))
        .route("/feedback", post(feedback::feedback).fallback(post_only))
        .route("/accuracy", get(accuracy::accuracy).fallback(get_only))
        .route("/database", get(database::list::list).fallback(get_only))
        .route(
            "/database/{collection}",
            get(database::read::read)
                .post(database::add::add)
                .delete(database::remove::remove)
                .fallback(|| async { Problem::method_not_allowed("GET, HEAD, POST, DELETE") }),
        )
        .route("/retrain/status", get(retrain::status).fallback(get_only))
        .route("/retrain/trigger", post(retrain::trigger).fallback(post_only))
        .route(
            "/retrain/config",
            get(config::show)
                .post(config::set)
                .fallback(|| async { Problem::method_not_allowed("GET, HEAD, POST") }),
        )
        .route("/retrain/logs/{limit}", get(retrain::logs).fallback(get_only))
        .route("/evaluate", post(evaluate::evaluate).fallback(post_only))
        .route("/evaluate/{run}", get(evaluate::evaluation).fallback(get_only))
        .route("/metrics", get(published::metrics::metrics).fallback(get_only))
        .route("/models", get(models).fallback(get_only))
        .route("/health", get(health).fallback(get_only))
        .route("/metrics/prometheus", get(metrics).fallback(get_only))
        .route("/openapi.json", get(openapi).fallback(get_only))
        .route("/docs", get(docs::without_slash).fallback(get_only))
        .route("/docs/", get(docs::page).fallback(get_only))
        .route("/docs/{*file}", get(docs::file).fallback(get_only))
        .merge(open_inference::routes::routes())
        .route_layer(middleware::from_fn_with_state(application.clone(), caller::guard))
        .fallback(at_path)
        .with_state(application)
}

async fn post_only() -> Problem {
    Problem::method_not_allowed("POST")
}

async fn get_only() -> Problem {
    Problem::method_not_allowed("GET, HEAD")
}

/// Around every request: a panic becomes a 500, nothing takes longer than [`REQUEST_TIMEOUT`], and all of it is counted.
async fn around(State(application): State<Arc<Application>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = label(&application, &request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = match tokio::time::timeout(REQUEST_TIMEOUT + LATER, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(route, message, "a handler panicked");
            shaped(&path, Problem::internal())
        }
        Err(_) => shaped(&path, Problem::timed_out(REQUEST_TIMEOUT.as_secs())),
    };
    let duration = started.elapsed();
    let code = response.status().as_u16();
    application.telemetry.request(&route, code, duration);
    tracing::debug!(%method, route, code, microseconds = duration.as_micros() as u64, "answered");
    response
}

/// What a request counts under: a pattern or a declared route, never the path as it was sent.
fn label(application: &Application, request: &Request) -> String {
    if let Some(matched) = request.extensions().get::<MatchedPath>() {
        return matched.as_str().to_owned();
    }
    let path = request.uri().path();
    if path == DEFAULT_PATH {
        return path.to_owned();
    }
    let snapshot = application.models.current();
    match snapshot.at_path(path) {
        Target::Served(_) if snapshot.routes.contains_key(path) => path.to_owned(),
        Target::Served(_) | Target::NotLoaded => "/predict/{model}".to_owned(),
        Target::PerhapsNotLoaded | Target::Unknown => "other".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use ratchet_artifacts::Bucket;
    use ratchet_identity::Identity;
    use serde_json::Value;

    use super::*;
    use crate::access::options::{AccessOptions, AccessState};
    use crate::database::collections::Collections;
    use crate::models::registry::Models;
    use crate::published::engine::{Engine, EngineOptions};
    use crate::record::{Keeper, Recorder};
    use ratchet_database::Address;

    async fn broken() -> &'static str {
        panic!("secret of the implementation")
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_and_the_connection_stays() {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
        let bucket = Bucket::open(home.path().join("bucket").to_str().unwrap())
            .await
            .unwrap();
        let application = Arc::new(Application {
            identity,
            models: Models::default(),
            telemetry: Arc::default(),
            default_model: None,
            engine: Engine::new(&EngineOptions::default()).unwrap(),
            recorder: Recorder::unkept(),
            collections: Collections::new(bucket),
            keeper: Keeper::idle(Address::file(&home.path().join("api.sqlite"))),
            access: AccessState::new(&AccessOptions::default()),
            origins: Vec::new(),
            encrypted: false,
        });
        let router = Router::new()
            .route("/broken", get(broken))
            .merge(routes(application.clone()));
        let router = router.layer(middleware::from_fn_with_state(application, around));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        for _ in 0..2 {
            let response = client.get(format!("{url}/broken")).send().await.unwrap();
            assert_eq!(response.status(), 500);
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["type"], "urn:ratchet:problem:internal");
            assert!(!problem.to_string().contains("secret"), "{problem}");
        }
        let metrics = client
            .get(format!("{url}/metrics/prometheus"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(
            metrics.contains(r#"ratchet_api_requests_total{route="/broken",code="500"} 2"#),
            "{metrics}"
        );
    }
}
