//! Which rows are alike: they are drawn together when a comparison is bootstrapped.
//!
//! A split by time draws whole days. A split by hash draws the rows of one key together and otherwise single rows, unless
//! the configuration names what makes rows alike: a courier, or a cell of latitude and longitude. Drawing single rows
//! where neighbors are alike promotes too easily.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, DataType};
use ratchet_core::plugin::TaskError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::table::column;
use crate::train::{Line, numbers, texts};

/// Columns whose values make rows alike.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockConfig {
    /// Rows that agree in all of these columns are drawn together.
    pub columns: Vec<String>,
    /// Numbers count as the same within cells of this width, such as 0.5 degrees. Default: only equal numbers do.
    #[serde(default)]
    pub cell: Option<f64>,
}

impl BlockConfig {
    /// What is wrong with it, and the remedy.
    pub fn problem(&self) -> Option<(String, String)> {
        if self.columns.is_empty() {
            return Some((
                "`blocks` names no column".to_owned(),
                "name the columns, or leave `blocks` out".to_owned(),
            ));
        }
        let cell = self.cell.filter(|cell| !cell.is_finite() || *cell <= 0.0)?;
        Some((
            format!("a cell of width {cell} holds nothing"),
            "write a width above 0, such as 0.5".to_owned(),
        ))
    }
}

/// What a block is called in a sentence.
pub fn noun(config: Option<&BlockConfig>, line: &Line<'_>) -> String {
    match (config, line) {
        (Some(config), _) if config.cell.is_some() => format!("cells of {}", config.columns.join(" and ")),
        (Some(config), _) => format!("values of {}", config.columns.join(" and ")),
        (None, Line::Time(_)) => "days".to_owned(),
        (None, Line::Hash(key)) => format!("values of {}", key.join(" and ")),
    }
}

/// The block of each row of the table, as numbers from 0 in the order of their first row.
///
/// # Errors
/// A column that is not there or is neither numbers nor text.
pub fn labels(config: &BlockConfig, frame: &DataFrame, place: &str) -> Result<Vec<i64>, TaskError> {
    let mut keys = vec![String::new(); frame.height()];
    for name in &config.columns {
        let values = column(frame, name, place)?;
        if values.dtype() == &DataType::String {
            for (key, text) in keys.iter_mut().zip(texts(values, place)?) {
                key.push_str(&format!("{text:?}\u{1f}"));
            }
        } else {
            for (key, number) in keys.iter_mut().zip(numbers(values, place)?) {
                let cell = config.cell.map_or(number, |cell| (number / cell).floor());
                key.push_str(&format!("{cell}\u{1f}"));
            }
        }
    }
    let mut known: BTreeMap<String, i64> = BTreeMap::new();
    let labels = keys.into_iter().map(|key| {
        let next = known.len() as i64;
        *known.entry(key).or_insert(next)
    });
    Ok(labels.collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;

    use super::*;

    #[test]
    fn rows_of_one_cell_are_one_block() {
        let frame = df!("x" => [-0.1, 0.1, 0.4, 0.6], "who" => ["a", "a", "b", "a "]).unwrap();
        let of = |columns: &[&str], cell| {
            let columns = columns.iter().map(|name| (*name).to_owned()).collect();
            labels(&BlockConfig { columns, cell }, &frame, "the table").unwrap()
        };
        assert_eq!(of(&["x"], Some(0.5)), [0, 1, 1, 2]);
        assert_eq!(of(&["x", "who"], Some(0.5)), [0, 1, 2, 3]);
        assert_eq!(of(&["who"], None), [0, 0, 1, 0]);
    }

    #[test]
    fn cells_without_width_are_refused() {
        let config = |cell| BlockConfig {
            columns: vec!["x".to_owned()],
            cell,
        };
        assert!(config(Some(0.0)).problem().is_some());
        assert!(config(Some(f64::NAN)).problem().is_some());
        assert!(config(Some(0.5)).problem().is_none());
        assert!(config(None).problem().is_none());
    }
}
