//! The JSON Schema of a DAG file: one source for the checks and for editors.
//!
//! Three keywords are our own. `x-ratchet-kind` marks a value that only a port of that kind fills; `x-ratchet-format`
//! names a notation of text that a pattern alone does not check (`duration`, `cron`, ...; see `check/format.rs`);
//! `x-ratchet-rendered` marks a text outside of `with` in which `${{ }}` is rendered.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::plugin::{Isolation, Registry};
use crate::spec::{Backoff, Catchup, NotifyOn, OnGap, OnOverlap, Overlap, ParamType, TriggerRule};

/// What a template looks like where something else than text is expected.
const TEMPLATE_PATTERN: &str = r"^\$\{\{[\s\S]*\}\}\s*$";

/// The schema of a whole DAG file, for editors: each plugin's `with` by its `uses`, and `${{ ... }}` accepted wherever
/// it will be rendered.
pub fn schema(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    let mut conditions = Vec::new();
    for plugin in registry.iter() {
        definitions.extend(plugin_definitions(plugin.name, &plugin.schema));
        conditions.push(json!({
            "if": { "properties": { "uses": { "const": plugin.name } }, "required": ["uses"] },
            "then": { "properties": { "with": { "$ref": format!("#/$defs/{}", plugin.name) } } },
        }));
    }
    let mut schema = dag();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Ratchet DAG");
    let task = &mut schema["properties"]["tasks"]["additionalProperties"];
    task["allOf"] = Value::Array(conditions);
    task["properties"]["uses"]["enum"] = registry.iter().map(|plugin| plugin.name).collect();
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// The schema of everything but `with`. No templates but where a text says `x-ratchet-rendered`, and in `when`.
pub(crate) fn dag() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "tasks"],
        "properties": {
            "name": { "type": "string", "description": "Name of the DAG, unique in the engine.", "x-ratchet-format": "name", "pattern": "^[a-z][a-z0-9-]*$" },
            "description": { "type": "string", "description": "For people." },
            "schedule": schedule(),
            "params": {
                "type": "object",
                "description": "Parameters by name; read as `${{ params.<name> }}`, given with `-p name=value`.",
                "propertyNames": { "x-ratchet-format": "parameter-name", "pattern": "^[a-z][a-z0-9_]*$" },
                "additionalProperties": param(),
            },
            "defaults": {
                "type": "object",
                "description": "What tasks inherit.",
                "additionalProperties": false,
                "properties": { "timeout": timeout(), "retry": retry(), "environment": environment() },
            },
            "max_active_runs": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 1, "description": "How many runs may be active at once." },
            "notify": notify(),
            "tasks": {
                "type": "object",
                "minProperties": 1,
                "description": "Tasks by id.",
                "propertyNames": { "x-ratchet-format": "task-id", "pattern": "^[a-z][a-z0-9_-]*$" },
                "additionalProperties": task(),
            },
        },
    })
}

fn schedule() -> Value {
    json!({
        "type": "object",
        "description": "When the DAG runs by itself.",
        "additionalProperties": false,
        "required": ["cron"],
        "properties": {
            "cron": { "type": "string", "x-ratchet-format": "cron", "description": "Five fields: minute, hour, day of month, month, day of week. 0 and 7 are Sunday; where both day fields are restricted, either counts." },
            "timezone": { "type": "string", "x-ratchet-format": "timezone", "default": "UTC", "description": "IANA name, such as `Europe/London`." },
            "on_gap": of::<OnGap>("A local time that does not exist.", json!("shift")),
            "on_overlap": of::<OnOverlap>("A local time that comes twice.", json!("first")),
            "catchup": of::<Catchup>("Ticks missed while the scheduler was down.", json!("latest")),
            "overlap": of::<Overlap>("A tick while a run is active.", json!("skip")),
        },
    })
}

fn param() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["type"],
        "properties": {
            "type": of::<ParamType>("Type of the value.", Value::Null),
            "default": { "type": ["string", "number", "boolean"], "description": "Value when none is given. Without it, a value has to be given." },
            "description": { "type": "string", "description": "For people." },
            "minimum": { "type": "number", "description": "Smallest number." },
            "maximum": { "type": "number", "description": "Largest number." },
            "choices": { "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] }, "description": "The only values." },
        },
    })
}

fn timeout() -> Value {
    json!({ "type": "string", "x-ratchet-format": "duration", "pattern": DURATION_PATTERN, "description": "Limit of one attempt, such as `30m`." })
}

const DURATION_PATTERN: &str = "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$";

fn retry() -> Value {
    let duration = |description: &str| json!({ "type": "string", "x-ratchet-format": "duration", "pattern": DURATION_PATTERN, "description": description });
    json!({
        "type": "object",
        "description": "What happens after a failure that a retry can help.",
        "additionalProperties": false,
        "properties": {
            "attempts": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 1, "description": "Attempts in all; 1 means no retry." },
            "backoff": of::<Backoff>("How the pause grows.", json!("exponential")),
            "initial": duration("First pause, such as `5s`."),
            "max": duration("Longest pause, such as `5m`."),
            "jitter": { "type": "boolean", "default": true, "description": "Takes a random share of the pause, so that many tasks do not come back at once." },
        },
    })
}

fn environment() -> Value {
    json!({
        "type": "object",
        "description": "Variables of the task's process and of the programs that it starts.",
        "propertyNames": { "x-ratchet-format": "variable-name", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        "additionalProperties": { "type": "string", "x-ratchet-rendered": true },
    })
}

fn notify() -> Value {
    json!({
        "type": "array",
        "description": "Who is told how a run ended.",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["on", "webhook"],
            "properties": {
                "on": { "type": "array", "minItems": 1, "uniqueItems": true, "items": of::<NotifyOn>("What is told.", Value::Null), "description": "What is told: failure, success, promotion." },
                "webhook": { "type": "string", "x-ratchet-format": "webhook", "x-ratchet-rendered": true, "description": "Address that takes a POST in Slack's format, such as `${{ secrets.SLACK }}`." },
            },
        },
    })
}

fn task() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["uses"],
        "properties": {
            "uses": { "type": "string", "description": "Name of the plugin." },
            "with": { "type": "object", "description": "The plugin's configuration." },
            "needs": { "type": "array", "items": { "type": "string" }, "description": "Tasks that this one comes after without reading from them." },
            "trigger": of::<TriggerRule>("What the tasks before this one must have come to.", json!("all_success")),
            "when": { "type": ["string", "boolean"], "x-ratchet-format": "condition", "description": "A false value skips the task: `${{ tasks.compare.better }}`." },
            "retry": retry(),
            "timeout": timeout(),
            "isolation": of::<Isolation>("Where it runs.", Value::Null),
            "environment": environment(),
            "resources": {
                "type": "object",
                "description": "What an attempt may use.",
                "additionalProperties": false,
                "properties": {
                    "memory": { "type": "string", "x-ratchet-format": "size", "pattern": "^[0-9]+(\\.[0-9]+)?(B|[KMGT]i?B)$", "description": "Limit, such as `4GiB`." },
                    "threads": { "type": "integer", "minimum": 1, "maximum": 4096, "description": "Number of threads." },
                },
            },
        },
    })
}

/// The schema of a choice from its Rust type, with its doc comments.
fn of<T: JsonSchema>(description: &str, default: Value) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
        object.insert("description".to_owned(), json!(description));
        if !default.is_null() {
            object.insert("default".to_owned(), default);
        }
    }
    schema
}

/// A plugin's schema under its name and its own definitions beside it, with templates accepted.
fn plugin_definitions(name: &str, schema: &Value) -> Vec<(String, Value)> {
    let mut root = schema.clone();
    let own = root.as_object_mut().and_then(|object| object.remove("$defs"));
    if let Some(object) = root.as_object_mut() {
        object.remove("$schema");
    }
    let mut definitions = Vec::new();
    if let Some(Value::Object(own)) = own {
        for (definition, schema) in own {
            definitions.push((format!("{name}.{definition}"), for_editors(&schema, name)));
        }
    }
    let mut root = rewrite_children(&root, name);
    // `with` itself is a mapping, never one expression.
    if let Some(object) = root.as_object_mut() {
        object.entry("type").or_insert_with(|| json!("object"));
    }
    definitions.push((name.to_owned(), root));
    definitions
}

/// A schema that also takes a template, unless it takes any text anyhow.
fn for_editors(schema: &Value, plugin: &str) -> Value {
    let template = json!({ "type": "string", "pattern": TEMPLATE_PATTERN });
    let Value::Object(object) = schema else {
        return schema.clone();
    };
    if let Some(kind) = object.get("x-ratchet-kind") {
        let description = object.get("description").cloned().unwrap_or(Value::Null);
        return json!({ "type": "string", "pattern": TEMPLATE_PATTERN, "x-ratchet-kind": kind, "description": description });
    }
    let rewritten = rewrite_children(schema, plugin);
    // A reference leads to a definition that takes templates itself; a branch of a choice likewise.
    if object.contains_key("$ref") || object.contains_key("anyOf") && !object.contains_key("type") {
        return rewritten;
    }
    let takes_text = match object.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => false,
    };
    let restricted = ["enum", "const", "pattern", "format", "oneOf"]
        .iter()
        .any(|keyword| object.contains_key(*keyword));
    let typed = object.contains_key("type")
        || object.contains_key("oneOf")
        || object.contains_key("const")
        || object.contains_key("enum");
    if !typed || takes_text && !restricted {
        return rewritten;
    }
    let description = object.get("description").cloned();
    let mut wrapped = json!({ "anyOf": [rewritten, template] });
    if let Some(description) = description {
        wrapped["description"] = description;
    }
    wrapped
}

/// Goes into everything that holds schemas, and leads references to the plugin's own definitions.
fn rewrite_children(schema: &Value, plugin: &str) -> Value {
    let Value::Object(object) = schema else {
        return schema.clone();
    };
    let mut rewritten = Map::new();
    for (keyword, value) in object {
        let value = match (keyword.as_str(), value) {
            ("$ref", Value::String(target)) => match target.strip_prefix("#/$defs/") {
                Some(definition) => json!(format!("#/$defs/{plugin}.{definition}")),
                // `#`: a configuration that holds itself.
                None => json!(format!("#/$defs/{plugin}")),
            },
            ("properties" | "patternProperties", Value::Object(properties)) => Value::Object(
                properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), for_editors(schema, plugin)))
                    .collect(),
            ),
            ("items" | "additionalProperties" | "contains", schema) => for_editors(schema, plugin),
            ("prefixItems" | "anyOf", Value::Array(schemas)) => {
                Value::Array(schemas.iter().map(|schema| for_editors(schema, plugin)).collect())
            }
            // In `oneOf` a template must fit the whole choice, never each of its branches.
            ("oneOf" | "allOf", Value::Array(schemas)) => {
                Value::Array(schemas.iter().map(|schema| rewrite_children(schema, plugin)).collect())
            }
            (_, value) => value.clone(),
        };
        rewritten.insert(keyword.clone(), value);
    }
    Value::Object(rewritten)
}
