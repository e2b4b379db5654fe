//! Tables in, a table out.

mod as_of;
mod moments;
mod query;
mod resample;
mod sql;

pub use as_of::{AsOf, AsOfConfig, TimedTable};
pub(crate) use query::{require_query, sorted};
pub use resample::{Aggregation, Every, Resample, ResampleConfig};
pub use sql::{Sql, SqlConfig};

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use ratchet_core::plugin::{Output, Outputs, TaskContext, TaskError};

use crate::known::KnownColumns;
use crate::table::{self, About};
use crate::words::count;

/// One SELECT over tables; its rows come out sorted by all columns.
pub(crate) fn query(tables: BTreeMap<String, DataFrame>, sql: &str) -> Result<DataFrame, TaskError> {
    query::run(tables, sql, &[])
}

/// Writes what a transformation made, with the times at which its columns are known. `place` names the frame in errors.
async fn output(
    context: &TaskContext,
    frame: DataFrame,
    inherited: About,
    known: &KnownColumns,
    dataset: String,
    place: &str,
) -> Result<Outputs, TaskError> {
    for (name, _) in known.iter() {
        table::column(&frame, name, place).map_err(|mut error| {
            error.message.push_str(", but `known` names it");
            error
        })?;
    }
    let about = About {
        dataset,
        known: known.over(inherited.known)?,
        source: inherited.source,
        simulated: inherited.simulated,
        raw: inherited.raw,
        collected: None,
    };
    let bucket = table::open_bucket(&context.bucket_url).await?;
    let table = table::write(&bucket, frame, about).await?;
    let mark = if table.simulated { "SIMULATED " } else { "" };
    context.info(format!(
        "{mark}{} rows, {} columns",
        count(table.rows),
        table.columns.len()
    ));
    Ok(Outputs::default().with("table", Output::Table(table)))
}
