//! `GET /models`: what is promoted and what serves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::lookups::LookupVersion;
use super::registry::{Beside, CHAMPION, Served, Snapshot, Version};
use crate::service::Application;

/// All models that were promoted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// By name.
    pub models: Vec<ListedModel>,
}

/// A model that was promoted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedModel {
    /// Name of the model.
    #[schema(example = "lfb-response-time")]
    pub name: String,
    /// What the model predicts, in its maker's words.
    pub description: Option<String>,
    /// Alias that is answered for.
    #[schema(example = "champion")]
    pub alias: &'static str,
    /// Number of the version that answers; null while none does.
    pub version: Option<u64>,
    /// Digest of the version that answers.
    pub digest: Option<String>,
    /// Path that the model declares; `/predict/{name}` answers as well.
    #[schema(example = "/predict/time_pump")]
    pub route: Option<String>,
    /// True if any row of its training was simulated.
    pub simulated: Option<bool>,
    /// Lookups that it reads, with the versions that it reads now.
    pub lookups: Vec<LookupVersion>,
    /// Fields that a request may hold and that the model does not read: they are checked and logged.
    pub unused_fields: Vec<ListedUnusedField>,
    /// What the promotion log says.
    pub promoted: Version,
    /// What answers here.
    pub served: Option<Version>,
    /// The champion's share of the requests in percent.
    #[schema(example = 100)]
    pub share: u32,
    /// The field by which requests stick to an alias where they are spread; null if only the header `Ratchet-Route-Key` does it.
    pub sticky: Option<String>,
    /// The other aliases that answer a share, or run as shadows.
    pub beside: Vec<ListedAlias>,
}

/// An alias beside the champion.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedAlias {
    /// Its name.
    #[schema(example = "challenger")]
    pub alias: String,
    /// Share of the requests in percent; null for a shadow, whose answers are logged and never given.
    pub share: Option<u32>,
    /// What the promotion log says.
    pub promoted: Version,
    /// What answers here; null while nothing does, and the champion answers its share.
    pub served: Option<Version>,
}

impl ListedAlias {
    fn of(beside: &Beside) -> ListedAlias {
        ListedAlias {
            alias: beside.alias.clone(),
            share: beside.share,
            promoted: beside.promoted.clone(),
            served: beside.served.as_ref().map(|served| served.version.clone()),
        }
    }
}

/// A field that is accepted and that nothing reads.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedUnusedField {
    /// Name.
    #[schema(example = "festival")]
    pub name: String,
    /// Why nothing reads it.
    #[schema(example = "the training table does not have it")]
    pub because: String,
}

impl ModelList {
    fn of(snapshot: &Snapshot) -> ModelList {
        let listed = snapshot.models.iter().map(|(name, model)| {
            let served = model.served.as_ref();
            ListedModel {
                name: name.clone(),
                description: served.map(|served| served.bundle.description().to_owned()),
                alias: CHAMPION,
                version: served.map(|served| served.version.version),
                digest: served.map(|served| served.version.digest.clone()),
                route: served.and_then(|served| served.route.clone()),
                simulated: served.map(|served| served.bundle.simulated()),
                lookups: served.map(|served| served.lookup_versions()).unwrap_or_default(),
                unused_fields: served.map(|served| unused(served)).unwrap_or_default(),
                promoted: model.promoted.clone(),
                served: served.map(|served| served.version.clone()),
                share: model.share(),
                sticky: model.sticky.clone(),
                beside: model.beside.iter().map(ListedAlias::of).collect(),
            }
        });
        ModelList {
            models: listed.collect(),
        }
    }
}

fn unused(served: &Served) -> Vec<ListedUnusedField> {
    let unused = served.bundle.schema().unused.iter().map(|field| ListedUnusedField {
        name: field.name.clone(),
        because: field.because.clone(),
    });
    unused.collect()
}

/// Models that were promoted, and the versions that answer.
#[utoipa::path(
    get,
    path = "/models",
    tag = "models",
    operation_id = "models",
    responses((status = 200, description = "All promoted models", body = ModelList))
)]
pub async fn models(State(application): State<Arc<Application>>) -> Json<ModelList> {
    Json(ModelList::of(&application.models.current()))
}
