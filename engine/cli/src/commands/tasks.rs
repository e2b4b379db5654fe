//! `ratchet tasks list | show`.

use ratchet_core::plugin::{PluginEntry, PortKind, Registry};
use serde_json::{Value, json};

use crate::arguments::{Format, Tasks};
use crate::display::table::Listing;
use crate::display::{output, table};
use crate::failure::Failure;

/// Lists plugins or shows one.
pub fn tasks(command: Tasks, registry: &Registry) -> Result<(), Failure> {
    match command {
        Tasks::List { listing } if listing.format == Format::Json => {
            output::document(&registry.iter().map(document).collect::<Vec<_>>())
        }
        Tasks::List { .. } => {
            let mut plugins = Listing::new(&["uses", "outputs", "what it does"]);
            for plugin in registry.iter() {
                let ports: Vec<&str> = plugin.outputs.iter().map(|port| port.name).collect();
                plugins.row([plugin.name, &ports.join(", "), plugin.summary]);
            }
            table::print(&plugins, "there are no plugins");
            Ok(())
        }
        Tasks::Show { name, listing } => {
            let plugin = registry.get(&name).ok_or_else(|| {
                Failure::input(format!("there is no task kind `{name}`")).help("`ratchet tasks list` shows them all")
            })?;
            if listing.format == Format::Json {
                return output::document(&document(plugin));
            }
            output::line(&page(plugin));
            Ok(())
        }
    }
}

fn kind(port: PortKind) -> &'static str {
    match port {
        PortKind::Table => "table",
        PortKind::Model => "model",
        PortKind::Lookup => "lookup",
        PortKind::Report => "report",
        PortKind::Value => "value",
        PortKind::Any => "any",
    }
}

fn document(plugin: &PluginEntry) -> Value {
    let outputs: Vec<Value> = plugin
        .outputs
        .iter()
        .map(|port| json!({ "name": port.name, "kind": kind(port.kind), "description": port.description }))
        .collect();
    json!({
        "uses": plugin.name, "summary": plugin.summary, "isolation": plugin.isolation, "outputs": outputs,
        "with": plugin.schema,
    })
}

fn page(plugin: &PluginEntry) -> String {
    let required: Vec<&str> = plugin.schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut with = Listing::new(&["with", "type", "what it is"]);
    for (name, field) in plugin.schema["properties"].as_object().into_iter().flatten() {
        let needed = if required.contains(&name.as_str()) {
            " (required)"
        } else {
            ""
        };
        let description = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let default = match field.get("default") {
            Some(default) if !default.is_null() && needed.is_empty() => format!(" [default: {default}]"),
            _ => String::new(),
        };
        with.row([
            format!("{name}{needed}"),
            type_of(field, &plugin.schema),
            description + &default,
        ]);
    }
    let mut outputs = Listing::new(&["output", "kind", "what it is"]);
    for port in &plugin.outputs {
        outputs.row([port.name, kind(port.kind), port.description]);
    }
    let part = |listing: &Listing| {
        if listing.is_empty() {
            String::new()
        } else {
            format!("\n\n{listing}")
        }
    };
    format!("{}\n{}{}{}", plugin.name, plugin.summary, part(&with), part(&outputs))
}

/// A word for a field's type: `text`, `table`, `list of text`.
fn type_of(field: &Value, root: &Value) -> String {
    if let Some(kind) = field["x-ratchet-kind"].as_str() {
        return kind.to_owned();
    }
    if let Some(name) = field["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix("#/$defs/"))
    {
        return type_of(&root["$defs"][name], root);
    }
    if field.get("oneOf").is_some() || field.get("enum").is_some() {
        return "choice".to_owned();
    }
    if let Some(options) = field["anyOf"].as_array() {
        let kinds: Vec<String> = options
            .iter()
            .filter(|option| option["type"].as_str() != Some("null"))
            .map(|option| type_of(option, root))
            .collect();
        return kinds.join(" or ");
    }
    let names: Vec<&str> = match &field["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect(),
        _ => return "any".to_owned(),
    };
    let words: Vec<String> = names
        .into_iter()
        .map(|name| match name {
            "array" => format!("list of {}", type_of(&field["items"], root)),
            "object" => "map".to_owned(),
            "string" => "text".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    words.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_words() {
        let root = json!({ "$defs": { "Table": { "type": "object", "x-ratchet-kind": "table" } } });
        let seen = [
            json!({ "type": "string" }),
            json!({ "type": ["integer", "null"] }),
            json!({ "$ref": "#/$defs/Table" }),
            json!({ "anyOf": [{ "$ref": "#/$defs/Table" }, { "type": "null" }] }),
            json!({ "type": "array", "items": { "type": "string" } }),
            json!(true),
        ]
        .map(|field| type_of(&field, &root));
        assert_eq!(seen, ["text", "integer", "table", "table", "list of text", "any"]);
    }
}
