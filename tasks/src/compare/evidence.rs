//! The rows that judge, as both sides see them.

use std::sync::Arc;

use polars::prelude::{DataFrame, DataType};
use ratchet_core::plugin::TaskError;
use ratchet_model::{Bundle, Rows};

use super::blocks::labels;
use super::config::CompareConfig;
use super::opponent::Version;
use crate::table::{column, place_of};
use crate::train::{Line, ModelRows, numbers, read_rows, texts};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The rows that judge, those of the champion's training window left out, and what belongs to each.
pub(super) struct Evidence {
    /// As the challenger reads them.
    pub ours: Rows,
    /// As the champion reads them; none without a champion.
    pub theirs: Option<Rows>,
    /// What the answer should have been.
    pub truth: Vec<f64>,
    /// Where each row stands on its line.
    pub places: Vec<i64>,
    /// Which rows are alike.
    pub blocks: Vec<i64>,
    /// The value at the time of the question, for forecasts.
    pub persistence: Option<Vec<f64>>,
    /// Fields that make slices, with the value of each row.
    pub slices: Vec<(String, Vec<Option<Arc<str>>>)>,
    /// The truth of the rows that the challenger learnt from.
    pub training: Vec<f64>,
    /// Where the rows begin on their line.
    pub from: i64,
    /// Rows left out because the champion learnt from them.
    pub left_out: usize,
}

impl Evidence {
    /// Reads the rows of a table for both sides.
    ///
    /// # Errors
    /// A column that is not there or cannot be read.
    pub fn read(
        config: &CompareConfig,
        frame: &DataFrame,
        challenger: &Bundle,
        champion: Option<&Version>,
    ) -> Result<Self, TaskError> {
        let place = place_of(&config.table);
        let rows = |bundle: &Bundle| {
            let content = bundle.content();
            read_rows(
                frame,
                &config.table,
                &content.schema,
                &content.target,
                &Line::of(&content.window),
            )
        };
        let window = &challenger.content().window;
        let own = rows(challenger)?;
        let others = champion.map(|champion| rows(&champion.bundle)).transpose()?;

        let usable = (0..own.time.len())
            .filter(|row| !own.truth[*row].is_nan() && (window.until..window.holdout_until).contains(&own.time[*row]));
        let usable: Vec<usize> = usable.collect();
        // Neither model may have learnt from a row that judges it.
        let theirs_until = champion.map_or(window.until, |champion| champion.bundle.content().window.until);
        let from = theirs_until.max(window.until);
        let rows: Vec<usize> = usable.iter().copied().filter(|row| own.time[*row] >= from).collect();

        let in_table = |row: &usize| own.kept[*row];
        let blocks = match (&config.blocks, Line::of(window)) {
            (Some(blocks), _) => {
                let labels = labels(blocks, frame, &place)?;
                rows.iter().map(|row| labels[in_table(row)]).collect()
            }
            (None, Line::Time(_)) => rows.iter().map(|row| own.time[*row].div_euclid(DAY)).collect(),
            (None, Line::Hash(_)) => rows.iter().map(|row| own.time[*row]).collect(),
        };
        let persistence = config
            .forecast
            .as_ref()
            .and_then(|forecast| forecast.persistence.as_ref());
        let persistence = persistence
            .map(|name| numbers(column(frame, name, &place)?, &place))
            .transpose()?;
        let mut slices = Vec::new();
        for field in slice_fields(config, challenger) {
            let values = texts_of(frame, &field, &place)?;
            slices.push((field, rows.iter().map(|row| values[in_table(row)].clone()).collect()));
        }
        let learnt_from = (0..own.time.len()).filter(|row| own.time[*row] < window.until && !own.truth[*row].is_nan());
        Ok(Self {
            ours: own.rows.select(&rows),
            theirs: others.map(|others: ModelRows| others.rows.select(&rows)),
            truth: rows.iter().map(|row| own.truth[*row]).collect(),
            places: rows.iter().map(|row| own.time[*row]).collect(),
            blocks,
            persistence: persistence.map(|values| rows.iter().map(|row| values[in_table(row)]).collect()),
            slices,
            training: learnt_from.map(|row| own.truth[row]).collect(),
            from,
            left_out: usable.len() - rows.len(),
        })
    }
}

fn slice_fields(config: &CompareConfig, challenger: &Bundle) -> Vec<String> {
    let content = challenger.content();
    match &config.guard_rails.slices {
        None => Vec::new(),
        Some(rail) if !rail.fields.is_empty() => rail.fields.clone(),
        Some(_) => {
            let own = content.slices.as_ref();
            own.map(|slices| content.schema.fields[slices.field].name.clone())
                .into_iter()
                .collect()
        }
    }
}

fn texts_of(frame: &DataFrame, field: &str, place: &str) -> Result<Vec<Option<Arc<str>>>, TaskError> {
    let values = column(frame, field, place)?;
    if matches!(values.dtype(), DataType::String | DataType::Null) {
        return texts(values, place);
    }
    let numbers = numbers(values, place)?.into_iter();
    Ok(numbers
        .map(|number| Some(number.to_string().into()).filter(|_| !number.is_nan()))
        .collect())
}
