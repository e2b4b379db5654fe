//! The tree.

use serde_json::{Number, Value};

/// A place in the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

/// A value and where it stands. What an alias or a merge brings in has the place of its definition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: NodeValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    Null,
    Boolean(bool),
    /// A number and how it is written. No value: JSON cannot keep it.
    Number {
        text: String,
        value: Option<Number>,
    },
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Node {
    /// The value behind a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The key and the value behind it.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.entries()
            .iter()
            .find(|(candidate, _)| candidate.text == key)
            .map(|(key, node)| (key, node))
    }

    /// The pairs of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            NodeValue::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; none for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            NodeValue::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar that may stand for text: text itself, and numbers as they are written.
    pub(crate) fn text_of_scalar(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) | NodeValue::Number { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_boolean(&self) -> Option<bool> {
        match self.value {
            NodeValue::Boolean(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<&Number> {
        match &self.value {
            NodeValue::Number { value, .. } => value.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        self.as_number().and_then(Number::as_u64)
    }

    /// Where to point: a block's own place is empty, its first key or item says more.
    pub(crate) fn place(&self) -> Span {
        let first = match &self.value {
            NodeValue::Mapping(entries) => entries.first().map(|(key, _)| key.span),
            NodeValue::Sequence(items) => items.first().map(Node::place),
            _ => None,
        };
        first.unwrap_or(self.span)
    }

    /// As JSON. Numbers that JSON cannot keep become text; they were reported by then.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Boolean(value) => Value::Bool(*value),
            NodeValue::Number { value: Some(value), .. } => Value::Number(value.clone()),
            NodeValue::Number { text, value: None } | NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeValue::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.text.clone(), node.to_json()))
                    .collect(),
            ),
        }
    }

    /// JSON as a tree whose nodes all stand at one place.
    pub(crate) fn from_json(value: &Value, span: Span) -> Self {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(value) => NodeValue::Boolean(*value),
            Value::Number(value) => NodeValue::Number {
                text: value.to_string(),
                value: Some(value.clone()),
            },
            Value::String(text) => NodeValue::Text(text.clone()),
            Value::Array(items) => NodeValue::Sequence(items.iter().map(|item| Self::from_json(item, span)).collect()),
            Value::Object(entries) => NodeValue::Mapping(
                entries
                    .iter()
                    .map(|(key, value)| {
                        (
                            Key {
                                span,
                                text: key.clone(),
                            },
                            Self::from_json(value, span),
                        )
                    })
                    .collect(),
            ),
        };
        Self { span, value }
    }

    /// The place of a JSON pointer, as far as the tree follows it.
    pub(crate) fn place_of(&self, pointer: &str) -> Span {
        let mut node = self;
        let mut place = self.place();
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                NodeValue::Mapping(_) => node.get(&token),
                NodeValue::Sequence(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
            place = node.place();
        }
        place
    }
}
