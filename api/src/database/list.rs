//! `GET /database`: which collections there are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::service::Application;

/// All record collections.
#[derive(Debug, Serialize, ToSchema)]
pub struct CollectionList {
    /// By name.
    collections: Vec<ListedCollection>,
}

/// A record collection.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedCollection {
    /// Name of the collection.
    #[schema(example = "deliveries")]
    name: String,
    /// Fields that tell rows apart.
    key: Vec<String>,
    /// JSON Schema of a row.
    #[schema(value_type = Object)]
    schema: Value,
    /// How many rows there are.
    rows: i64,
}

/// The record collections, what their rows are and how many there are.
#[utoipa::path(
    get, path = "/database", tag = "database", operation_id = "database",
    responses(
        (status = 200, description = "All collections", body = CollectionList),
    )
)]
pub async fn list(State(application): State<Arc<Application>>) -> Result<Json<CollectionList>, Problem> {
    let collections = application.collections.list().await;
    let collections = collections.map_err(|error| Problem::bucket_unavailable(&error))?;
    let failed = |error| Problem::of_record(&error);
    let store = application.keeper.store().await.map_err(failed)?;
    let counts = store.record_counts().await.map_err(failed)?;
    let listed = collections.into_iter().map(|collection| ListedCollection {
        rows: counts.get(&collection.name).copied().unwrap_or(0),
        name: collection.name,
        key: collection.key,
        schema: collection.schema,
    });
    Ok(Json(CollectionList {
        collections: listed.collect(),
    }))
}
