//! One SQL statement over frames, with errors that people can use.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, IntoLazy, PolarsError, SortMultipleOptions};
use polars::sql::SQLContext;
use ratchet_core::plugin::TaskError;

use crate::nearest::{nearest, suggestion};
use crate::table;

/// Runs one SELECT on the in-memory engine and sorts what comes out by `sort` and then by all other columns, nulls
/// first: rows that tie to the end are the same in every column, so their order shows nowhere.
///
/// # Errors
/// Another statement than a query, bad syntax, unknown tables and columns (with the nearest names), whatever the
/// engine cannot do, and a sort column that the result does not have.
pub fn run(frames: BTreeMap<String, DataFrame>, sql: &str, sort: &[String]) -> Result<DataFrame, TaskError> {
    require_query(sql)?;
    let names = Names::of(&frames);
    let mut context = SQLContext::new();
    for (name, frame) in frames {
        context.register(&name, frame.lazy());
    }
    let frame = context
        .execute(sql)
        .and_then(|query| query.collect())
        .map_err(|error| explain(&error, &names))?;
    sorted(frame, sort, "the query's result")
}

/// Sorts rows by `sort` and then by all other columns, nulls first. `place` names the rows in errors.
///
/// # Errors
/// A column that is not there.
pub fn sorted(frame: DataFrame, sort: &[String], place: &str) -> Result<DataFrame, TaskError> {
    let mut order = Vec::with_capacity(frame.width());
    for name in sort {
        table::column(&frame, name, place).map_err(|mut error| {
            error.message.push_str(", but `sort` names it");
            error
        })?;
        order.push(name.clone());
    }
    for name in frame.get_column_names() {
        if !sort.iter().any(|sorted| sorted == name.as_str()) {
            order.push(name.to_string());
        }
    }
    frame
        .sort(order, SortMultipleOptions::default())
        .map_err(|error| TaskError::permanent(format!("{place} cannot be sorted: {error}")))
}

/// polars also reads DROP, DELETE and CREATE; a transformation only asks.
///
/// # Errors
/// A statement that is no query.
pub fn require_query(sql: &str) -> Result<(), TaskError> {
    let mut rest = sql.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after).trim_start()
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after).trim_start()
        } else {
            break;
        };
    }
    let rest = rest.trim_start_matches(['(', ' ', '\n', '\t', '\r']);
    let first: String = rest
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_ascii_uppercase();
    match first.as_str() {
        "SELECT" | "WITH" => Ok(()),
        "" => Err(TaskError::permanent("`sql` holds no statement").with_help("write one SELECT")),
        _ => Err(
            TaskError::permanent(format!("`sql` begins with {first}; only a query is allowed"))
                .with_help("write one SELECT (or WITH ... SELECT)"),
        ),
    }
}

/// The names that a query may use.
struct Names {
    tables: Vec<String>,
    columns: Vec<String>,
}

impl Names {
    fn of(frames: &BTreeMap<String, DataFrame>) -> Names {
        let mut columns: Vec<String> = Vec::new();
        for frame in frames.values() {
            for name in frame.get_column_names() {
                if !columns.iter().any(|known| known == name.as_str()) {
                    columns.push(name.to_string());
                }
            }
        }
        Names {
            tables: frames.keys().cloned().collect(),
            columns,
        }
    }
}

fn explain(error: &PolarsError, names: &Names) -> TaskError {
    let whole = error.to_string();
    // After the first paragraph polars prints its plan, which says nothing to whoever wrote the query.
    let text = whole.split("\n\n").next().unwrap_or(&whole);
    // The same goes for the parsed statement, which some errors show as a structure.
    let text = text.split("; found:\n").next().unwrap_or(text).trim();
    let lower = text.to_lowercase();
    let quoted = first_quoted(text);
    let columns: Vec<&str> = names.columns.iter().map(String::as_str).collect();
    let tables: Vec<&str> = names.tables.iter().map(String::as_str).collect();
    let is_column = matches!(root(error), PolarsError::ColumnNotFound(_)) || lower.contains("column");
    match quoted {
        Some(name) if lower.contains("relation") || lower.contains("table") && lower.contains("not found") => {
            TaskError::permanent(format!("`sql` names the table `{name}`, which `tables` does not"))
                .with_help(suggestion(name, &tables, "tables"))
        }
        Some(name) if matches!(root(error), PolarsError::ColumnNotFound(_)) && !columns.contains(&name) => {
            TaskError::permanent(format!("`sql` names the column `{name}`, which no table has"))
                .with_help(suggestion(name, &columns, "columns"))
        }
        Some(name) if is_column && !nearest(name, &columns).is_empty() && !columns.contains(&name) => {
            TaskError::permanent(format!("the query failed: {text}")).with_help(suggestion(name, &columns, "columns"))
        }
        _ => {
            let what = if lower.contains("syntax") || lower.contains("parser") {
                "`sql` cannot be read"
            } else {
                "the query failed"
            };
            TaskError::permanent(format!("{what}: {text}"))
        }
    }
}

fn root(error: &PolarsError) -> &PolarsError {
    match error {
        PolarsError::Context { error, .. } => root(error),
        other => other,
    }
}

fn first_quoted(text: &str) -> Option<&str> {
    let start = text.find(['\'', '"', '`'])?;
    let quote = text.get(start..)?.chars().next()?;
    let rest = text.get(start + 1..)?;
    rest.split(quote).next().filter(|name| !name.is_empty())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;

    use super::*;

    fn frames() -> BTreeMap<String, DataFrame> {
        let frame = df!("Station" => ["b", "a", "b", "a"], "Seconds" => [4_i64, 1, 3, 1], "Hour" => [1_i64, 2, 3, 4]);
        BTreeMap::from([("incidents".to_owned(), frame.unwrap())])
    }

    fn error(sql: &str) -> String {
        run(frames(), sql, &[]).unwrap_err().to_string()
    }

    #[test]
    fn rows_come_out_in_the_order_of_the_key_and_then_of_everything() {
        let frame = run(
            frames(),
            "SELECT * FROM incidents",
            &["Station".to_owned(), "Seconds".to_owned()],
        )
        .unwrap();
        let hours: Vec<i64> = frame
            .column("Hour")
            .unwrap()
            .i64()
            .unwrap()
            .into_no_null_iter()
            .collect();
        assert_eq!(hours, [2, 4, 3, 1]);
    }

    #[test]
    fn unknown_names_come_with_the_nearest_ones() {
        assert!(
            error("SELECT Secnods FROM incidents").contains("did you mean `Seconds`?"),
            "{}",
            error("SELECT Secnods FROM incidents")
        );
        let message = error("SELECT * FROM incident");
        assert!(
            message.contains("names the table `incident`") && message.contains("`incidents`"),
            "{message}"
        );
    }

    #[test]
    fn bad_statements_say_so() {
        let message = error("SELECT Seconds FROM incidents WHERE (Hour = 1");
        assert!(message.contains("cannot be read"), "{message}");
        assert!(error("DROP TABLE incidents").contains("only a query is allowed"));
        assert!(error("-- nothing\n").contains("no statement"));
        assert!(!error("SELECT Seconds + FROM incidents").contains("panicked"));
        let message = run(frames(), "SELECT Hour FROM incidents", &["Station".to_owned()])
            .unwrap_err()
            .message;
        assert_eq!(
            message,
            "the query's result has no column `Station`, but `sort` names it"
        );
    }
}
