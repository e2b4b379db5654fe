//! Reads the log.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::open::{Store, StoreError};

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Of this model.
    pub model: Option<String>,
    /// Of this version.
    pub version: Option<i64>,
    /// With this HTTP status.
    pub status: Option<i64>,
    /// With this id, of the prediction or the request.
    pub id: Option<String>,
    /// By this caller.
    pub caller: Option<String>,
    /// From this moment on, milliseconds since 1970.
    pub since: Option<i64>,
    /// Before this moment.
    pub until: Option<i64>,
    /// Before this entry.
    pub before: Option<i64>,
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as the columns, which the schema explains")]
pub struct LoggedEntry {
    pub sequence: i64,
    pub id: String,
    pub request: String,
    pub at: i64,
    pub microseconds: i64,
    pub path: String,
    pub caller: Option<String>,
    pub status: i64,
    pub error: Option<String>,
    pub model: Option<String>,
    pub version: Option<i64>,
    pub digest: Option<String>,
    pub alias: Option<String>,
    pub inputs: Option<String>,
    pub answer: Option<String>,
    pub beside: Option<String>,
    pub truth: Option<f64>,
}

/// A prediction whose truth is known.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledRow {
    /// `number`, `binary` or `class`.
    pub kind: String,
    /// The prediction.
    pub value: f64,
    /// Of yes.
    pub probability: Option<f64>,
    /// Both ends of the interval.
    pub interval: Option<(f64, f64)>,
    /// The value that the model's risks go by.
    pub slice: Option<String>,
    /// What was true.
    pub truth: f64,
}

impl Store {
    /// The newest entries that pass, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self, filter: &Filter, limit: i64) -> Result<Vec<LoggedEntry>, StoreError> {
        let mut conditions = vec!["1 = 1".to_owned()];
        let mut numbers = Vec::new();
        let mut texts = Vec::new();
        // Texts come first, so that each parameter's number is known.
        for (column, text) in [("model", &filter.model), ("id", &filter.id), ("caller", &filter.caller)] {
            if let Some(text) = text {
                texts.push(text);
                let number = texts.len();
                conditions.push(match column {
                    "id" => format!("(e.id = ${number} OR e.request = ${number})"),
                    column => format!("e.{column} = ${number}"),
                });
            }
        }
        for (condition, number) in [
            ("e.version =", filter.version),
            ("e.status =", filter.status),
            ("e.at >=", filter.since),
            ("e.at <", filter.until),
            ("e.sequence <", filter.before),
        ] {
            if let Some(number) = number {
                numbers.push(number);
                conditions.push(format!("{condition} ${}", texts.len() + numbers.len()));
            }
        }
        let text = format!(
            "SELECT {LOGGED}, t.truth FROM entries e LEFT JOIN truths t ON t.prediction = COALESCE(e.beside, e.id)
             WHERE {} ORDER BY e.sequence DESC LIMIT ${}",
            conditions.join(" AND "),
            texts.len() + numbers.len() + 1
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for text in texts {
            query = query.bind(text);
        }
        for number in numbers {
            query = query.bind(number);
        }
        let rows = query.bind(limit).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Models, versions and aliases that answered since a moment, with how many rows and how many of them with a truth.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn coverage(&self, since: i64) -> Result<Vec<(String, i64, String, i64, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.model, e.version, e.alias, COUNT(*), COUNT(t.truth) FROM entries e
             LEFT JOIN truths t ON t.prediction = COALESCE(e.beside, e.id)
             WHERE e.at >= $1 AND e.status = 200 AND e.model IS NOT NULL
             GROUP BY e.model, e.version, e.alias ORDER BY e.model, e.version, e.alias",
        )
        .bind(since)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &AnyRow| {
            Ok((
                row.try_get(0)?,
                row.try_get(1)?,
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
            ))
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The newest labelled rows of a version under an alias, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn labeled(
        &self,
        (model, version, alias): (&str, i64, &str),
        since: i64,
        limit: i64,
    ) -> Result<Vec<LabeledRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.kind, e.value, e.probability, e.lower_end, e.upper_end, e.slice, t.truth FROM entries e
             JOIN truths t ON t.prediction = COALESCE(e.beside, e.id)
             WHERE e.model = $1 AND e.version = $2 AND e.alias = $3 AND e.at >= $4 AND e.status = 200
             ORDER BY e.sequence DESC LIMIT $5",
        )
        .bind(model)
        .bind(version)
        .bind(alias)
        .bind(since)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &AnyRow| {
            let ends: (Option<f64>, Option<f64>) = (row.try_get(3)?, row.try_get(4)?);
            Ok(LabeledRow {
                kind: row.try_get(0)?,
                value: row.try_get(1)?,
                probability: row.try_get(2)?,
                interval: ends.0.zip(ends.1),
                slice: row.try_get(5)?,
                truth: row.try_get(6)?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// The columns of an entry, in the order in which they are read. The truth comes behind them.
pub(super) const LOGGED: &str = "e.sequence, e.id, e.request, e.at, e.microseconds, e.path, e.caller, e.status, e.error, e.model, \
                                 e.version, e.digest, e.alias, e.inputs, e.answer, e.beside";

pub(super) fn read(row: &AnyRow) -> Result<LoggedEntry, sqlx::Error> {
    Ok(LoggedEntry {
        sequence: row.try_get(0)?,
        id: row.try_get(1)?,
        request: row.try_get(2)?,
        at: row.try_get(3)?,
        microseconds: row.try_get(4)?,
        path: row.try_get(5)?,
        caller: row.try_get(6)?,
        status: row.try_get(7)?,
        error: row.try_get(8)?,
        model: row.try_get(9)?,
        version: row.try_get(10)?,
        digest: row.try_get(11)?,
        alias: row.try_get(12)?,
        inputs: row.try_get(13)?,
        answer: row.try_get(14)?,
        beside: row.try_get(15)?,
        truth: row.try_get(16)?,
    })
}
