//! Which rows fit, choose and judge.

use ratchet_core::plugin::TaskError;
use ratchet_model::Window;
use ratchet_model::schema::{format_timestamp, parse_timestamp};

use super::config::{HashSplit, SplitConfig, TrainConfig};
use super::line::PLACES;
use super::rows::ModelRows;

const DAY: i64 = 86_400;

/// Rows by part, in the order of time or of their hash. Rows without a target are in none.
pub struct Split {
    /// Before the validation rows.
    pub fit: Vec<usize>,
    /// The last days before `train_until`, or their share of a hash.
    pub validation: Vec<usize>,
    /// Both of the above.
    pub train: Vec<usize>,
    /// From `train_until` to `holdout_until`, or their share of a hash.
    pub holdout: Vec<usize>,
    /// Where the cuts are.
    pub window: Window,
    /// Rows without a target.
    pub without_target: usize,
}

/// Splits by time, or by the hash of a key.
///
/// # Errors
/// Dates or shares that leave a part without rows.
pub fn split(config: &TrainConfig, rows: &ModelRows) -> Result<Split, TaskError> {
    let usable: Vec<usize> = (0..rows.time.len()).filter(|row| !rows.truth[*row].is_nan()).collect();
    let places = || usable.iter().map(|row| rows.time[*row]);
    let (Some(first), Some(last)) = (places().min(), places().max()) else {
        return Err(
            TaskError::permanent(format!("no row has a value in `{}`", config.target.to_target().column))
                .with_help("look at the gate's report and at the SQL that makes the column"),
        );
    };
    match &config.split {
        Some(SplitConfig::Hash(split)) => by_hash(rows, usable, split),
        None => by_time(config, rows, usable, (first, last)),
    }
}

fn by_hash(rows: &ModelRows, usable: Vec<usize>, config: &HashSplit) -> Result<Split, TaskError> {
    let place = |share: f64| ((1.0 - share) * PLACES as f64).round() as i64;
    let until = place(config.holdout);
    let validation_from = place(config.holdout + config.validation);
    let split = cut(
        rows,
        usable,
        Window {
            time: String::new(),
            key: config.key.clone(),
            from: 0,
            until,
            validation_from,
            holdout_until: PLACES,
        },
    );
    for (name, part) in split.parts() {
        if part.len() < FEWEST_ROWS {
            let message = format!("there are {} rows for {name}, {FEWEST_ROWS} are the least", part.len());
            return Err(TaskError::permanent(message).with_help(
                "give more rows, or raise the share of that part under `split`; rows with one value in the key stay together",
            ));
        }
    }
    Ok(split)
}

fn by_time(
    config: &TrainConfig,
    rows: &ModelRows,
    usable: Vec<usize>,
    (first, last): (i64, i64),
) -> Result<Split, TaskError> {
    let given = |text: &str| parse_timestamp(text);
    let next_midnight = (last.div_euclid(DAY) + 1) * DAY;
    let holdout_until = given(&config.holdout_until).unwrap_or(next_midnight);
    let until =
        given(&config.train_until).unwrap_or(holdout_until.min(next_midnight) - i64::from(config.holdout_days) * DAY);
    let validation_from = until - i64::from(config.validation_days) * DAY;
    let split = cut(
        rows,
        usable,
        Window {
            time: config.time.clone(),
            key: Vec::new(),
            from: first,
            until,
            validation_from,
            holdout_until,
        },
    );
    let span = format!(
        "the rows run from {} to {}",
        format_timestamp(first),
        format_timestamp(last)
    );
    let bounds = [
        (first, validation_from),
        (validation_from, until),
        (until, holdout_until),
    ];
    for ((name, part), (from, to)) in split.parts().into_iter().zip(bounds) {
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

fn cut(rows: &ModelRows, usable: Vec<usize>, window: Window) -> Split {
    let part = |from: i64, to: i64| -> Vec<usize> {
        let mut part: Vec<usize> = usable
            .iter()
            .copied()
            .filter(|row| (from..to).contains(&rows.time[*row]))
            .collect();
        part.sort_by_key(|row| (rows.time[*row], *row));
        part
    };
    Split {
        fit: part(i64::MIN, window.validation_from),
        validation: part(window.validation_from, window.until),
        train: part(i64::MIN, window.until),
        holdout: part(window.until, window.holdout_until),
        without_target: rows.time.len() - usable.len(),
        window,
    }
}

impl Split {
    fn parts(&self) -> [(&'static str, &[usize]); 3] {
        [
            ("fitting", &self.fit),
            ("validation", &self.validation),
            ("the holdout", &self.holdout),
        ]
    }
}

/// Rows that a part needs at least.
const FEWEST_ROWS: usize = 50;
