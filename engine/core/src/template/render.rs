//! Whole JSON trees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::TemplateError;
use super::evaluate::value_of;
use super::expression::{Expression, Reference, references_of};
use super::pieces::{Piece, has_expression, pieces, whole_expression};

/// What expressions read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Parameters by name.
    pub params: BTreeMap<String, Value>,
    /// Ports of finished tasks, as [`crate::plugin::Output::to_json`] gives them. Absent ports are undefined.
    pub tasks: BTreeMap<String, BTreeMap<String, Value>>,
    /// `{id, logical_date, interval_start, interval_end}`, see [`super::RUN_FIELDS`].
    pub run: Value,
    /// Secrets by name: those that were found. Whoever fills them masks what comes of it.
    pub secrets: BTreeMap<String, Value>,
    /// What the instance at hand of a task with `foreach` was made for.
    pub each: Option<Each>,
}

/// One item of a list and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// Read as `item`.
    pub item: Value,
    /// A whole number from 0, read as `index`.
    pub index: Value,
}

impl Each {
    /// The item at that place.
    pub fn new(item: Value, index: usize) -> Self {
        Self {
            item,
            index: Value::from(index),
        }
    }
}

/// Renders every text of a tree, once. Keys stay as they are.
///
/// # Errors
///
/// The first expression that cannot be read or has no value; a value inside a longer text that is none.
pub fn render(value: &Value, scope: &Scope) -> Result<Value, TemplateError> {
    match value {
        Value::String(text) => render_text(text, scope),
        Value::Array(items) => items.iter().map(|item| render(item, scope)).collect(),
        Value::Object(entries) => {
            let rendered = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), render(value, scope)?)));
            rendered.collect::<Result<_, _>>().map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
    }
}

fn render_text(text: &str, scope: &Scope) -> Result<Value, TemplateError> {
    if !has_expression(text) {
        return Ok(Value::String(text.to_owned()));
    }
    if let Some(source) = whole_expression(text) {
        return value_of(&Expression::parse(source)?, scope);
    }
    let mut rendered = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(plain) => rendered.push_str(plain),
            Piece::Expression(source) => match value_of(&Expression::parse(source)?, scope)? {
                Value::String(text) => rendered.push_str(&text),
                Value::Null => {
                    return Err(TemplateError::new(source, "the value is none, inside a longer text")
                        .with_help("say what to write instead: `| default('', true)`"));
                }
                other => rendered.push_str(&other.to_string()),
            },
        }
    }
    Ok(Value::String(rendered))
}

/// Everything that the expressions of a tree read.
///
/// # Errors
///
/// The first expression that cannot be read.
pub fn references(value: &Value) -> Result<BTreeSet<Reference>, TemplateError> {
    let mut found = BTreeSet::new();
    collect(value, &mut found)?;
    Ok(found)
}

fn collect(value: &Value, found: &mut BTreeSet<Reference>) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => found.extend(references_of(text)?),
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, found))?,
        Value::Object(entries) => entries.values().try_for_each(|value| collect(value, found))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::evaluate;

    fn scope() -> Scope {
        let params = BTreeMap::from([
            ("n".to_owned(), json!(360)),
            ("s".to_owned(), json!("${{ params.n }}")),
            ("f".to_owned(), json!(0.1)),
        ]);
        let ports = BTreeMap::from([
            ("table".to_owned(), json!({"rows": 3})),
            ("better".to_owned(), json!(true)),
        ]);
        let tasks = BTreeMap::from([("my-task".to_owned(), ports)]);
        Scope {
            params,
            tasks,
            run: json!({"id": "r1", "logical_date": "2024-01-01T00:00:00Z"}),
            secrets: BTreeMap::from([("TOKEN".to_owned(), json!("hunter2"))]),
            each: None,
        }
    }

    fn rendered(value: Value) -> Value {
        render(&value, &scope()).unwrap()
    }

    /// Y-031
    #[test]
    fn a_text_that_is_one_expression_keeps_its_type() {
        assert_eq!(rendered(json!("${{ params.n }}")), json!(360));
        assert_eq!(rendered(json!("${{ params.n / 2 }}")), json!(180.0));
        assert_eq!(rendered(json!("${{ tasks.my-task.table }}")), json!({"rows": 3}));
        assert_eq!(
            rendered(json!(["${{ [params.f, none, true] }}"])),
            json!([[0.1, null, true]])
        );
        assert_eq!(rendered(json!("${{ tasks.my-task.table.rows - 1 }}")), json!(2));
    }

    /// Y-032
    #[test]
    fn an_expression_in_a_longer_text_is_written_into_it() {
        assert_eq!(
            rendered(json!("above ${{ params.n }} s, ${{ run.id }}")),
            json!("above 360 s, r1")
        );
        assert_eq!(rendered(json!(" ${{ params.n }}")), json!(" 360"));
        let error = render(&json!("a ${{ none }}"), &scope()).unwrap_err();
        assert!(error.to_string().contains("none, inside a longer text"));
    }

    /// Y-033
    #[test]
    fn everything_is_rendered_once() {
        assert_eq!(rendered(json!("${{ params.s }}")), json!("${{ params.n }}"));
        assert_eq!(rendered(json!("x${{ params.s }}")), json!("x${{ params.n }}"));
        assert_eq!(rendered(json!("${{ '${{ x }}' }}")), json!("${{ x }}"));
    }

    /// Y-034
    #[test]
    fn what_is_absent_is_an_error_unless_default_catches_it() {
        assert_eq!(
            rendered(json!("${{ tasks.skipped.table | default(none) }}")),
            Value::Null
        );
        assert_eq!(
            rendered(json!("${{ tasks.my-task.report | default('x') }}")),
            json!("x")
        );
        for source in [
            "${{ tasks.skipped.table }}",
            "${{ tasks.skipped.table.rows }}",
            "${{ tasks.skipped.table and true }}",
        ] {
            let error = render(&json!(source), &scope()).unwrap_err().to_string();
            assert!(error.contains("task `skipped` left no `table`"), "{error}");
        }
        assert!(
            render(&json!("${{ params.m }}"), &scope())
                .unwrap_err()
                .to_string()
                .contains("-p m=")
        );
        assert!(render(&json!("${{ tasks.my-task.table.columns }}"), &scope()).is_err());
        assert!(render(&json!("${{ run.interval_end }}"), &scope()).is_err());
    }

    #[test]
    fn secrets_are_read_by_name_and_a_missing_one_names_the_places() {
        assert_eq!(rendered(json!("${{ secrets.TOKEN }}")), json!("hunter2"));
        assert_eq!(rendered(json!("Bearer ${{ secrets.TOKEN }}")), json!("Bearer hunter2"));
        assert_eq!(rendered(json!("${{ secrets.OTHER | default('none') }}")), json!("none"));
        let error = render(&json!("${{ secrets.OTHER }}"), &scope())
            .unwrap_err()
            .to_string();
        for place in [
            "RATCHET_SECRET_OTHER",
            "RATCHET_SECRETS_FILE",
            "RATCHET_SECRETS_DIRECTORY",
        ] {
            assert!(error.contains(place), "{error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_instance_reads_its_item_and_its_place() {
        let mut scope = scope();
        let value = json!([
            "${{ item }}",
            "${{ item.name }}-${{ index }}",
            "${{ dict(item=1).item }}"
        ]);
        let error = render(&value, &scope).unwrap_err().to_string();
        assert!(
            error.contains("`item` is only there in a task with `foreach`"),
            "{error}"
        );
        scope.each = Some(Each::new(json!({ "name": "a" }), 7));
        assert_eq!(render(&value, &scope).unwrap(), json!([{ "name": "a" }, "a-7", 1]));
        let found = references(&json!("${{ item.name }} ${{ dict(index=1) }}")).unwrap();
        assert_eq!(
            found,
            BTreeSet::from([Reference::Item]),
            "a name of an argument is none"
        );
    }

    #[test]
    fn results_that_json_cannot_keep_are_errors() {
        for source in [
            "1.0 / 0",
            "170141183460469231731687303715884105727",
            "range",
            "[1.0 / 0]",
        ] {
            assert!(evaluate(source, &scope()).is_err(), "{source}");
        }
    }

    #[test]
    fn when_is_read_with_or_without_its_braces() {
        assert_eq!(evaluate("tasks.my-task.better", &scope()).unwrap(), json!(true));
        assert_eq!(
            evaluate("${{ not tasks.my-task.better }}", &scope()).unwrap(),
            json!(false)
        );
    }

    #[test]
    fn references_of_a_tree_are_all_of_it() {
        let found = references(&json!({"a": ["${{ params.n }}", {"b": "x ${{ tasks.t.p }} ${{ run.id }}"}]})).unwrap();
        let texts: Vec<String> = found.iter().map(Reference::to_string).collect();
        assert_eq!(texts, ["params.n", "tasks.t.p", "run.id"]);
    }
}
