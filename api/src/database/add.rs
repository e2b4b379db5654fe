//! `POST /database/{collection}`: adds rows, or puts them in the place of those with the same keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::check::Checked;
use crate::access::caller;
use crate::fields::read_json;
use crate::predict::body::ROW_LIMIT;
use crate::problem::{FieldError, Problem};
use crate::record::logs::moment;
use crate::record::store::NewRecord;
use crate::refusals::BodyRefusals;
use crate::service::Application;

/// What became of the rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedRows {
    /// Their keys were new.
    added: u64,
    /// They took the place of others.
    replaced: u64,
    /// They stood there like this.
    unchanged: u64,
}

/// Adds rows, all or none. A row whose key is there takes that one's place.
#[utoipa::path(
    post, path = "/database/{collection}", tag = "database", operation_id = "database_add",
    params(("collection" = String, Path, description = "Name of the collection")),
    request_body(content = Object, description = "A row, or a list of at most 10,000", content_type = "application/json"),
    responses(
        (status = 200, description = "They are kept, and go to the bucket within a minute", body = AddedRows),
        BodyRefusals,
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn add(
    State(application): State<Arc<Application>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<AddedRows>, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller::required(&parts.extensions)?;
    let checked = application.collections.get(&name).await?;
    let (rows, single) = match read_json(&parts.headers, body).await? {
        Value::Array(rows) if rows.len() <= ROW_LIMIT => (rows, false),
        Value::Array(_) => {
            let message = format!("expected a row, or a list of at most {ROW_LIMIT}");
            return Err(Problem::invalid_fields(
                vec![fault(String::new(), "too_many_rows", message)],
                1,
            ));
        }
        row => (vec![row], true),
    };
    let now = Timestamp::now();
    let records = records(&checked, rows, single, now, &caller.user.username)?;
    let failed = |error| Problem::of_record(&error);
    let store = application.keeper.store().await.map_err(failed)?;
    // A client that leaves does not end it halfway.
    let kept = tokio::spawn(async move {
        let at = now.as_millisecond();
        store.keep_records(&name, &records, at, &caller.user.username).await
    });
    let kept = kept.await.map_err(|error| {
        tracing::error!(%error, "adding rows broke off");
        Problem::internal()
    })?;
    let kept = kept.map_err(failed)?;
    Ok(Json(AddedRows {
        added: kept.added,
        replaced: kept.replaced,
        unchanged: kept.unchanged,
    }))
}

/// Checks rows and gets them ready to be kept.
fn records(
    checked: &Checked,
    rows: Vec<Value>,
    single: bool,
    now: Timestamp,
    caller: &str,
) -> Result<Vec<NewRecord>, Problem> {
    let at = moment(now.as_millisecond());
    let mut faults = Vec::new();
    let mut keys = BTreeSet::new();
    let mut records = Vec::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        let prefix = if single { String::new() } else { format!("/{index}") };
        let found = checked.faults(&row, &prefix);
        let row: Map<String, Value> = match row {
            Value::Object(row) if found.is_empty() => row,
            _ => {
                faults.extend(found);
                continue;
            }
        };
        let key = checked.collection.key_of(&row);
        if !keys.insert(key.clone()) {
            let message = "an earlier row of the list has the same key".to_owned();
            faults.push(fault(prefix, "duplicate_key", message));
        }
        records.push(NewRecord {
            key,
            line: json!({"row": row, "at": at, "by": caller}).to_string(),
            content: Value::Object(row).to_string(),
        });
    }
    match faults.len() {
        0 => Ok(records),
        found => Err(Problem::invalid_fields(faults, found)),
    }
}

fn fault(pointer: String, code: &'static str, message: String) -> FieldError {
    FieldError { pointer, code, message }
}
