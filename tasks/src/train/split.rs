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
    let usable = usable(rows);
    let Some((first, last)) = bounds(rows, &usable) else {
        return Err(without_target(config));
    };
    match &config.split {
        Some(SplitConfig::Hash(split)) => by_hash(rows, usable, split),
        None => by_time(config, rows, usable, (first, last)),
    }
}

/// Rows with a target.
fn usable(rows: &ModelRows) -> Vec<usize> {
    (0..rows.time.len()).filter(|row| !rows.truth[*row].is_nan()).collect()
}

/// The first and the last place of rows on their line.
fn bounds(rows: &ModelRows, usable: &[usize]) -> Option<(i64, i64)> {
    let places = || usable.iter().map(|row| rows.time[*row]);
    places().min().zip(places().max())
}

fn without_target(config: &TrainConfig) -> TaskError {
    TaskError::permanent(format!("no row has a value in `{}`", config.target.to_target().column))
        .with_help("look at the gate's report and at the SQL that makes the column")
}

fn by_hash(rows: &ModelRows, usable: Vec<usize>, config: &HashSplit) -> Result<Split, TaskError> {
    let place = |share: f64| ((1.0 - share) * PLACES as f64).round() as i64;
    let until = place(config.holdout);
    let validation_from = place(config.holdout + config.validation);
    let split = cut(
        rows,
        &usable,
        0,
        Window {
            time: String::new(),
            key: config.key.clone(),
            from: 0,
            until,
            validation_from,
            holdout_until: PLACES,
        },
    );
    enough_by_hash(&split)?;
    Ok(split)
}

fn enough_by_hash(split: &Split) -> Result<(), TaskError> {
    for (name, part) in split.parts() {
        if part.len() < FEWEST_ROWS {
            let message = format!("there are {} rows for {name}, {FEWEST_ROWS} are the least", part.len());
            return Err(TaskError::permanent(message).with_help(
                "give more rows, or raise the share of that part under `split`; rows with one value in the key stay together",
            ));
        }
    }
    Ok(())
}

fn by_time(
    config: &TrainConfig,
    rows: &ModelRows,
    usable: Vec<usize>,
    (first, last): (i64, i64),
) -> Result<Split, TaskError> {
    let given = |text: &str| parse_timestamp(text);
    let midnight = next_midnight(last);
    let holdout_until = given(&config.holdout_until).unwrap_or(midnight);
    let until =
        given(&config.train_until).unwrap_or(holdout_until.min(midnight) - i64::from(config.holdout_days) * DAY);
    let bounds = (first, until, holdout_until);
    let split = cut(rows, &usable, 0, window_of_time(config, bounds));
    enough_by_time(&split, (first, last))?;
    Ok(split)
}

fn next_midnight(time: i64) -> i64 {
    (time.div_euclid(DAY) + 1) * DAY
}

fn window_of_time(config: &TrainConfig, (from, until, holdout_until): (i64, i64, i64)) -> Window {
    Window {
        time: config.time.clone(),
        key: Vec::new(),
        from,
        until,
        validation_from: until - i64::from(config.validation_days) * DAY,
        holdout_until,
    }
}

fn enough_by_time(split: &Split, (first, last): (i64, i64)) -> Result<(), TaskError> {
    let Window {
        validation_from,
        until,
        holdout_until,
        ..
    } = split.window;
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
    Ok(())
}

/// Splits for a backtest, the oldest first. By time, origins roll over the later half of the rows: each model learns from all rows
/// before its origin and is judged on those up to the next. By hash, each row is judged once, by a model of the others.
///
/// # Errors
/// A fold that leaves a part without rows.
pub fn backtest_splits(config: &TrainConfig, rows: &ModelRows, count: usize) -> Result<Vec<Split>, TaskError> {
    let usable = usable(rows);
    let Some((first, last)) = bounds(rows, &usable) else {
        return Err(without_target(config));
    };
    let mut splits = Vec::with_capacity(count);
    if let Some(SplitConfig::Hash(split)) = &config.split {
        let edge = |fold: usize| PLACES * fold as i64 / count as i64;
        for fold in 0..count {
            // The fold's places are moved to the end of the line, where the holdout is.
            let shift = edge(fold + 1);
            let until = PLACES - (shift - edge(fold));
            let validation = ((1.0 - split.validation) * until as f64).round() as i64;
            let window = Window {
                time: String::new(),
                key: split.key.clone(),
                from: 0,
                until,
                validation_from: validation,
                holdout_until: PLACES,
            };
            splits.push(cut(rows, &usable, shift, window));
            enough_by_hash(&splits[splits.len() - 1])?;
        }
        return Ok(splits);
    }
    let midnight = next_midnight(last);
    let end = parse_timestamp(&config.holdout_until).map_or(midnight, |until| until.min(midnight));
    for (origin, next) in origins((first, end), count, DAY) {
        splits.push(cut(rows, &usable, 0, window_of_time(config, (first, origin, next))));
        enough_by_time(&splits[splits.len() - 1], (first, last))
            .map_err(|error| error.with_help("ask for fewer folds, or give a longer table"))?;
    }
    Ok(splits)
}

/// Stretches of the later half of a line, one after the other, each beginning at a multiple of `unit`.
pub fn origins((from, until): (i64, i64), count: usize, unit: i64) -> Vec<(i64, i64)> {
    let half = (until - from) / 2;
    let edge = |fold: usize| match fold {
        last if last == count => until,
        fold => (until - half + half * fold as i64 / count as i64).div_euclid(unit) * unit,
    };
    (0..count).map(|fold| (edge(fold), edge(fold + 1))).collect()
}

/// `shift` turns the line of a hash: what stood there stands at its beginning.
fn cut(rows: &ModelRows, usable: &[usize], shift: i64, window: Window) -> Split {
    let place = |row: usize| match shift {
        0 => rows.time[row],
        shift => (rows.time[row] - shift).rem_euclid(PLACES),
    };
    let part = |from: i64, to: i64| -> Vec<usize> {
        let mut part: Vec<usize> = usable
            .iter()
            .copied()
            .filter(|row| (from..to).contains(&place(*row)))
            .collect();
        part.sort_by_key(|row| (place(*row), *row));
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
