//! The end of every extraction: the frame becomes a table that says where it comes from.

use polars::prelude::DataFrame;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{Output, Outputs, Port, PortKind, TaskContext, TaskError};

use crate::known::KnownColumns;
use crate::table::{self, About};
use crate::words::count;

/// The port of every extraction.
pub fn port(description: &'static str) -> Vec<Port> {
    vec![Port {
        name: "table",
        kind: PortKind::Table,
        description,
    }]
}

/// Writes the table and says how large it is.
///
/// # Errors
/// A column of `known` that is not there, and as [`table::write`].
pub async fn hand_on(
    bucket: &Bucket,
    frame: DataFrame,
    known: &KnownColumns,
    about: About,
    context: &TaskContext,
) -> Result<Outputs, TaskError> {
    for (name, _) in known.iter() {
        table::column(&frame, name, &format!("`{}`", about.source)).map_err(|mut error| {
            error.message.push_str(", but `known` names it");
            error
        })?;
    }
    let about = About {
        known: known.to_map(),
        ..about
    };
    let table = table::write(bucket, frame, about).await?;
    context.info(format!(
        "{}{} rows, {} columns from {}",
        if table.simulated { "SIMULATED " } else { "" },
        count(table.rows),
        table.columns.len(),
        table.source
    ));
    Ok(Outputs::default().with("table", Output::Table(table)))
}
