//! Text -> tree, with the place and the source text of each node.
//!
//! serde stops at its first error and loses places in generic configurations, so a file is read once into this tree and
//! everything else is checked against it. Plain scalars are resolved here, by YAML 1.2's core schema and from the text
//! as it stands in the file: `1.10` and `010` keep their text, `yes` is text.

mod error;
mod node;
mod parse;
mod scalar;

pub(crate) use node::{Key, Node, NodeValue, Span};
pub(crate) use parse::parse;
