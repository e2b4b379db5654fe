//! Rows of the log, written many at a time.

use std::fmt::Write;

use ratchet_database::Kind;
use sqlx::AssertSqlSafe;

use super::open::{Store, StoreError};

/// Rows of one statement; what is left over goes one by one.
const TOGETHER: usize = 100;
const COLUMNS: [&str; 24] = [
    "sequence",
    "id",
    "request",
    "at",
    "microseconds",
    "path",
    "caller",
    "status",
    "error",
    "model",
    "version",
    "digest",
    "alias",
    "inputs",
    "answer",
    "kind",
    "value",
    "probability",
    "lower_end",
    "upper_end",
    "slice",
    "outside",
    "beside",
    "bytes",
];

/// A row to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::record) struct NewRow {
    pub(in crate::record) id: String,
    pub(in crate::record) request: String,
    pub(in crate::record) at: i64,
    pub(in crate::record) microseconds: i64,
    pub(in crate::record) path: String,
    pub(in crate::record) caller: Option<String>,
    pub(in crate::record) status: i64,
    pub(in crate::record) error: Option<String>,
    pub(in crate::record) model: Option<String>,
    pub(in crate::record) version: Option<i64>,
    pub(in crate::record) digest: Option<String>,
    pub(in crate::record) alias: Option<String>,
    pub(in crate::record) inputs: Option<String>,
    pub(in crate::record) answer: Option<String>,
    pub(in crate::record) kind: Option<String>,
    pub(in crate::record) value: Option<f64>,
    pub(in crate::record) probability: Option<f64>,
    pub(in crate::record) lower: Option<f64>,
    pub(in crate::record) upper: Option<f64>,
    pub(in crate::record) slice: Option<String>,
    pub(in crate::record) outside: i64,
    pub(in crate::record) beside: Option<String>,
}

impl NewRow {
    /// About how many bytes it takes on disk, indexes included.
    fn bytes(&self) -> i64 {
        let texts = [&self.error, &self.inputs, &self.answer, &self.slice, &self.caller];
        let length: usize = texts.into_iter().flatten().map(String::len).sum();
        (length + self.path.len() + 500) as i64
    }
}

impl Store {
    /// Appends rows in one transaction.
    pub(in crate::record) async fn append(&self, rows: &[NewRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        let mut sequence = Store::numbers(&mut transaction, "entries", rows.len() as i64).await?;
        let (whole, rest) = rows.as_chunks::<TOGETHER>();
        let groups = whole.iter().map(|group| &group[..]).chain(rest.chunks(1));
        let (many, one) = (self.statement(TOGETHER), self.statement(1));
        for group in groups {
            let text = if group.len() == TOGETHER { &many } else { &one };
            let mut query = sqlx::query(AssertSqlSafe(text.clone()));
            for row in group {
                query = query
                    .bind(sequence)
                    .bind(&row.id)
                    .bind(&row.request)
                    .bind(row.at)
                    .bind(row.microseconds)
                    .bind(&row.path)
                    .bind(&row.caller)
                    .bind(row.status)
                    .bind(&row.error)
                    .bind(&row.model)
                    .bind(row.version)
                    .bind(&row.digest)
                    .bind(&row.alias)
                    .bind(&row.inputs)
                    .bind(&row.answer)
                    .bind(&row.kind)
                    .bind(row.value)
                    .bind(row.probability)
                    .bind(row.lower)
                    .bind(row.upper)
                    .bind(&row.slice)
                    .bind(row.outside)
                    .bind(&row.beside)
                    .bind(row.bytes());
                sequence += 1;
            }
            query.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

impl Store {
    fn statement(&self, rows: usize) -> String {
        let mut text = format!("INSERT INTO entries ({}) VALUES ", COLUMNS.join(", "));
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..COLUMNS.len() {
                let separator = if column == 0 { "" } else { ", " };
                text.push_str(separator);
                match self.kind {
                    // A name costs a search through all names before it, when it is bound.
                    Kind::Sqlite => text.push('?'),
                    // Writing to a String cannot fail.
                    Kind::Postgres => drop(write!(text, "${}", row * COLUMNS.len() + column + 1)),
                }
            }
            text.push(')');
        }
        // A write whose answer got lost is done again.
        text.push_str(" ON CONFLICT (id) DO NOTHING");
        text
    }
}
