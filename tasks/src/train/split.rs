//! Which rows fit, choose and judge.

use ratchet_core::plugin::TaskError;
use ratchet_model::Window;
use ratchet_model::schema::{format_timestamp, parse_timestamp};

use super::config::TrainConfig;
use super::rows::ModelRows;

const DAY: i64 = 86_400;

/// Rows in time order by part. Rows without a target are in none.
pub struct Split {
    /// Before the validation days.
    pub fit: Vec<usize>,
    /// The last days before `train_until`.
    pub validation: Vec<usize>,
    /// Both of the above.
    pub train: Vec<usize>,
    /// From `train_until` to `holdout_until`.
    pub holdout: Vec<usize>,
    /// The instants.
    pub window: Window,
    /// Rows without a target.
    pub without_target: usize,
}

/// Splits by time.
///
/// # Errors
/// Dates that leave a part without rows.
pub fn split(config: &TrainConfig, rows: &ModelRows) -> Result<Split, TaskError> {
    let usable: Vec<usize> = (0..rows.time.len()).filter(|row| !rows.truth[*row].is_nan()).collect();
    let times = || usable.iter().map(|row| rows.time[*row]);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Err(
            TaskError::permanent(format!("no row has a value in `{}`", config.target.to_target().column))
                .with_help("look at the gate's report and at the SQL that makes the column"),
        );
    };
    let given = |text: &str| parse_timestamp(text);
    let next_midnight = (last.div_euclid(DAY) + 1) * DAY;
    let holdout_until = given(&config.holdout_until).unwrap_or(next_midnight);
    let until =
        given(&config.train_until).unwrap_or(holdout_until.min(next_midnight) - i64::from(config.holdout_days) * DAY);
    let validation_from = until - i64::from(config.validation_days) * DAY;
    let part = |from: i64, to: i64| -> Vec<usize> {
        let mut part: Vec<usize> = usable
            .iter()
            .copied()
            .filter(|row| (from..to).contains(&rows.time[*row]))
            .collect();
        part.sort_by_key(|row| (rows.time[*row], *row));
        part
    };
    let split = Split {
        fit: part(i64::MIN, validation_from),
        validation: part(validation_from, until),
        train: part(i64::MIN, until),
        holdout: part(until, holdout_until),
        window: Window {
            time: config.time.clone(),
            from: first,
            until,
            validation_from,
            holdout_until,
        },
        without_target: rows.time.len() - usable.len(),
    };
    let span = format!(
        "the rows run from {} to {}",
        format_timestamp(first),
        format_timestamp(last)
    );
    for (name, part, from, to) in [
        ("fitting", &split.fit, first, validation_from),
        ("validation", &split.validation, validation_from, until),
        ("the holdout", &split.holdout, until, holdout_until),
    ] {
        if part.len() < FEWEST_ROWS {
            let message = format!(
                "there are {} rows for {name} ({} to {}), {FEWEST_ROWS} are the least",
                part.len(),
                format_timestamp(from),
                format_timestamp(to)
            );
            return Err(TaskError::permanent(message).with_help(format!(
                "{span}; move `train_until` and `holdout_until`, or set fewer `validation_days` or `holdout_days`"
            )));
        }
    }
    Ok(split)
}

/// Rows that a part needs at least.
const FEWEST_ROWS: usize = 50;
