//! What a version would break for those who ask its model: requests that were right and would be refused, answers that would miss a field.

use serde_json::{Map, Value};

use crate::bundle::Bundle;
use crate::schema::{FieldKind, Schema};

/// What those who ask `before` would lose if `after` answered in its place, a sentence each; empty if they would not notice.
pub fn breaking_changes(before: &Bundle, after: &Bundle) -> Vec<String> {
    let mut changes = requests(before.schema(), after.schema());
    changes.extend(answers(&before.answer_schema(), &after.answer_schema()));
    if before.answer_only() != after.answer_only() {
        changes.push("answers hold the published field alone in one of the two versions".to_owned());
    }
    if let Some(route) = before.route().filter(|route| after.route() != Some(*route)) {
        changes.push(format!("it no longer answers at {route}"));
    }
    changes
}

fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Number => "a number",
        FieldKind::Text => "a text",
        FieldKind::Timestamp => "a time",
    }
}

fn requests(before: &Schema, after: &Schema) -> Vec<String> {
    let mut changes = Vec::new();
    for field in &after.fields {
        let name = &field.name;
        let Some(earlier) = before.position(name).map(|position| &before.fields[position]) else {
            changes.push(format!("it asks for `{name}`, which nobody sends yet"));
            continue;
        };
        if earlier.kind != field.kind {
            let (now, was) = (kind_name(field.kind), kind_name(earlier.kind));
            changes.push(format!("`{name}` has to be {now}, it was {was}"));
        } else if earlier.nullable && !field.nullable {
            changes.push(format!("`{name}` may no longer be null"));
        }
    }
    let gone = before
        .fields
        .iter()
        .map(|field| &field.name)
        .chain(before.unused.iter().map(|field| &field.name))
        .filter(|name| after.position(name).is_none() && !after.unused.iter().any(|field| field.name == **name));
    changes.extend(gone.map(|name| format!("it refuses `{name}`, which is sent now")));
    changes
}

fn answers(before: &Value, after: &Value) -> Vec<String> {
    let properties =
        |schema: &Value| -> Map<String, Value> { schema["properties"].as_object().cloned().unwrap_or_default() };
    let after = properties(after);
    let mut changes = Vec::new();
    for (name, earlier) in properties(before) {
        let Some(now) = after.get(&name) else {
            changes.push(format!("its answers no longer hold `{name}`"));
            continue;
        };
        if earlier["type"] != now["type"] {
            changes.push(format!(
                "`{name}` in its answers is {}, it was {}",
                now["type"], earlier["type"]
            ));
        } else if earlier["enum"] != now["enum"] {
            changes.push(format!("`{name}` in its answers has other classes"));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{Field, Known};

    fn schema(fields: &[(&str, FieldKind, bool)]) -> Schema {
        let fields = fields.iter().map(|(name, kind, nullable)| Field {
            name: (*name).to_owned(),
            kind: *kind,
            known: Known::Call,
            nullable: *nullable,
        });
        Schema {
            fields: fields.collect(),
            ..Schema::default()
        }
    }

    #[test]
    fn requests_that_were_right_stay_right_or_it_is_said_why_not() {
        use FieldKind::{Number, Text};
        let before = schema(&[("a", Number, true), ("b", Text, false), ("c", Number, false)]);
        assert_eq!(requests(&before, &before), Vec::<String>::new());
        let wider = schema(&[("c", Number, true), ("b", Text, true), ("a", Number, true)]);
        assert_eq!(
            requests(&before, &wider),
            Vec::<String>::new(),
            "order and leniency break nothing"
        );
        let after = schema(&[("a", Number, false), ("b", Number, false), ("d", Text, true)]);
        assert_eq!(
            requests(&before, &after),
            [
                "`a` may no longer be null",
                "`b` has to be a number, it was a text",
                "it asks for `d`, which nobody sends yet",
                "it refuses `c`, which is sent now",
            ]
        );
    }

    #[test]
    fn answers_may_hold_more_and_not_less() {
        let before = json!({"properties": {"seconds": {"type": "number"}, "interval": {"type": "object"}, "class": {"type": "integer", "enum": [1, 2]}}});
        let mut after = before.clone();
        after["properties"]["risk"] = json!({"type": "number"});
        assert_eq!(answers(&before, &after), Vec::<String>::new());
        let after = json!({"properties": {"seconds": {"type": "boolean"}, "class": {"type": "integer", "enum": [1]}}});
        assert_eq!(
            answers(&before, &after),
            [
                "`class` in its answers has other classes",
                "its answers no longer hold `interval`",
                "`seconds` in its answers is \"boolean\", it was \"number\"",
            ]
        );
    }
}
