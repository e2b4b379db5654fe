//! The promotion log: read, and appended to by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path, Query};
use axum::http::{HeaderMap, header};
use ratchet_artifacts::{
    CHAMPION, Expected, NewPromotion, NewRouting, PromotionEntry, PromotionError, PromotionLog, models, sha256,
};
use ratchet_runtime::PromoteError;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::once::idempotency_key;
use super::query::Asked;
use crate::access::{Caller, audited};
use crate::problem::{BodyProblems, FieldProblems, Problem};
use crate::server::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    model: Option<String>,
}

/// The promotion log in order.
#[utoipa::path(
    get, path = "/api/v1/promotions", tag = "models",
    params(("model" = Option<String>, Query, description = "Only entries of this model")),
    responses(
        (status = 200, description = "`promotions`: the entries", body = Object),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    extract::State(state): extract::State<Arc<State>>,
    query: Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let mut entries = PromotionLog::new(state.engine.bucket().clone()).entries().await?;
    entries.retain(|entry| query.model.as_ref().is_none_or(|model| entry.model == *model));
    Ok(Json(json!({ "promotions": entries })))
}

/// What shall be promoted, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct PromoteRequest {
    /// Number of the version.
    #[schema(example = 7)]
    version: u64,
    /// The alias that it gets; `champion` if left out.
    alias: Option<String>,
    /// Why, in one sentence. The log keeps it.
    reason: String,
    /// True if it may ask for other fields than the version before, or answer less; false if left out.
    breaking: Option<bool>,
}

/// Gives an alias to a version, whoever holds it; with `If-Match`, only if that bundle still does.
#[utoipa::path(
    post, path = "/api/v1/models/{name}/promote", tag = "models",
    params(
        ("name" = String, Path, description = "Name of the model"),
        ("If-Match" = Option<String>, Header, description = "ETag of the alias as it was looked at"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice: repeated, the same entry"),
    ),
    request_body(content = PromoteRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "The entry of the promotion log", body = Object),
        (status = 400, description = "The body is not JSON, or a header is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such version", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "It holds the alias already, would break what those who ask rely on, has a route that is taken, or the key was used for another act", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "Another holds the alias than `If-Match` says", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        FieldProblems,
    )
)]
pub(super) async fn promote(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Json<PromotionEntry>, Problem> {
    let mut body = Body::read(&headers, bytes)?;
    let version = body.required_number("version");
    let alias = body.text("alias").unwrap_or_else(|| CHAMPION.to_owned());
    let reason = body.required_text("reason");
    let breaking = body.truth("breaking");
    body.finish()?;
    let expected = expected(&headers)?;
    let conditional = expected != Expected::Any;
    let key = key(&caller, &headers)?;
    let subject = format!("{name}@{version} as {alias}: {reason}");
    let bucket = state.engine.bucket().clone();
    let actor = caller.name().to_owned();
    let entry = audited(&state, &caller, "model.promote", subject, async move {
        let manifest = models::get(&bucket, &name, version).await?.ok_or_else(|| {
            Problem::not_found(format!(
                "there is no model {name}@{version}; GET /api/v1/models/{name} lists the versions"
            ))
        })?;
        let promotion = NewPromotion {
            model: name,
            version,
            digest: manifest.bundle.sha256,
            alias,
            expected,
            actor,
            reason,
            comparison: Value::Null,
            key,
            attended: true,
        };
        match ratchet_runtime::promote(&bucket, promotion, breaking).await {
            Ok(appended) => Ok(appended.entry),
            Err(PromoteError::Log(error @ PromotionError::ChampionChanged { .. })) if conditional => {
                Err(Problem::precondition_failed(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    });
    Ok(Json(entry.await?))
}

/// What shall be rolled back, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct RollbackRequest {
    /// The alias that goes back; `champion` if left out.
    alias: Option<String>,
    /// Why, in one sentence. The log keeps it.
    reason: String,
}

/// Gives an alias back to its holder before the current one, and bars the current one from unattended promotion.
#[utoipa::path(
    post, path = "/api/v1/models/{name}/rollback", tag = "models",
    params(
        ("name" = String, Path, description = "Name of the model"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice: repeated, the same entry"),
    ),
    request_body(content = RollbackRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "The entry of the promotion log", body = Object),
        (status = 400, description = "The body is not JSON, or a header or name is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "There is nothing to go back to, or the alias changed hands meanwhile", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        FieldProblems,
    )
)]
pub(super) async fn rollback(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Json<PromotionEntry>, Problem> {
    let mut body = Body::read(&headers, bytes)?;
    let alias = body.text("alias").unwrap_or_else(|| CHAMPION.to_owned());
    let reason = body.required_text("reason");
    body.finish()?;
    let key = key(&caller, &headers)?;
    let subject = format!("{alias} of {name}: {reason}");
    let log = PromotionLog::new(state.engine.bucket().clone());
    let actor = caller.name().to_owned();
    let entry = audited(&state, &caller, "model.rollback", subject, async move {
        Ok(log.rollback(&name, &alias, &actor, &reason, &key).await?.entry)
    });
    Ok(Json(entry.await?))
}

/// How requests shall be spread, and why. Aliases that are not named answer nothing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct RouteRequest {
    /// Alias and its share in percent; together 100, the champion's at least 1.
    #[schema(example = json!({ "champion": 90, "challenger": 10 }))]
    shares: BTreeMap<String, u32>,
    /// Aliases whose answers are logged and never given.
    shadows: Option<Vec<String>>,
    /// A field of the request: those with the same value in it are answered by the same alias.
    #[schema(example = "DeployedFromStation")]
    sticky: Option<String>,
    /// Why, in one sentence. The log keeps it.
    reason: String,
}

/// Spreads a model's requests over its aliases. Versions stay where they are.
#[utoipa::path(
    post, path = "/api/v1/models/{name}/route", tag = "models",
    params(
        ("name" = String, Path, description = "Name of the model"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice: repeated, the same entry"),
    ),
    request_body(content = RouteRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "The entry of the promotion log", body = Object),
        (status = 400, description = "The body is not JSON, or a header or name is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The shares do not add up to 100, an alias has no version, requests have no such field, or the key was used for another act", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        FieldProblems,
    )
)]
pub(super) async fn route(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Json<PromotionEntry>, Problem> {
    let mut body = Body::read(&headers, bytes)?;
    let shares = shares(&mut body);
    let shadows: BTreeSet<String> = body.texts("shadows").into_iter().collect();
    let sticky = body.text("sticky");
    let reason = body.required_text("reason");
    body.finish()?;
    let spread: Vec<String> = shares.iter().map(|(alias, share)| format!("{alias}={share}")).collect();
    let subject = format!("{name} {}: {reason}", spread.join(" "));
    let routing = NewRouting {
        model: name,
        shares,
        shadows,
        sticky,
        actor: caller.name().to_owned(),
        reason,
        key: key(&caller, &headers)?,
    };
    let bucket = state.engine.bucket().clone();
    let entry = audited(&state, &caller, "model.route", subject, async move {
        Ok(ratchet_runtime::route(&bucket, &routing).await?.entry)
    });
    Ok(Json(entry.await?))
}

/// Percents by alias.
fn shares(body: &mut Body) -> BTreeMap<String, u32> {
    if !body.has("shares") {
        body.fault("shares", "is missing");
    }
    let mut shares = BTreeMap::new();
    for (alias, share) in body.object("shares") {
        match share.as_u64() {
            Some(percent @ 1..=100) => {
                shares.insert(alias, percent as u32);
            }
            _ => {
                let alias = alias.replace('~', "~0").replace('/', "~1");
                body.fault(&format!("shares/{alias}"), "is no whole number from 1 to 100");
            }
        }
    }
    shares
}

/// One bundle in `If-Match`; without the header, whoever holds the alias.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(Expected::Any);
    };
    let tag = value.to_str().ok().map(str::trim);
    let digest = tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
    match digest {
        Some(digest) if !digest.contains('"') => Ok(Expected::Champion(Some(digest.to_owned()))),
        _ => Err(Problem::bad_request(
            "If-Match is not usable; send the ETag of GET /api/v1/models/NAME/aliases/ALIAS",
        )),
    }
}

/// The log's key for an act: the caller's own, or one that nobody repeats.
fn key(caller: &Caller, headers: &HeaderMap) -> Result<String, Problem> {
    Ok(match idempotency_key(headers)? {
        Some(key) => format!("request/{}/{}", caller.user.id, sha256(key.as_bytes())),
        None => format!("request/{}", uuid::Uuid::now_v7()),
    })
}
