//! `GET /openapi.json`: the fixed routes, and the fields of each model that serves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ratchet_model::{Bundle, Field, FieldKind};
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use ratchet_identity::Role;

use crate::access::rules::{Access, PREDICT, RULES, rule};
use crate::access::token::TokenError;
use crate::models::registry::Served;
use crate::open_inference::refusal::Refusal;
use crate::predict::body::ROW_LIMIT;
use crate::problem::Problem;
use crate::refusals::BodyRefusals;
use crate::service::Application;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ratchet predictions",
        description = "Predictions from whatever model version was promoted last. Each model that serves adds its route and its fields \
                       to this document.",
    ),
    paths(
        crate::access::token::token,
        crate::access::token::revoke,
        crate::access::users::register,
        crate::access::users::list,
        crate::access::users::add,
        crate::access::users::remove,
        crate::access::keys::public_keys,
        predict_default,
        predict_named,
        crate::open_inference::describe::server,
        crate::open_inference::describe::live,
        crate::open_inference::describe::ready,
        crate::open_inference::describe::model,
        crate::open_inference::describe::model_version,
        crate::open_inference::describe::model_ready,
        crate::open_inference::describe::model_version_ready,
        crate::open_inference::infer::infer,
        crate::open_inference::infer::infer_version,
        crate::open_inference::repository::index,
        crate::open_inference::repository::load,
        crate::open_inference::repository::unload,
        crate::record::logs::logs,
        crate::record::feedback::feedback,
        crate::record::accuracy::accuracy,
        crate::database::list::list,
        crate::database::read::read,
        crate::database::add::add,
        crate::database::remove::remove,
        crate::published::retrain::status,
        crate::published::retrain::trigger,
        crate::published::config::show,
        crate::published::config::set,
        crate::published::retrain::logs,
        crate::published::evaluate::evaluate,
        crate::published::evaluate::evaluation,
        crate::published::metrics::metrics,
        crate::models::list::models,
        crate::health::health,
        crate::telemetry::metrics,
        openapi,
    ),
    // Types of responses do not bring their schemas along.
    components(schemas(Problem, Refusal, TokenError)),
    modifiers(&Schemes),
)]
struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let password = Flow::Password(Password::new("/token", Scopes::new()));
        components.add_security_scheme("password", SecurityScheme::OAuth2(OAuth2::new([password])));
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// What every answer holds beside the model's own fields.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, written by predict::answer")]
struct Provenance {
    /// Which version answered.
    model: AnsweringModel,
    /// UUIDv7 of this answer.
    prediction_id: String,
    /// True if any row of the model's training was simulated.
    simulated: bool,
    /// What each field contributed to the score, if `explain=true` asked for it: `score`, `base`, `scale` and `contributions`, which with
    /// `base` add up to `score`; for classes in order `cuts`, a list of such.
    #[schema(required = false)]
    explanation: Option<Value>,
}

/// The version that answered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, written by predict::answer")]
struct AnsweringModel {
    /// Name of the model.
    #[schema(example = "lfb-response-time")]
    name: String,
    /// Number of the version.
    #[schema(example = 7)]
    version: u64,
    /// SHA-256 of its bundle.
    digest: String,
    /// Versions of the lookups that it read, by name; not there if it reads none.
    #[schema(required = false)]
    lookups: Option<std::collections::BTreeMap<String, u64>>,
    /// Alias that it holds.
    #[schema(example = "champion")]
    alias: String,
}

/// Predictions from a model by its name, whatever route it declares. The fields are the model's: see its own path in this document.
#[utoipa::path(
    post,
    path = "/predict/{model}",
    tag = "predictions",
    operation_id = "predict",
    params(
        ("model" = String, Path, description = "Name of the model"),
        ("explain" = Option<bool>, Query, description = "Whether each answer holds what every field contributed"),
        ("Ratchet-Route-Key" = Option<String>, Header, description = "Where requests are spread over several versions, the same key gets the same one"),
    ),
    request_body(
        description = "One row, or a list of at most 10,000 rows; as NDJSON or CSV a stream of any length",
        content((Object = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")),
    ),
    responses(
        (status = 200, description = "The answer to a row, `{\"predictions\": [...]}` to a list, or a stream in the format of the body",
         content((Provenance = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))),
        BodyRefusals,
        (status = 404, description = "No such model", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The model is not loaded", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[expect(dead_code, reason = "described here, answered by predict::handler::at_path")]
fn predict_named() {}

/// Predictions from the model that `RATCHET_DEFAULT_MODEL` names, or from the only one.
#[utoipa::path(
    post,
    path = "/predict",
    tag = "predictions",
    operation_id = "predict_default",
    params(
        ("explain" = Option<bool>, Query, description = "Whether each answer holds what every field contributed"),
        ("Ratchet-Route-Key" = Option<String>, Header, description = "Where requests are spread over several versions, the same key gets the same one"),
    ),
    request_body(
        description = "One row, or a list of at most 10,000 rows; as NDJSON or CSV a stream of any length",
        content((Object = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")),
    ),
    responses(
        (status = 200, description = "The answer to a row, `{\"predictions\": [...]}` to a list, or a stream in the format of the body",
         content((Provenance = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))),
        BodyRefusals,
        (status = 404, description = "No model, or several and none is the default", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The model is not loaded", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[expect(dead_code, reason = "described here, answered by predict::handler::at_path")]
fn predict_default() {}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operation",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub async fn openapi(State(application): State<Arc<Application>>) -> Response {
    let document = application.models.current().openapi.clone();
    // Empty only before the watcher has published for the first time.
    let document = if document.is_empty() {
        with_models(std::iter::empty())
    } else {
        document
    };
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

/// The document of the routes that do not depend on a model.
pub fn fixed() -> Value {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.license = None;
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    for (method, path, access) in RULES {
        if let Some(operation) = operation_at(&mut document, method, path) {
            say_who_may(operation, access, path.starts_with("/v2"));
        }
    }
    describe_feedback(&mut document);
    describe_rows(&mut document);
    for name in ["NewUser", "Registration", "RetrainConfig", "RetrainRequest", "Truth"] {
        if let Some(schema) = document.pointer_mut(&format!("/components/schemas/{name}")) {
            schema["additionalProperties"] = json!(false);
        }
    }
    document
}

/// What types cannot say: a truth is a number or true or false, and comes alone or in a list.
fn describe_feedback(document: &mut Value) {
    if let Some(truth) = document.pointer_mut("/components/schemas/Truth/properties/truth") {
        let description = truth["description"].clone();
        *truth = json!({"type": ["number", "boolean"], "description": description});
    }
    let body = "/paths/~1feedback/post/requestBody/content/application~1json/schema";
    if let Some(body) = document.pointer_mut(body) {
        let one = body.clone();
        *body = json!({"oneOf": [one, {"type": "array", "items": one, "maxItems": ROW_LIMIT}]});
    }
}

/// The rows of a collection come alone or in a list, too.
fn describe_rows(document: &mut Value) {
    let body = "/paths/~1database~1{collection}/post/requestBody/content/application~1json/schema";
    if let Some(body) = document.pointer_mut(body) {
        let row = json!({"type": "object"});
        *body = json!({"oneOf": [row, {"type": "array", "items": row, "maxItems": ROW_LIMIT}]});
    }
}

fn operation_at<'a>(document: &'a mut Value, method: &str, path: &str) -> Option<&'a mut Value> {
    document
        .get_mut("paths")?
        .get_mut(path)?
        .get_mut(method.to_ascii_lowercase())
}

/// What the rule of a route adds to its description. Errors under `/v2` have the shape of its protocol.
fn say_who_may(operation: &mut Value, access: Access, open_inference: bool) {
    let Access::From(role) = access else {
        operation["x-ratchet-role"] = json!("public");
        operation["security"] = json!([]);
        return;
    };
    operation["x-ratchet-role"] = json!(role);
    operation["security"] = json!([{"bearer": []}, {"password": []}]);
    let (kind, schema) = match open_inference {
        true => ("application/json", "Refusal"),
        false => ("application/problem+json", "Problem"),
    };
    let mut add = |code: &str, description: &str| {
        let response = json!({"description": description,
                              "content": {kind: {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}});
        if operation["responses"].get(code).is_none() {
            operation["responses"][code] = response;
        }
    };
    add("401", "No valid token");
    if role > Role::User {
        add("403", &format!("This needs the role {role}"));
    }
    add("429", "Too many requests of this user or key; see Retry-After");
    add("503", "The users cannot be read");
}

/// The document with a path, a row and an answer for each model that serves.
pub fn with_models<'a>(served: impl Iterator<Item = &'a Served>) -> Bytes {
    let mut document = fixed();
    for model in served {
        let name = &model.name;
        let path = model.route.clone().unwrap_or_else(|| format!("/predict/{name}"));
        let mut operation = operation(model);
        if let Some(access) = rule("POST", PREDICT) {
            say_who_may(&mut operation, access, false);
        }
        insert(&mut document, "/paths", &path, json!({"post": operation}));
        insert(
            &mut document,
            "/components/schemas",
            &format!("{name}-row"),
            row_schema(&model.bundle),
        );
        insert(
            &mut document,
            "/components/schemas",
            &format!("{name}-answer"),
            answer_schema(&model.bundle),
        );
    }
    serde_json::to_vec(&document).unwrap_or_default().into()
}

fn insert(document: &mut Value, place: &str, key: &str, value: Value) {
    if let Some(object) = document.pointer_mut(place).and_then(Value::as_object_mut) {
        object.insert(key.to_owned(), value);
    }
}

fn operation(model: &Served) -> Value {
    let name = &model.name;
    let bundle = &model.bundle;
    let row = json!({"$ref": format!("#/components/schemas/{name}-row")});
    let answer = json!({"$ref": format!("#/components/schemas/{name}-answer")});
    let example = Value::Object(bundle.example());
    let list = json!({"type": "object", "required": ["predictions"],
                      "properties": {"predictions": {"type": "array", "items": answer}}});
    let problem = |description: &str| {
        json!({"description": description,
               "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}})
    };
    let about_data = if bundle.simulated() {
        " Trained on simulated records."
    } else {
        ""
    };
    json!({
        "tags": ["predictions"],
        "operationId": format!("predict-{name}"),
        "summary": format!("Predictions of {name}"),
        "description": format!("{}{about_data} Version {} answers now.", bundle.description(), model.version.version),
        "parameters": [{"name": "explain", "in": "query", "required": false, "schema": {"type": "boolean"},
                        "description": "Whether each answer holds what every field contributed"},
                       {"name": "Ratchet-Route-Key", "in": "header", "required": false, "schema": {"type": "string"},
                        "description": "Where requests are spread over several versions, the same key gets the same one"}],
        "requestBody": {
            "required": true,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [row, {"type": "array", "items": row, "maxItems": ROW_LIMIT}]},
                    "examples": {
                        "row": {"summary": "One row", "value": example},
                        "rows": {"summary": "A list of rows", "value": [example]},
                    },
                },
                "application/x-ndjson": {"schema": {"type": "string", "description": "A row on each line; any number of lines"}},
                "text/csv": {"schema": {"type": "string", "description": "A header with the names of all fields, and a row on each line"}},
            },
        },
        "responses": {
            "200": {"description": "The answer to a row, or a list of answers in the order of the rows; to a stream, a stream in its \
                                    format: a faulty row has its faults in its place",
                    "content": {"application/json": {"schema": {"oneOf": [answer, list]}},
                                "application/x-ndjson": {"schema": {"type": "string"}},
                                "text/csv": {"schema": {"type": "string"}}}},
            "400": problem("The body is not JSON"),
            "413": problem("The body is too long"),
            "415": problem("The body is declared as none of the types that are read"),
            "422": problem("Some fields are not valid; all are listed"),
            "503": problem("The model is not loaded"),
        },
    })
}

fn row_schema(bundle: &Bundle) -> Value {
    let fields = &bundle.schema().fields;
    let mut properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.clone(), field_schema(field)))
        .collect();
    for field in &bundle.schema().unused {
        let (kind, about) = kind_schema(field.kind);
        let because = if field.because.is_empty() {
            String::new()
        } else {
            format!(": {}", field.because)
        };
        let description = format!("{about}. Not used by the model{because}. Checked and logged.");
        properties.insert(
            field.name.clone(),
            json!({"type": [kind, "null"], "description": description}),
        );
    }
    let required: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "examples": [bundle.example()],
    })
}

fn kind_schema(kind: FieldKind) -> (&'static str, &'static str) {
    match kind {
        FieldKind::Number => ("number", "A finite number"),
        FieldKind::Text => ("string", "Text; blanks around it do not count"),
        FieldKind::Timestamp => (
            "string",
            "A civil date and time without zone, such as 2017-04-01 09:30:00",
        ),
    }
}

fn field_schema(field: &Field) -> Value {
    let (kind, about) = kind_schema(field.kind);
    let kinds = if field.nullable {
        json!([kind, "null"])
    } else {
        json!(kind)
    };
    json!({"type": kinds, "description": format!("{about}. Known at: {}.", field.known.name())})
}

fn answer_schema(bundle: &Bundle) -> Value {
    if bundle.answer_only() {
        let field = &bundle.content().target.answer;
        let value = bundle.answer_schema()["properties"][field].clone();
        let description =
            "The rest of the answer stands in the headers `Ratchet-...`; with explain=true all of it is here.";
        return json!({"type": "object", "required": [field], "properties": {field: value}, "description": description});
    }
    json!({"allOf": [bundle.answer_schema(), {"$ref": "#/components/schemas/Provenance"}]})
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fixed_route_is_described_and_every_reference_leads_somewhere() {
        let document = fixed();
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
        // Pages, a spelling, and what answers for paths that lead nowhere are no operations.
        let hidden = ["/docs", "/docs/", "/docs/{*file}", "/v2/", "/v2/{*rest}"];
        let ruled: BTreeSet<(String, String)> = RULES
            .iter()
            .filter(|(_, path, _)| !hidden.contains(path))
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(described, ruled);
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
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
