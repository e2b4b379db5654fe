//! `GET /database/{collection}`: rows, page by page.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::choose::Choice;
use crate::problem::Problem;
use crate::record::logs::moment;
use crate::record::store::{KeptRecord, Store, StoreError};
use crate::service::Application;

/// Rows of a page, and the most of them.
const USUAL: usize = 100;
const MOST: usize = 1000;
/// Rows read at once.
const PAGE: i64 = 1000;
/// Rows that one request looks at, so that its answer comes soon.
const LOOKED_AT: usize = 100_000;

/// The pairs of a query; a name may stand there several times.
pub(super) type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A page of rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordPage {
    /// In the order of their keys.
    rows: Vec<KeptRow>,
    /// `after` of the next page; null if this is the last.
    next: Option<String>,
}

/// A row of a collection.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptRow {
    /// The row as it was sent.
    #[schema(value_type = Object)]
    row: Map<String, Value>,
    /// When it came.
    #[schema(example = "2017-04-01T09:30:00.250Z")]
    at: String,
    /// Who sent it.
    by: String,
}

/// A row as the database has it, read.
pub(super) fn parsed(record: &KeptRecord) -> Map<String, Value> {
    // What was written as JSON can be read as such.
    serde_json::from_str(&record.content).unwrap_or_default()
}

/// Walks over a collection in pieces, from the key after `after`.
pub(super) async fn piece(store: &Store, collection: &str, after: &str) -> Result<Vec<KeptRecord>, StoreError> {
    store.records(collection, after, PAGE).await
}

/// The rows of a collection for which all filters hold.
#[utoipa::path(
    get, path = "/database/{collection}", tag = "database", operation_id = "database_rows",
    params(
        ("collection" = String, Path, description = "Name of the collection"),
        ("filter" = Option<Vec<String>>, Query, description = "A field, one of = != < <= > >=, and a value, such as `minutes>=30`; several have to hold all"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many rows, from 1 to 1,000; 100 if left out"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page. It may hold fewer rows than asked for, or none, and still have a next one", body = RecordPage),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The query holds something that is not understood", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn read(
    State(application): State<Arc<Application>>,
    Path(name): Path<String>,
    pairs: Pairs,
) -> Result<Json<RecordPage>, Problem> {
    let unknown = || Problem::bad_parameter("the query may hold filter, any number of times, limit and after");
    let Query(pairs) = pairs.map_err(|_| unknown())?;
    let (mut filters, mut limit, mut after) = (Vec::new(), USUAL, String::new());
    for (key, value) in pairs {
        match key.as_str() {
            "filter" => filters.push(value),
            "limit" => limit = value.parse().unwrap_or(0),
            "after" if !value.contains('\0') => after = value,
            _ => return Err(unknown()),
        }
    }
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_parameter("the query's `limit` is a number from 1 to 1000"));
    }
    let checked = application.collections.get(&name).await?;
    let choice = Choice::read(&filters, &checked)?;
    let failed = |error| Problem::of_record(&error);
    let store = application.keeper.store().await.map_err(failed)?;
    let mut rows = Vec::new();
    let mut looked_at = 0;
    loop {
        let records = piece(&store, &name, &after).await.map_err(failed)?;
        let last = (records.len() as i64) < PAGE;
        for record in records {
            if rows.len() == limit || looked_at == LOOKED_AT {
                return Ok(Json(RecordPage {
                    rows,
                    next: Some(after),
                }));
            }
            looked_at += 1;
            let row = parsed(&record);
            if choice.takes(&row) {
                let at = moment(record.at);
                rows.push(KeptRow {
                    row,
                    at,
                    by: record.caller,
                });
            }
            after = record.key;
        }
        if last {
            return Ok(Json(RecordPage { rows, next: None }));
        }
    }
}
