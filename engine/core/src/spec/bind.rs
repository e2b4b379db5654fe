//! Values for a DAG's parameters, from the text of a command line or a request.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::{Dag, Param, ParamType};
use crate::diagnostics::{list, one_of};

impl Dag {
    /// Gives each parameter its value: the text given, read as the declared type, or the default.
    ///
    /// # Errors
    ///
    /// All problems, each a lower-case fragment: unknown names, missing values, wrong types, bounds, choices.
    pub fn bind(&self, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, Value>, Vec<String>> {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for name in given.keys().filter(|name| !self.params.contains_key(*name)) {
            let help = match one_of(name, self.params.keys().map(String::as_str)) {
                Some(help) => help,
                None => "it declares none".to_owned(),
            };
            problems.push(format!("`{}` has no parameter `{name}`: {help}", self.name));
        }
        for (name, param) in &self.params {
            let value = match (given.get(name), &param.default) {
                (Some(text), _) => param.read(text),
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err(format!("has no default: give it with `-p {name}=...`")),
            };
            match value {
                Ok(value) => drop(values.insert(name.clone(), value)),
                Err(problem) => problems.push(format!("parameter `{name}` {problem}")),
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

impl Param {
    /// Reads a text as the declared type and checks bounds and choices.
    ///
    /// # Errors
    ///
    /// What is wrong, as a fragment that follows the parameter's name.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let value = match self.kind {
            ParamType::String => Some(Value::String(text.to_owned())),
            ParamType::Integer => trimmed.parse::<i64>().ok().map(Value::from),
            ParamType::Number => trimmed
                .parse::<f64>()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::Number),
            ParamType::Boolean => trimmed.parse::<bool>().ok().map(Value::Bool),
        };
        let value = value.ok_or_else(|| format!("takes {}, not `{text}`", self.kind.words()))?;
        self.accept(&value)?;
        Ok(value)
    }

    /// Checks a value's type, bounds and choices.
    ///
    /// # Errors
    ///
    /// What is wrong, as a fragment that follows the parameter's name.
    pub fn accept(&self, value: &Value) -> Result<(), String> {
        let shown = shown(value);
        let fits = match self.kind {
            ParamType::String => value.is_string(),
            ParamType::Integer => value.is_i64() || value.is_u64(),
            ParamType::Number => value.is_number(),
            ParamType::Boolean => value.is_boolean(),
        };
        if !fits {
            return Err(format!("takes {}, not {shown}", self.kind.words()));
        }
        if let Some(number) = value.as_f64() {
            if let Some(least) = self.minimum.filter(|least| number < *least) {
                return Err(format!("is {shown}; it is at least {least}"));
            }
            if let Some(most) = self.maximum.filter(|most| number > *most) {
                return Err(format!("is {shown}; it is at most {most}"));
            }
        }
        let Some(choices) = self
            .choices
            .as_ref()
            .filter(|choices| !choices.iter().any(|choice| same(choice, value)))
        else {
            return Ok(());
        };
        let texts: Vec<String> = choices
            .iter()
            .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
            .collect();
        let help = value
            .as_str()
            .and_then(|text| one_of(text, texts.iter().map(String::as_str)))
            .unwrap_or_else(|| format!("one of {}", list(texts.iter().map(String::as_str))));
        Err(format!("cannot be {shown}: {help}"))
    }
}

impl ParamType {
    /// What a value of it is, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            ParamType::String => "text",
            ParamType::Integer => "a whole number",
            ParamType::Number => "a number",
            ParamType::Boolean => "`true` or `false`",
        }
    }
}

/// `1` and `1.0` are one number.
fn same(left: &Value, right: &Value) -> bool {
    left == right || left.is_number() && left.as_f64() == right.as_f64()
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}
