//! `GET /health`: whether what was promoted is what answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::load::Problem;
use crate::models::lookups::LookupVersion;
use crate::models::registry::{Beside, CHAMPION, Model, Snapshot, Version};
use crate::service::Application;

/// The service in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every promoted model answers with the promoted version, or none was promoted yet.
    Ok,
    /// Every promoted model answers, but some with an earlier version or without one of its aliases, or the promotion log or a lookup
    /// cannot be read, or an administrator took a model out of service.
    Degraded,
    /// Some promoted model has no version to answer with.
    Unavailable,
    /// The models that were promoted before the start are still loading.
    Starting,
}

/// The service's health.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// In a word.
    pub status: Status,
    /// Promoted models by name.
    pub models: Vec<ModelHealth>,
    /// Lookups that these read; not there if they read none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<LookupHealth>,
    /// The promotion log.
    pub log: LogHealth,
}

/// A lookup's health.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookupHealth {
    /// The newest version that can be read.
    #[serde(flatten)]
    pub version: LookupVersion,
    /// Why a newer one cannot be used, or why some model does not use this one: a word and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureHealth>,
}

/// A promoted model's health.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelHealth {
    /// Name of the model.
    pub name: String,
    /// Alias that is answered for.
    pub alias: &'static str,
    /// What the promotion log says.
    pub promoted: Version,
    /// What answers here; null while nothing does.
    pub served: Option<Version>,
    /// `ok`: the promoted version answers; `loading`: it is under way; `failed`: it was refused;
    /// `unloaded`: an administrator took it out of service here.
    pub state: &'static str,
    /// Why the promoted version was refused: a word (as in the metrics) and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureHealth>,
    /// The other aliases that answer a share, or run as shadows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<AliasHealth>,
}

/// The health of an alias beside the champion, which answers its share until it does.
#[derive(Debug, Serialize, ToSchema)]
pub struct AliasHealth {
    /// Its name.
    pub alias: String,
    /// What the promotion log says.
    pub promoted: Version,
    /// What answers here; null while nothing does.
    pub served: Option<Version>,
    /// Why the promoted version was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureHealth>,
}

impl AliasHealth {
    fn of(beside: &Beside) -> AliasHealth {
        AliasHealth {
            alias: beside.alias.clone(),
            promoted: beside.promoted.clone(),
            served: beside.served.as_ref().map(|served| served.version.clone()),
            reason: beside.problem.as_ref().map(FailureHealth::of),
        }
    }
}

/// Why a version was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureHealth {
    /// For programs.
    #[schema(example = "golden_rows")]
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl FailureHealth {
    fn of(problem: &Problem) -> FailureHealth {
        FailureHealth {
            code: problem.reason.as_str(),
            message: problem.message.clone(),
        }
    }
}

/// The promotion log as this replica knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogHealth {
    /// Number of the newest entry seen; 0 before the first.
    pub position: u64,
    /// Whether the last look succeeded.
    pub reachable: bool,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Health {
    /// The health that a snapshot shows.
    pub fn of(snapshot: &Snapshot) -> Health {
        let failed = |model: &Model| !model.is_current() && model.problem.is_some();
        let lame = |model: &Model| model.beside.iter().any(|beside| beside.problem.is_some());
        let status = if snapshot.starting {
            Status::Starting
        } else if snapshot
            .models
            .values()
            .any(|model| model.served.is_none() && !model.set_aside)
        {
            Status::Unavailable
        } else if snapshot
            .models
            .values()
            .any(|model| failed(model) || lame(model) || model.set_aside)
            || snapshot.lookups.values().any(|lookup| lookup.problem.is_some())
            || snapshot.log_problem.is_some()
        {
            Status::Degraded
        } else {
            Status::Ok
        };
        let models = snapshot.models.iter().map(|(name, model)| ModelHealth {
            name: name.clone(),
            alias: CHAMPION,
            promoted: model.promoted.clone(),
            served: model.served.as_ref().map(|served| served.version.clone()),
            state: match model {
                model if model.is_current() => "ok",
                model if model.set_aside => "unloaded",
                model if failed(model) => "failed",
                _ => "loading",
            },
            reason: model.problem.as_ref().map(FailureHealth::of),
            beside: model.beside.iter().map(AliasHealth::of).collect(),
        });
        let lookups = snapshot.lookups.values().map(|lookup| LookupHealth {
            version: lookup.newest.version.clone(),
            reason: lookup.problem.as_ref().map(FailureHealth::of),
        });
        let log = LogHealth {
            position: snapshot.position,
            reachable: snapshot.log_problem.is_none(),
            reason: snapshot.log_problem.clone(),
        };
        Health {
            status,
            models: models.collect(),
            lookups: lookups.collect(),
            log,
        }
    }

    /// 200 while every promoted model answers with some version: one bad promotion must not take a whole fleet out of service.
    pub fn http_status(&self) -> StatusCode {
        match self.status {
            Status::Ok | Status::Degraded => StatusCode::OK,
            Status::Unavailable | Status::Starting => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Whether every promoted model answers. Needs no token.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operation",
    operation_id = "health",
    responses(
        (status = 200, description = "Every promoted model answers (`ok`), perhaps with an earlier version (`degraded`)", body = Health),
        (status = 503, description = "Some promoted model does not answer (`unavailable`), or not yet (`starting`)", body = Health),
    )
)]
pub async fn health(State(application): State<Arc<Application>>) -> Response {
    let health = Health::of(&application.models.current());
    (health.http_status(), Json(health)).into_response()
}
