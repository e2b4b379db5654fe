//! Records in: bytes from somewhere become a table.

mod content;
mod delimited;
mod file;
mod format;
mod infer;
mod records;
mod source;

pub use file::{File, FileConfig};
pub use format::FileFormat;
