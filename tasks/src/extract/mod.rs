//! Records in: bytes from somewhere become a table.

mod answers;
mod columns;
mod content;
mod database;
mod delimited;
mod download;
mod file;
mod format;
mod hand_on;
mod http;
mod infer;
mod json;
mod pages;
mod records;
mod service;
mod source;
mod sql;
mod web;
mod workbook;

pub use file::{File, FileConfig};
pub use format::FileFormat;
pub use http::{Http, HttpConfig};
pub use pages::{Cursor, NextLink, Number, Offset, Pages};
pub use records::{Records, RecordsConfig};
pub use sql::{Sql, SqlConfig};
