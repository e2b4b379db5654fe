//! Predictions over HTTP, from whatever was promoted last.
//!
//! A replica needs the bucket and a home for its users, and nothing else: no engine, no DAG, no table library. It reads the bucket's
//! promotion log when it starts and asks for the next entry about each second ([`models::watch`]). A promoted bundle is fetched,
//! verified and warmed up beside the one that serves, on a thread of its own ([`models::load`]), and takes over by the swap of one
//! pointer ([`models::registry`]). A request takes that pointer once, so that it is answered by exactly one version, and names it. A
//! bundle that fails any check changes nothing but `/health`, a counter and the log.
//!
//! | path | answers |
//! |---|---|
//! | `POST /token` | a bearer token for a name and a password, or for a refresh token ([`access::token`]) |
//! | `POST /register`, `/user` | users come and go ([`access::users`]) |
//! | `POST` on a model's declared route, `POST /predict/{model}` | predictions for a row, a list of rows, or a stream of rows ([`predict`]) |
//! | `POST /predict` | the same from the default model, or the only one |
//! | `/v2/...` | the Open Inference Protocol, for the clients of other servers ([`open_inference`]) |
//! | `GET /logs/{limit}`, `POST /feedback`, `GET /accuracy` | what was asked, what was true, how good the answers were ([`record`]) |
//! | `/database/...` | rows for the next training, which people and programs add and delete ([`database`]) |
//! | `/retrain/...`, `/evaluate`, `GET /metrics` | what published systems answer there; the first two ask the engine ([`published`]) |
//! | `GET /models` | what is promoted and what is served ([`models::list`]) |
//! | `GET /health` | whether that is as it should be ([`health`]) |
//! | `GET /metrics/prometheus` | counters and durations ([`telemetry`]) |
//! | `GET /openapi.json` | all of this, with each served model's fields ([`openapi`]) |
//! | `GET /docs/` | the same as a page to try it out ([`docs`]) |
//!
//! Who may use a route stands in one table ([`access::rules`]). Every error is an `application/problem+json` document ([`problem`]), except at `/token`, which speaks OAuth2, and under `/v2`, which
//! has a form of its own. A panic in a handler becomes a 500 of the same form, and no answer begins later than after thirty seconds
//! ([`router`]); a stream ends when its rows do ([`predict::stream`]) or nobody
//! takes its answers any more ([`connection`]).
//!
//! [`Service`] is the whole of it: `start`, `address`, `run` until told to stop.

pub mod access;
pub mod arguments;
pub mod command;
pub mod connection;
pub mod database;
pub mod docs;
pub mod fields;
pub mod headers;
pub mod health;
pub mod models;
pub mod open_inference;
pub mod openapi;
pub mod predict;
pub mod problem;
pub mod published;
pub mod record;
pub mod refusals;
pub mod router;
pub mod service;
pub mod telemetry;

pub use service::{Options, Service, StartError};
