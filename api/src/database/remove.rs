//! `DELETE /database/{collection}`: takes rows away, by their key or by any other field.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use jiff::Timestamp;
use ratchet_identity::Act;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::check::Checked;
use super::choose::Choice;
use super::read::{Pairs, parsed, piece};
use crate::access::caller;
use crate::problem::Problem;
use crate::record::logs::moment;
use crate::record::store::{DeadRecord, Store, StoreError};
use crate::service::Application;

/// What was taken away.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedRows {
    /// Rows for which all filters hold.
    matched: u64,
    /// Rows that went.
    deleted: u64,
}

/// Takes away the rows for which all filters hold. With `dry_run=true` it only counts them.
#[utoipa::path(
    delete, path = "/database/{collection}", tag = "database", operation_id = "database_remove",
    params(
        ("collection" = String, Path, description = "Name of the collection"),
        ("filter" = Option<Vec<String>>, Query, description = "A field, one of = != < <= > >=, and a value, such as `id=7`; several have to hold all"),
        ("all" = Option<bool>, Query, description = "Has to be true where no filter is given"),
        ("dry_run" = Option<bool>, Query, description = "Whether the rows are only counted"),
    ),
    responses(
        (status = 200, description = "How many there were, and how many went", body = RemovedRows),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The query holds something that is not understood, or no filter", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn remove(
    State(application): State<Arc<Application>>,
    Path(name): Path<String>,
    pairs: Pairs,
    request: Request,
) -> Result<Json<RemovedRows>, Problem> {
    let caller = caller::required(request.extensions())?;
    let unknown = || {
        Problem::bad_parameter(
            "the query may hold filter, any number of times, and all and dry_run, which are true or false",
        )
    };
    let Query(pairs) = pairs.map_err(|_| unknown())?;
    let (mut filters, mut all, mut dry_run) = (Vec::new(), false, false);
    for (key, value) in pairs {
        let flag = value.parse().map_err(|_| unknown());
        match key.as_str() {
            "filter" => filters.push(value),
            "all" => all = flag?,
            "dry_run" => dry_run = flag?,
            _ => return Err(unknown()),
        }
    }
    let checked = application.collections.get(&name).await?;
    let choice = Choice::read(&filters, &checked)?;
    if choice.is_empty() && !all {
        return Err(Problem::bad_parameter(
            "nothing says which rows are meant; add filter=FIELD=VALUE, or all=true for every row",
        ));
    }
    let failed = |error| Problem::of_record(&error);
    let store = application.keeper.store().await.map_err(failed)?;
    if dry_run {
        let matched = walk(&store, &checked, &choice, None).await.map_err(failed)?.0;
        return Ok(Json(RemovedRows { matched, deleted: 0 }));
    }
    let identity = application.identity.acting(caller.actor());
    let written = identity.audit(&Act::asked("database.delete", &name)).await;
    written.map_err(|error| {
        tracing::error!(%error, "the audit log cannot be written");
        Problem::users_unavailable()
    })?;
    // A client that leaves does not end it halfway.
    let removed = tokio::spawn(async move {
        let removed = walk(&store, &checked, &choice, Some(Timestamp::now())).await;
        let outcome = match &removed {
            Ok((_, deleted)) => format!("done: {deleted} rows"),
            Err(_) => "broken off".to_owned(),
        };
        let said = Act::with_outcome("database.delete", &name, outcome);
        if let Err(error) = identity.audit(&said).await {
            tracing::error!(%error, "the outcome is missing in the audit log");
        }
        removed
    });
    let removed = removed.await.map_err(|error| {
        tracing::error!(%error, "deleting rows broke off");
        Problem::internal()
    })?;
    let (matched, deleted) = removed.map_err(failed)?;
    Ok(Json(RemovedRows { matched, deleted }))
}

/// Counts the rows that are meant and, from `at` on, takes them away, a piece at a time.
async fn walk(
    store: &Store,
    checked: &Checked,
    choice: &Choice,
    at: Option<Timestamp>,
) -> Result<(u64, u64), StoreError> {
    let collection = &checked.collection;
    let (mut matched, mut deleted, mut after) = (0, 0, String::new());
    loop {
        let records = piece(store, &collection.name, &after).await?;
        let Some(last) = records.last() else {
            return Ok((matched, deleted));
        };
        after = last.key.clone();
        let mut dead = Vec::new();
        for record in records {
            let row = parsed(&record);
            if !choice.takes(&row) {
                continue;
            }
            matched += 1;
            if let Some(at) = at {
                let line = json!({"delete": collection.key_fields(&row), "at": moment(at.as_millisecond())});
                dead.push(DeadRecord {
                    key: record.key,
                    content: record.content,
                    line: line.to_string(),
                });
            }
        }
        if let (Some(at), false) = (at, dead.is_empty()) {
            deleted += store.drop_records(&collection.name, &dead, at.as_millisecond()).await?;
        }
    }
}
