//! One query to SQLite or Postgres. Nothing is changed there: SQLite is opened for reading, Postgres reads in a transaction
//! of its own that sees one state of the database.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use ratchet_core::plugin::{ColumnType, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Database, Encode, Executor, Postgres, Row, SqlSafeStr, Sqlite,
    Statement, Type, TypeInfo, ValueRef,
};

use crate::words::count;

/// Where a query is sent.
#[derive(Clone, Debug)]
pub enum Address {
    /// A file.
    Sqlite(Box<SqliteConnectOptions>),
    /// A server.
    Postgres(Box<PgConnectOptions>),
}

/// What a query returned.
pub struct Answer {
    /// Columns in the order of the query.
    pub names: Vec<String>,
    /// Their types, where the database says them for every value.
    pub types: BTreeMap<String, ColumnType>,
    /// Their values; of what Postgres returns the text.
    pub columns: Vec<Vec<Value>>,
    /// How many rows.
    pub rows: usize,
}

impl Address {
    /// Reads an address. A relative path of SQLite is one in `working_directory`.
    ///
    /// # Errors
    /// Another kind of address. The message does not show it: a password may stand in it.
    pub fn parse(text: &str, working_directory: &Path) -> Result<Address, (String, String)> {
        let refused = |why: String| {
            (
                why,
                "write sqlite://path/to/file.db or postgres://user:password@host:5432/database".to_owned(),
            )
        };
        match text.split(':').next().unwrap_or_default() {
            "sqlite" => {
                let options = SqliteConnectOptions::from_str(text)
                    .map_err(|error| refused(format!("the address of the database cannot be read: {error}")))?;
                let path = working_directory.join(options.get_filename());
                let options = options.filename(path).read_only(true).create_if_missing(false);
                Ok(Address::Sqlite(Box::new(options.disable_statement_logging())))
            }
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(text)
                    .map_err(|_| refused("the address of the Postgres database cannot be read".to_owned()))?;
                Ok(Address::Postgres(Box::new(options.disable_statement_logging())))
            }
            _ => Err(refused("the address names neither SQLite nor Postgres".to_owned())),
        }
    }

    /// The address without user and password.
    pub fn shown(&self) -> String {
        match self {
            Address::Sqlite(options) => format!("sqlite://{}", options.get_filename().display()),
            Address::Postgres(options) => format!(
                "postgres://{}:{}/{}",
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
        }
    }

    /// Sends one query with its parameters.
    ///
    /// # Errors
    /// A database that cannot be reached, a query that it refuses, bytes in a column of SQLite, names that stand twice.
    pub async fn ask(&self, sql: &str, parameters: &[Value]) -> Result<Answer, TaskError> {
        match self {
            Address::Sqlite(options) => {
                let mut connection = options.connect().await.map_err(|error| self.unreachable(&error))?;
                let answer = self.ask_sqlite(&mut connection, sql, parameters).await;
                // What was read is there, whatever the end of the connection says.
                let _ = connection.close().await;
                answer
            }
            Address::Postgres(options) => {
                let mut connection = options.connect().await.map_err(|error| self.unreachable(&error))?;
                let answer = self.ask_postgres(&mut connection, sql, parameters).await;
                let _ = connection.close().await;
                answer
            }
        }
    }

    async fn ask_sqlite(
        &self,
        connection: &mut SqliteConnection,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Answer, TaskError> {
        let refused = |error: sqlx::Error| self.refused(&error);
        let prepared = (&mut *connection)
            .prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())
            .await
            .map_err(refused)?;
        let names = names(prepared.columns());
        self.check(&names)?;
        let query = bind(sqlx::query::<Sqlite>(AssertSqlSafe(sql.to_owned())), parameters);
        let rows = query.fetch_all(&mut *connection).await.map_err(refused)?;
        let mut columns = vec![Vec::with_capacity(rows.len()); names.len()];
        for (number, row) in rows.iter().enumerate() {
            for (index, column) in columns.iter_mut().enumerate() {
                let value = sqlite_value(row, index).map_err(refused)?;
                column.push(value.ok_or_else(|| {
                    let name = &names[index];
                    TaskError::permanent(format!("{}, row {number}: column `{name}` holds bytes", self.shown()))
                        .with_help(format!("leave `{name}` out, or write hex({name}) in the query"))
                })?);
            }
        }
        Ok(Answer {
            names,
            types: BTreeMap::new(),
            columns,
            rows: rows.len(),
        })
    }

    async fn ask_postgres(
        &self,
        connection: &mut PgConnection,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Answer, TaskError> {
        let refused = |error: sqlx::Error| self.refused(&error);
        let mut reading = connection
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(refused)?;
        let settings = "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL extra_float_digits = 1";
        sqlx::raw_sql(settings).execute(&mut *reading).await.map_err(refused)?;
        let prepared = (&mut *reading)
            .prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())
            .await
            .map_err(refused)?;
        let described: Vec<(String, String)> = prepared
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_info().name().to_owned()))
            .collect();
        let names: Vec<String> = described.iter().map(|(name, _)| name.clone()).collect();
        self.check(&names)?;
        let query = bind(
            sqlx::query::<Postgres>(AssertSqlSafe(as_text(sql, &described))),
            parameters,
        );
        let rows = query.fetch_all(&mut *reading).await.map_err(refused)?;
        let mut columns = vec![Vec::with_capacity(rows.len()); names.len()];
        for row in &rows {
            for (index, column) in columns.iter_mut().enumerate() {
                let text: Option<String> = row.try_get(index).map_err(refused)?;
                column.push(text.map_or(Value::Null, Value::String));
            }
        }
        let types = described.into_iter().map(|(name, kind)| (name, column_type(&kind)));
        Ok(Answer {
            types: types.collect(),
            names,
            columns,
            rows: rows.len(),
        })
    }

    fn check(&self, names: &[String]) -> Result<(), TaskError> {
        let twice = names
            .iter()
            .enumerate()
            .find(|(index, name)| names[..*index].contains(name));
        match twice {
            None => Ok(()),
            Some((_, name)) => Err(TaskError::permanent(format!("the query returns two columns `{name}`"))
                .with_help("name one of them otherwise with AS")),
        }
    }

    fn unreachable(&self, error: &sqlx::Error) -> TaskError {
        let message = format!("{} cannot be opened: {error}", self.shown());
        let help = "check the address, the user and the password, and that this machine may connect";
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => TaskError::transient(message).with_help(help),
            _ => TaskError::permanent(message).with_help(help),
        }
    }

    fn refused(&self, error: &sqlx::Error) -> TaskError {
        let message = format!("{} refuses the query: {error}", self.shown());
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
                TaskError::transient(format!("{}: the connection broke: {error}", self.shown()))
            }
            // A parameter is text, a number, true or false: what it is meant as only the query can say.
            _ if message.contains("operator does not exist") => {
                TaskError::permanent(message).with_help("say what a parameter is meant as, such as $1::date")
            }
            _ => TaskError::permanent(message).with_help("try the query with a client of the database"),
        }
    }
}

fn names<C: Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}

fn bind<'q, D: Database>(mut query: Query<'q, D, D::Arguments>, parameters: &[Value]) -> Query<'q, D, D::Arguments>
where
    for<'t> bool: Encode<'t, D> + Type<D>,
    for<'t> i64: Encode<'t, D> + Type<D>,
    for<'t> f64: Encode<'t, D> + Type<D>,
    for<'t> Option<String>: Encode<'t, D> + Type<D>,
{
    for parameter in parameters {
        query = match parameter {
            Value::Bool(truth) => query.bind(*truth),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => query.bind(whole),
                None => query.bind(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => query.bind(Some(text.clone())),
            _ => query.bind(None::<String>),
        };
    }
    query
}

/// A value as it is stored; none for bytes.
fn sqlite_value(row: &SqliteRow, index: usize) -> Result<Option<Value>, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(Some(Value::Null));
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Some(Value::from(row.try_get::<i64, _>(index)?)),
        "REAL" => Some(Value::from(row.try_get::<f64, _>(index)?)),
        "TEXT" => Some(Value::from(row.try_get::<String, _>(index)?)),
        _ => None,
    })
}

/// The query with every column as text: one spelling for whatever types a server has.
fn as_text(sql: &str, columns: &[(String, String)]) -> String {
    let columns = columns.iter().map(|(name, kind)| {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        match kind.as_str() {
            "TIMESTAMPTZ" => format!("({quoted} AT TIME ZONE 'UTC')::text"),
            _ => format!("{quoted}::text"),
        }
    });
    let columns: Vec<String> = columns.collect();
    let sql = sql.trim_end().trim_end_matches(';');
    format!("SELECT {} FROM ({sql}\n) AS extracted", columns.join(", "))
}

/// The table's type for a type of Postgres.
fn column_type(kind: &str) -> ColumnType {
    match kind {
        "INT2" | "INT4" | "INT8" | "OID" => ColumnType::Integer,
        "FLOAT4" | "FLOAT8" | "NUMERIC" => ColumnType::Number,
        "BOOL" => ColumnType::Boolean,
        "DATE" => ColumnType::Date,
        "TIMESTAMP" | "TIMESTAMPTZ" => ColumnType::Timestamp,
        _ => ColumnType::Text,
    }
}

/// The first line of what is kept.
#[derive(Serialize, Deserialize)]
struct Heading {
    columns: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<String, ColumnType>,
}

impl Answer {
    /// The rows as they came, which are kept before anything is made of them: a line that names the columns and the types that the
    /// database says, then a JSON object for each row.
    pub fn to_lines(&self) -> Vec<u8> {
        let heading = Heading {
            columns: self.names.clone(),
            types: self.types.clone(),
        };
        let mut lines = json!(heading).to_string().into_bytes();
        for row in 0..self.rows {
            let pairs = self.names.iter().zip(&self.columns);
            let object: serde_json::Map<String, Value> = pairs
                .map(|(name, column)| (name.clone(), column[row].clone()))
                .collect();
            lines.push(b'\n');
            lines.extend_from_slice(Value::Object(object).to_string().as_bytes());
        }
        lines
    }

    /// What [`to_lines`](Self::to_lines) wrote.
    ///
    /// # Errors
    /// Lines that it did not write, by their number.
    pub fn from_lines(lines: &[u8]) -> Result<Answer, String> {
        let mut lines = lines.split(|byte| *byte == b'\n').zip(1..);
        let said = |number: u64| move |error: serde_json::Error| format!("line {number}: {error}");
        let (first, number) = lines.next().unwrap_or_default();
        let heading: Heading = serde_json::from_slice(first).map_err(said(number))?;
        let mut columns = vec![Vec::new(); heading.columns.len()];
        let mut rows = 0;
        for (line, number) in lines {
            let mut row: serde_json::Map<String, Value> = serde_json::from_slice(line).map_err(said(number))?;
            for (name, column) in heading.columns.iter().zip(&mut columns) {
                column.push(row.remove(name).unwrap_or_default());
            }
            rows += 1;
        }
        Ok(Answer {
            names: heading.columns,
            types: heading.types,
            columns,
            rows,
        })
    }

    /// How many rows and columns, for people.
    pub fn size(&self) -> String {
        format!("{} rows of {} columns", count(self.rows as u64), self.names.len())
    }
}
