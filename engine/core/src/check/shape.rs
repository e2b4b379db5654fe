//! A tree against a JSON Schema, with places.
//!
//! Reads the keywords that schemars writes for configurations: `$ref`, `type`, `properties`, `required`,
//! `additionalProperties`, `propertyNames`, `items`, `prefixItems`, `enum`, `const`, `oneOf`, `anyOf`, `allOf`, and the
//! bounds. `pattern` is left to the plugin's own validation.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::bounds::{check_bounds, check_count};
use super::format;
use super::known::Known;
use super::words::{constant_text, describe, first_sentence, type_help, word_for_type};
use crate::diagnostics::{Code, Finding, list, nearest, one_of};
use crate::template::has_expression;
use crate::yaml::{Node, NodeValue, Span};

/// Schemas that lead in circles without going down the tree end here.
const MOST_DEPTH: usize = 300;

/// What `${{ }}` means in the tree at hand.
#[derive(Clone, Copy)]
pub(crate) enum Mode<'a> {
    /// Nothing is rendered here.
    Plain,
    /// It will be rendered: fits anything that its type does not contradict.
    Template(&'a Known<'a>),
    /// It was rendered: what is left is the value.
    Rendered,
}

/// A schema to check against.
pub(crate) struct Shape<'a> {
    /// The document that `$ref` points into.
    pub(crate) root: &'a Value,
    /// What `${{ }}` means.
    pub(crate) mode: Mode<'a>,
    /// The file.
    pub(crate) text: &'a str,
}

/// What a check found.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Problems.
    pub(crate) findings: Vec<Finding>,
    /// JSON pointers of numbers that stand where text is taken: they count as they are written, `1.10` and all.
    pub(crate) as_text: BTreeSet<String>,
}

/// Where the walk is.
#[derive(Clone, Copy)]
pub(crate) struct At<'p> {
    parent: Option<&'p At<'p>>,
    token: Token<'p>,
    /// Whom to blame for what is missing: the key that the value stands behind.
    owner: Span,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Token<'p> {
    Root(&'p str),
    Key(&'p str),
    Item(usize),
}

impl<'p> At<'p> {
    pub(crate) fn root(name: &'p str, owner: Span) -> Self {
        Self {
            parent: None,
            token: Token::Root(name),
            owner,
            depth: 0,
        }
    }

    fn below(&'p self, token: Token<'p>, owner: Span) -> Self {
        Self {
            parent: Some(self),
            token,
            owner,
            depth: self.depth + 1,
        }
    }

    fn same(&self) -> Self {
        Self {
            depth: self.depth + 1,
            ..*self
        }
    }

    fn pointer(&self) -> String {
        let mut pointer = self.parent.map(At::pointer).unwrap_or_default();
        match self.token {
            Token::Root(_) => {}
            Token::Key(key) => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Token::Item(index) => pointer.push_str(&format!("/{index}")),
        }
        pointer
    }

    /// What a person calls the place.
    pub(super) fn name(&self) -> String {
        match (self.token, self.parent) {
            (Token::Root(name), _) => name.to_owned(),
            (Token::Key(key), _) => format!("`{key}`"),
            (Token::Item(index), Some(parent)) => format!("item {} of {}", index + 1, parent.name()),
            (Token::Item(index), None) => format!("item {}", index + 1),
        }
    }

    fn is_description(&self) -> bool {
        matches!(self.token, Token::Key("description"))
    }

    pub(super) fn owner(&self) -> Span {
        self.owner
    }
}

impl<'a> Shape<'a> {
    pub(crate) fn check(&self, node: &Node, schema: &'a Value, at: &At<'_>, out: &mut Outcome) {
        if at.depth > MOST_DEPTH {
            out.findings.push(Finding::new(
                Code::TooLarge,
                node.place(),
                format!("{} is nested too deep", at.name()),
            ));
            return;
        }
        let schema = self.resolve(schema);
        let Value::Object(keywords) = schema else {
            return self.check_anything(node, out);
        };
        match (self.mode, node.as_text()) {
            (Mode::Rendered, _) if keywords.contains_key("x-ratchet-kind") => return,
            (Mode::Template(known), _) if keywords.contains_key("x-ratchet-kind") => {
                return self.check_kind(node, keywords, known, at, out);
            }
            (Mode::Template(known), Some(text)) if has_expression(text) => {
                // `Option<Table>` is a choice between a port's value and nothing.
                if let Some(keywords) = self.kind_branch(keywords) {
                    return self.check_kind(node, keywords, known, at, out);
                }
                return self.check_template(node, text, schema, known, at, out);
            }
            // What it reads is checked where all expressions are.
            (Mode::Plain, Some(text)) if has_expression(text) && is_rendered(keywords) => return,
            (Mode::Plain, Some(text)) if has_expression(text) && !at.is_description() && !is_condition(keywords) => {
                let message = format!("{} is not rendered: no expression works here", at.name());
                out.findings
                    .push(Finding::new(Code::BadExpression, node.span, message).with_help(
                        "`${{ }}` is rendered in `with`, `when`, `environment` and `webhook`; write the value itself",
                    ));
                return;
            }
            _ => {}
        }
        if let Some(Value::Array(schemas)) = keywords.get("allOf") {
            for schema in schemas {
                self.check(node, schema, &at.same(), out);
            }
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = keywords.get(choice) {
                self.check_choice(node, branches, &at.same(), out);
                // The properties beside a choice belong to it; anything else was said by the branch.
                if !keywords.contains_key("properties") {
                    return;
                }
            }
        }
        let constants = constants(keywords);
        if !constants.is_empty() {
            return self.check_constants(node, &constants, at, out);
        }
        if !self.check_type(node, keywords, at, out) {
            return;
        }
        match &node.value {
            NodeValue::Mapping(_) => self.check_mapping(node, keywords, at, out),
            NodeValue::Sequence(items) => self.check_sequence(node, items, keywords, at, out),
            NodeValue::Number {
                text,
                value: Some(number),
            } => {
                if !out.as_text.contains(&at.pointer()) {
                    check_bounds(node, text, number.as_f64().unwrap_or(0.0), keywords, at, out);
                }
            }
            NodeValue::Number { value: None, .. } => {
                if !out.as_text.contains(&at.pointer()) {
                    self.check_anything(node, out);
                }
            }
            NodeValue::Text(text) => self.check_text(node, text, keywords, at, out),
            NodeValue::Null | NodeValue::Boolean(_) => {}
        }
    }

    /// Follows `$ref` inside the document.
    pub(super) fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..32 {
            let target = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| target.strip_prefix('#'));
            match target.and_then(|pointer| self.root.pointer(pointer)) {
                Some(next) => schema = next,
                None => return schema,
            }
        }
        schema
    }

    /// Where everything fits, numbers still have to be kept.
    fn check_anything(&self, node: &Node, out: &mut Outcome) {
        match &node.value {
            NodeValue::Number { text, value: None } => out.findings.push(
                Finding::new(
                    Code::NumberTooLarge,
                    node.span,
                    format!("{text} cannot be kept exactly"),
                )
                .with_help("whole numbers go to 18446744073709551615, others to 1.7e308; in quotes it is text"),
            ),
            NodeValue::Sequence(items) => items.iter().for_each(|item| self.check_anything(item, out)),
            NodeValue::Mapping(entries) => entries.iter().for_each(|(_, value)| self.check_anything(value, out)),
            _ => {}
        }
    }

    /// One of a list of constants.
    pub(super) fn check_constants(&self, node: &Node, constants: &[&Value], at: &At<'_>, out: &mut Outcome) {
        let value = node.to_json();
        if constants.contains(&&value) {
            return;
        }
        if let NodeValue::Number { text, .. } = &node.value
            && constants.iter().any(|constant| constant.as_str() == Some(text))
        {
            out.as_text.insert(at.pointer());
            return;
        }
        let texts: Vec<&str> = constants.iter().filter_map(|constant| constant.as_str()).collect();
        match (&node.value, texts.is_empty()) {
            (NodeValue::Text(text), false) => out.findings.push(
                Finding::new(Code::NotAChoice, node.span, format!("{} cannot be `{text}`", at.name()))
                    .maybe_help(one_of(text, texts)),
            ),
            _ => {
                let written: Vec<String> = constants.iter().map(|constant| constant_text(constant)).collect();
                let message = format!("{} takes one of a list of values, found {}", at.name(), describe(node));
                out.findings.push(
                    Finding::new(Code::WrongType, node.place(), message)
                        .with_help(format!("one of {}", list(written.iter().map(String::as_str)))),
                );
            }
        }
    }

    /// True if the value is of a type that the schema takes; else it was reported.
    fn check_type(&self, node: &Node, keywords: &Map<String, Value>, at: &At<'_>, out: &mut Outcome) -> bool {
        let types = types(keywords);
        if types.is_empty() || types.iter().any(|kind| is_of_type(node, kind)) {
            return true;
        }
        // A number where text is taken counts as it is written. What was rendered had its chance.
        if matches!(node.value, NodeValue::Number { .. })
            && types.contains(&"string")
            && !matches!(self.mode, Mode::Rendered)
        {
            if keywords.contains_key("x-ratchet-format") {
                // `timeout: 30` lacks its unit: the notation says so better than a type would.
                self.check_text(node, node.text_of_scalar().unwrap_or_default(), keywords, at, out);
                return false;
            }
            out.as_text.insert(at.pointer());
            return true;
        }
        let expected = types
            .iter()
            .map(|kind| word_for_type(kind))
            .collect::<Vec<_>>()
            .join(" or ");
        let message = format!("{} takes {expected}, found {}", at.name(), describe(node));
        out.findings
            .push(Finding::new(Code::WrongType, node.place(), message).maybe_help(type_help(node, &types)));
        false
    }

    fn check_mapping(&self, node: &Node, keywords: &'a Map<String, Value>, at: &At<'_>, out: &mut Outcome) {
        let properties = keywords.get("properties").and_then(Value::as_object);
        let others = keywords.get("additionalProperties");
        // A misspelt key is one problem, not an unknown and a missing one.
        let mut meant = BTreeSet::new();
        for (key, value) in node.entries() {
            if let Some(format) = keywords
                .get("propertyNames")
                .and_then(|names| names.get("x-ratchet-format"))
                .and_then(Value::as_str)
            {
                self.check_format(format, key.span, &key.text, out);
            }
            let at = at.below(Token::Key(&key.text), key.span);
            match (properties.and_then(|properties| properties.get(&key.text)), others) {
                (Some(schema), _) => self.check(value, schema, &at, out),
                (None, Some(Value::Bool(false))) => {
                    let names = properties
                        .into_iter()
                        .flat_map(|properties| properties.keys().map(String::as_str));
                    let names: Vec<&str> = names.filter(|name| node.get(name).is_none()).collect();
                    meant.extend(nearest(&key.text, names.iter().copied()));
                    out.findings.push(
                        Finding::new(Code::UnknownKey, key.span, format!("unknown key `{}`", key.text))
                            .maybe_help(one_of(&key.text, names)),
                    );
                }
                (None, Some(schema)) => self.check(value, schema, &at, out),
                (None, None) => self.check_anything(value, out),
            }
        }
        let required = keywords
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        for name in required {
            if node.get(name).is_none() && !meant.contains(name) {
                let described = properties.and_then(|properties| properties.get(name)?.get("description")?.as_str());
                let help = described.map(|description| format!("`{name}`: {}", first_sentence(description)));
                out.findings.push(
                    Finding::new(
                        Code::MissingKey,
                        at.owner,
                        format!("{} lacks the key `{name}`", at.name()),
                    )
                    .maybe_help(help),
                );
            }
        }
        let count = node.entries().len();
        check_count(count, "keys", "Properties", node, keywords, at, out);
    }

    fn check_sequence(
        &self,
        node: &Node,
        items: &[Node],
        keywords: &'a Map<String, Value>,
        at: &At<'_>,
        out: &mut Outcome,
    ) {
        let prefix = keywords.get("prefixItems").and_then(Value::as_array);
        for (index, item) in items.iter().enumerate() {
            let at = at.below(Token::Item(index), item.place());
            let schema = prefix
                .and_then(|schemas| schemas.get(index))
                .or_else(|| keywords.get("items"));
            match schema {
                Some(schema) => self.check(item, schema, &at, out),
                None => self.check_anything(item, out),
            }
        }
        check_count(items.len(), "items", "Items", node, keywords, at, out);
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut seen = BTreeSet::new();
            for item in items {
                if !seen.insert(item.to_json().to_string()) {
                    let message = format!("{} stands twice in {}", describe(item), at.name());
                    out.findings
                        .push(Finding::new(Code::OutOfBounds, item.place(), message));
                }
            }
        }
    }

    fn check_text(&self, node: &Node, text: &str, keywords: &Map<String, Value>, at: &At<'_>, out: &mut Outcome) {
        if let Some(format) = keywords.get("x-ratchet-format").and_then(Value::as_str) {
            return self.check_format(format, node.span, text, out);
        }
        let length = text.chars().count() as u64;
        let bound = |name: &str| keywords.get(name).and_then(Value::as_u64);
        if let Some(least) = bound("minLength").filter(|least| length < *least) {
            let message = match least {
                1 => format!("{} is empty", at.name()),
                _ => format!("{} has {length} characters; it has at least {least}", at.name()),
            };
            out.findings.push(Finding::new(Code::OutOfBounds, node.span, message));
        }
        if let Some(most) = bound("maxLength").filter(|most| length > *most) {
            let message = format!("{} has {length} characters; it has at most {most}", at.name());
            out.findings.push(Finding::new(Code::OutOfBounds, node.span, message));
        }
    }

    fn check_format(&self, format: &str, span: Span, text: &str, out: &mut Outcome) {
        if let Err(problem) = format::check(format, text) {
            let place = match &problem.part {
                Some(part) => format::range_of(self.text, span, text, part),
                None => span,
            };
            out.findings
                .push(Finding::new(problem.code, place, problem.message).maybe_help(problem.help));
        }
    }
}

/// `const` or `enum`.
pub(super) fn constants(keywords: &Map<String, Value>) -> Vec<&Value> {
    match (keywords.get("const"), keywords.get("enum")) {
        (Some(constant), _) => vec![constant],
        (None, Some(Value::Array(constants))) => constants.iter().collect(),
        _ => Vec::new(),
    }
}

fn types(keywords: &Map<String, Value>) -> Vec<&str> {
    match keywords.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// True if a branch of a choice takes values of that type at all.
pub(super) fn takes(keywords: &Map<String, Value>, node: &Node) -> bool {
    let types = types(keywords);
    types.is_empty()
        || types.iter().any(|kind| is_of_type(node, kind))
        || matches!(node.value, NodeValue::Number { .. }) && types.contains(&"string")
}

fn is_of_type(node: &Node, kind: &str) -> bool {
    match (&node.value, kind) {
        (NodeValue::Null, "null") | (NodeValue::Boolean(_), "boolean") | (NodeValue::Text(_), "string") => true,
        (NodeValue::Number { .. }, "number")
        | (NodeValue::Sequence(_), "array")
        | (NodeValue::Mapping(_), "object") => true,
        (NodeValue::Number { text, value }, "integer") => match value {
            Some(number) => number.is_i64() || number.is_u64(),
            // Reported as too large, not as no whole number.
            None => !text.contains(['.', 'e', 'E']),
        },
        _ => false,
    }
}

fn is_rendered(keywords: &Map<String, Value>) -> bool {
    keywords.get("x-ratchet-rendered") == Some(&Value::Bool(true))
}

fn is_condition(keywords: &Map<String, Value>) -> bool {
    keywords.get("x-ratchet-format").and_then(Value::as_str) == Some("condition")
}
