//! `foreach: { items: [...], key: "${{ item.name }}", max_parallel: 4 }`: one task, an instance for each item.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::{Each, Scope, TemplateError, evaluate, render};

/// Most instances of one task.
pub const MAX_INSTANCES: usize = 10_000;

/// Longest key of an instance. It becomes part of names in the bucket.
const LONGEST_KEY: usize = 64;

/// A list that makes an instance of the task for each of its items.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreach {
    /// The list, its templates not yet rendered, or one text with an expression that gives the list.
    pub items: Value,
    /// Expression text (without `${{ }}`) that names an instance; none: they are numbered from 0.
    pub key: Option<String>,
    /// How many instances may run at once.
    pub max_parallel: Option<usize>,
    /// True if the task's `when` reads the item: then it is asked for each instance, else once for all.
    pub asks_each: bool,
}

/// One instance before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Unique in its task: letters, digits, `.`, `_` and `-`.
    pub key: String,
    /// What its templates read as `item`.
    pub item: Value,
}

/// Why a list makes no instances. `message` is a fragment that follows the task's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeachProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The item that is to blame, if it is one.
    pub item: Option<usize>,
}

impl ForeachProblem {
    fn new(message: impl Into<String>, help: &str) -> Self {
        Self {
            message: message.into(),
            help: Some(help.to_owned()),
            item: None,
        }
    }

    fn at(self, item: usize) -> Self {
        Self {
            item: Some(item),
            ..self
        }
    }

    fn template(key: &str, error: TemplateError) -> Self {
        Self {
            message: format!(
                "`{key}` of its `foreach` cannot be evaluated: `{}`: {}",
                error.expression, error.message
            ),
            help: error.help,
            item: None,
        }
    }
}

impl Foreach {
    /// The instances, in the order of the list. `scope` is what the task sees, without an item.
    ///
    /// # Errors
    ///
    /// The list cannot be rendered, is none or is too long; a key cannot be rendered, is no name, or stands twice.
    pub fn expand(&self, scope: &mut Scope) -> Result<Vec<Instance>, ForeachProblem> {
        let items = match render(&self.items, scope) {
            Ok(Value::Array(items)) => items,
            Ok(other) => {
                return Err(ForeachProblem::new(
                    format!("its `foreach` got {} where it takes a list", described(&other)),
                    "let `items` be a list, or an expression that gives one",
                ));
            }
            Err(error) => return Err(ForeachProblem::template("items", error)),
        };
        if items.len() > MAX_INSTANCES {
            return Err(ForeachProblem::new(
                format!(
                    "its `foreach` got {} items; at most {MAX_INSTANCES} make instances",
                    items.len()
                ),
                "let each item stand for a batch, such as a list of lists",
            ));
        }
        let keys = self.keys(&items, scope);
        scope.each = None;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut instances = Vec::with_capacity(items.len());
        for (place, (key, item)) in keys?.into_iter().zip(items).enumerate() {
            if let Some(first) = places.insert(key.clone(), place) {
                return Err(ForeachProblem::new(
                    format!("its `foreach` has the key `{key}` for item {first} and for item {place}"),
                    "let `key` tell them apart, or leave it out: instances are numbered then",
                )
                .at(place));
            }
            instances.push(Instance { key, item });
        }
        Ok(instances)
    }

    fn keys(&self, items: &[Value], scope: &mut Scope) -> Result<Vec<String>, ForeachProblem> {
        let Some(key) = &self.key else {
            return Ok((0..items.len()).map(|place| place.to_string()).collect());
        };
        let keys = items.iter().enumerate().map(|(place, item)| {
            scope.each = Some(Each::new(item.clone(), place));
            let value = evaluate(key, scope).map_err(|error| ForeachProblem::template("key", error).at(place))?;
            checked(value, place)
        });
        keys.collect()
    }
}

/// A key as text, if it can stand in a name.
fn checked(value: Value, place: usize) -> Result<String, ForeachProblem> {
    let key = match value {
        Value::String(text) => text,
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        other => {
            return Err(ForeachProblem::new(
                format!("its `foreach` has {} as the key of item {place}", described(&other)),
                "a key is text, a number, `true` or `false`",
            )
            .at(place));
        }
    };
    let belongs = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if key.is_empty() || key.len() > LONGEST_KEY || !key.chars().all(belongs) {
        let shown: String = key.chars().take(LONGEST_KEY).collect();
        return Err(ForeachProblem {
            message: format!("its `foreach` has `{shown}` as the key of item {place}, which is not a name"),
            help: Some(format!(
                "a key has letters, digits, `.`, `_` and `-`, at most {LONGEST_KEY}: such as `item | replace(' ', '-')`"
            )),
            item: Some(place),
        });
    }
    Ok(key)
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn expand(items: Value, key: Option<&str>) -> Result<Vec<Instance>, ForeachProblem> {
        let foreach = Foreach {
            items,
            key: key.map(str::to_owned),
            max_parallel: None,
            asks_each: false,
        };
        let mut scope = Scope {
            params: BTreeMap::from([("many".to_owned(), json!(["x", "y"])), ("one".to_owned(), json!("x"))]),
            ..Scope::default()
        };
        let instances = foreach.expand(&mut scope);
        assert_eq!(scope.each, None, "what comes next is no instance");
        instances
    }

    fn keys(items: Value, key: Option<&str>) -> Vec<String> {
        expand(items, key)
            .unwrap()
            .into_iter()
            .map(|instance| instance.key)
            .collect()
    }

    fn problem(items: Value, key: Option<&str>) -> String {
        expand(items, key).unwrap_err().message
    }

    /// Y-101
    #[test]
    fn instances_are_numbered_or_named_by_their_key() {
        assert_eq!(
            keys(json!([{"a": 1}, null, "${{ params.one }}"]), None),
            ["0", "1", "2"]
        );
        assert_eq!(keys(json!("${{ params.many }}"), Some("item")), ["x", "y"]);
        assert_eq!(keys(json!([1, 2]), Some("'batch-' ~ index")), ["batch-0", "batch-1"]);
        assert_eq!(keys(json!([true, 1.5]), Some("item")), ["true", "1.5"]);
        assert!(keys(json!([]), Some("item.name")).is_empty());
    }

    /// Y-101, Y-103
    #[test]
    fn what_makes_no_instances_is_one_clear_problem() {
        assert_eq!(
            problem(json!("${{ params.one }}"), None),
            "its `foreach` got text where it takes a list"
        );
        let many = Value::Array(vec![json!(1); MAX_INSTANCES + 1]);
        assert_eq!(
            problem(many, None),
            "its `foreach` got 10001 items; at most 10000 make instances"
        );
        assert_eq!(
            problem(json!(["a", "b", "a"]), Some("item")),
            "its `foreach` has the key `a` for item 0 and for item 2"
        );
        assert_eq!(
            problem(json!(["new york"]), Some("item")),
            "its `foreach` has `new york` as the key of item 0, which is not a name"
        );
        assert_eq!(
            problem(json!([[1]]), Some("item")),
            "its `foreach` has a list as the key of item 0"
        );
        assert!(problem(json!([{}]), Some("item.name")).starts_with("`key` of its `foreach` cannot be evaluated"));
        assert!(problem(json!("${{ params.none }}"), None).starts_with("`items` of its `foreach` cannot be evaluated"));
    }
}
