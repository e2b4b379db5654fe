//! `GET /api/v1/openapi.json`.

use axum::Json;
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::access::{Access, RULES};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ratchet",
        description = "DAGs, their runs, and what they made. `x-ratchet-role` says who may use a route: a role includes those below it \
                       (user, operator, admin).",
    ),
    paths(
        super::router::health,
        super::page::page,
        super::token::token,
        openapi,
        super::dags::list,
        super::dags::show,
        super::dags::next,
        super::trigger::trigger,
        super::config::show,
        super::config::set,
        super::pauses::pause,
        super::pauses::unpause,
        super::hooks::call,
        super::backfills::start,
        super::backfills::list,
        super::backfills::show,
        super::backfills::stop,
        super::runs::list,
        super::runs::show,
        super::runs::tasks,
        super::runs::attempts,
        super::pools::list,
        super::approvals::approve,
        super::logs::lines,
        super::logs::text,
        super::artifacts::list,
        super::artifacts::show,
        super::events::events,
        super::operations::cancel,
        super::operations::retry,
        super::operations::clear,
        super::operations::mark,
        super::datasets::list,
        super::datasets::show,
        super::datasets::version,
        super::lookups::list,
        super::models::list,
        super::models::show,
        super::models::version,
        super::models::alias,
        super::promotions::list,
        super::promotions::promote,
        super::promotions::rollback,
        super::promotions::route,
        super::people::users,
        super::people::add_user,
        super::people::remove_user,
        super::people::keys,
        super::people::add_key,
        super::people::revoke_key,
        super::people::audit,
        super::people::check_audit,
    ),
    components(schemas(crate::problem::ProblemDocument, crate::problem::Fault))
)]
struct Document;

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn openapi() -> Json<Value> {
    Json(document())
}

/// What utoipa made of the handlers, and what the rules of access add to each of them.
fn document() -> Value {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.license = None;
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "A token of POST /api/v1/token, or an API key" },
    });
    for &(method, path, access) in RULES {
        let operation = &mut document["paths"][path][method.to_ascii_lowercase()];
        if !operation.is_object() {
            continue;
        }
        let name = path.trim_start_matches("/api/v1").trim_matches('/');
        operation["operationId"] = json!(format!("{} {name}", method.to_ascii_lowercase()));
        let Access::From(role) = access else {
            operation["x-ratchet-role"] = json!("public");
            operation["security"] = json!([]);
            continue;
        };
        operation["x-ratchet-role"] = json!(role);
        operation["security"] = json!([{ "bearer": [] }]);
        let responses = &mut operation["responses"];
        responses["401"] = problem("No token, or one that does not hold");
        if role > ratchet_identity::Role::User {
            responses["403"] = problem(&format!("This needs the role {role}"));
        }
        responses["503"] = problem("A store is away or damaged");
    }
    document
}

fn problem(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (method.to_ascii_uppercase(), path.clone()))
            })
            .collect();
        let ruled: BTreeSet<(String, String)> = RULES
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(described, ruled);
        assert_eq!(ruled.len(), RULES.len(), "no route has two rules");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_says_who_may() {
        let document = document();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
        {
            assert!(operation["x-ratchet-role"].is_string(), "{operation}");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                references.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| collect(value, references));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
