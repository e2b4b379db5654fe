//! `filter=FIELD=VALUE`: which rows are meant.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::check::Checked;
use crate::problem::Problem;

/// Longest first, so that `>=` is not read as `>`.
const SIGNS: [(&str, Compare); 6] = [
    ("!=", Compare::NotEqual),
    ("<=", Compare::AtMost),
    (">=", Compare::AtLeast),
    ("=", Compare::Equal),
    ("<", Compare::Less),
    (">", Compare::Greater),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// A condition on one field.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    field: String,
    compare: Compare,
    value: String,
}

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice(Vec<Condition>);

impl Choice {
    /// Reads conditions such as `courier=Ada` and `minutes>=30`.
    ///
    /// # Errors
    /// 422 if one cannot be read, or the collection has no such field, or a number is compared with something else.
    pub(super) fn read(texts: &[String], checked: &Checked) -> Result<Choice, Problem> {
        let conditions = texts.iter().map(|text| condition(text, checked));
        conditions.collect::<Result<_, _>>().map(Choice)
    }

    /// Whether every row is meant.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a row is meant.
    pub(super) fn takes(&self, row: &Map<String, Value>) -> bool {
        self.0.iter().all(|condition| condition.holds(row))
    }
}

fn condition(text: &str, checked: &Checked) -> Result<Condition, Problem> {
    let wrong = |message: &str| Problem::bad_parameter(&format!("a `filter` {message}"));
    let sign = text
        .find(['=', '!', '<', '>'])
        .ok_or_else(|| wrong("is a field, one of = != < <= > >=, and a value, such as filter=minutes>=30"))?;
    let (field, rest) = text.split_at(sign);
    let (compare, value) = SIGNS
        .iter()
        .find_map(|(sign, compare)| Some((*compare, rest.strip_prefix(sign)?)))
        .ok_or_else(|| wrong("has a `!` that no `=` follows"))?;
    let property = checked
        .field(field)
        .ok_or_else(|| wrong("names a field that the collection's schema does not have"))?;
    let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "integer" | "number") && value.parse::<f64>().is_err() {
        return Err(wrong("compares a number with something that is none"));
    }
    Ok(Condition {
        field: field.to_owned(),
        compare,
        value: value.to_owned(),
    })
}

impl Condition {
    /// Rows are compared as what they hold: numbers, texts by their letters, true and false, null.
    fn holds(&self, row: &Map<String, Value>) -> bool {
        let order = match row.get(&self.field) {
            Some(Value::Number(number)) => {
                let given: Option<f64> = self.value.parse().ok();
                given
                    .zip(number.as_f64())
                    .and_then(|(given, found)| found.partial_cmp(&given))
            }
            Some(Value::String(text)) => Some(text.as_str().cmp(&self.value)),
            Some(Value::Bool(flag)) => self.value.parse::<bool>().ok().map(|given| flag.cmp(&given)),
            None | Some(Value::Null) => (self.value == "null").then_some(Ordering::Equal),
            Some(Value::Array(_) | Value::Object(_)) => None,
        };
        match self.compare {
            Compare::Equal => order == Some(Ordering::Equal),
            Compare::NotEqual => order != Some(Ordering::Equal),
            Compare::Less => order == Some(Ordering::Less),
            Compare::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Compare::Greater => order == Some(Ordering::Greater),
            Compare::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_artifacts::collections::Collection;
    use serde_json::json;

    use super::*;

    fn checked() -> Checked {
        let collection = Collection {
            name: "deliveries".to_owned(),
            key: vec!["id".to_owned()],
            schema: json!({"type": "object", "required": ["id"], "properties": {
                "id": {"type": "integer"}, "courier": {"type": ["string", "null"]}, "late": {"type": "boolean"}, "minutes": {"type": "number"},
            }}),
        };
        Checked::new(collection).unwrap()
    }

    #[test]
    fn conditions_compare_what_the_row_holds() {
        let row = json!({"id": 7, "courier": "Ada=1", "late": true, "minutes": 30.5});
        let takes = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Choice::read(&texts, &checked())
                .unwrap()
                .takes(row.as_object().unwrap())
        };
        assert!(takes(&[]));
        assert!(takes(&[
            "id=7",
            "minutes>=30.5",
            "minutes<31",
            "late=true",
            "courier=Ada=1"
        ]));
        assert!(takes(&["id!=8", "courier>Ada"]) && takes(&["minutes<=30.5"]));
        assert!(!takes(&["id=7", "minutes>30.5"]) && !takes(&["courier=null"]) && !takes(&["late=maybe"]));
        let without = json!({"id": 7, "courier": null});
        let choice = Choice::read(&["courier=null".to_owned(), "minutes!=3".to_owned()], &checked()).unwrap();
        assert!(choice.takes(without.as_object().unwrap()));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for wrong in ["id", "", "id!7", "nobody=3", "id=seven", "=3"] {
            let refused = Choice::read(&[wrong.to_owned()], &checked()).unwrap_err();
            assert_eq!(refused.status, 422, "{wrong}");
        }
    }
}
