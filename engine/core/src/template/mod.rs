//! `${{ expression }}`: the only thing that is special in a DAG file's texts.
//!
//! No blocks and no comments: `{%s}`, `${#a[@]}` and `{{ }}` pass untouched. Expressions are minijinja's, with four
//! names to read from: `params.<name>`, `tasks.<id>.<port>`, `run.<field>` and `secrets.<name>`. A text that is one expression keeps the
//! expression's type; an expression inside a longer text is written into it. What was rendered is never rendered
//! again, and a name without a value is an error unless `default()` catches it.

mod error;
mod evaluate;
mod expression;
mod pieces;
mod render;

pub use error::TemplateError;
pub use evaluate::{evaluate, is_true, secret_places};
pub(crate) use expression::Expression;
pub use expression::{RUN_FIELDS, Reference};
pub(crate) use pieces::{Piece, has_expression, pieces, whole_expression};
pub use render::{Scope, references, render};
