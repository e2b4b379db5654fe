//! Records in: bytes from somewhere become a table.

mod content;
mod delimited;
mod file;
mod infer;
mod source;

pub use file::{File, FileConfig};
