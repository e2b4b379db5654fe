//! Short texts for people: numbers, durations, what a port holds.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::plugin::Output;
use serde_json::Value;

/// `812 B`, `12.5 KiB`, `3.0 MiB`.
pub fn bytes(number: u64) -> String {
    let mut size = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" {
                format!("{number} B")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

/// Stands wherever rows or a model come from a simulation.
pub const SIMULATED: &str = "SIMULATED";

/// Metrics worth a place in one line, most telling first.
const TELLING: [&str; 7] = ["mae", "r2", "rmse", "auc", "accuracy", "macro_f1", "coverage"];

/// `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.4 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{:.1} s", seconds.max(0.0)),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Two significant places more than a person needs: `71.9`, `0.391`.
pub fn number(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.1}"),
        magnitude if magnitude >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `2024-07-15 01:00:00Z`, without fractions of a second.
pub fn instant(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Seconds between two instants; until now if the end is open.
pub fn seconds_between(start: Timestamp, end: Option<Timestamp>) -> f64 {
    let elapsed: SignedDuration = end.unwrap_or_else(Timestamp::now).duration_since(start);
    elapsed.as_secs_f64()
}

/// The telling metrics: `mae 71.9 r2 0.391 coverage 0.903`.
pub fn metrics(metrics: &BTreeMap<String, f64>, at_most: usize) -> String {
    let telling = TELLING
        .iter()
        .filter_map(|name| metrics.get(*name).map(|value| (*name, value)));
    telling
        .take(at_most)
        .map(|(name, value)| format!("{name} {}", number(*value)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Appends the mark of a simulation.
pub fn marked(text: String, simulated: bool) -> String {
    if simulated { format!("{text} {SIMULATED}") } else { text }
}

fn versioned(name: &str, version: Option<u64>) -> String {
    version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"))
}

/// What a task left, a line for each port that is worth one.
pub fn outputs(outputs: &BTreeMap<String, Output>) -> String {
    let has_report = outputs.values().any(|output| matches!(output, Output::Report(_)));
    let mut lines = Vec::new();
    for (port, output) in outputs {
        match output {
            Output::Table(table) => {
                let name = versioned(&table.dataset, table.version);
                lines.push(marked(format!("{name} {} rows", count(table.rows)), table.simulated));
            }
            Output::Model(model) => {
                let name = versioned(&model.name, model.version);
                lines.push(marked(
                    format!("{name} {}", metrics(&model.metrics, 3)),
                    model.simulated,
                ));
            }
            Output::Lookup(lookup) => {
                let name = versioned(&lookup.name, lookup.version);
                lines.push(marked(format!("{name} {} rows", count(lookup.rows)), lookup.simulated));
            }
            // A report for programs and its page for people say the same.
            Output::Report(report) if lines.contains(&report.summary) => {}
            Output::Report(report) => lines.push(report.summary.clone()),
            // The report says it in a sentence.
            Output::Value(_) if has_report => {}
            Output::Value(Value::Object(_) | Value::Array(_) | Value::Null) => {}
            Output::Value(value) => lines.push(format!("{port}: {}", shortened(&plain(value), 60))),
        }
    }
    lines.join("\n")
}

/// A JSON value without the quotes of a text.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// At most so many characters, the rest as an ellipsis.
pub fn shortened(text: &str, at_most: usize) -> String {
    if text.chars().count() <= at_most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(at_most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_groups_of_three() {
        let seen = [0, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(seen, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn durations_change_their_unit() {
        let seen = [0.04, 59.4, 59.96, 245.0, 7_380.0].map(duration);
        assert_eq!(seen, ["0.0 s", "59.4 s", "1 min 00 s", "4 min 05 s", "2 h 03 min"]);
    }

    #[test]
    fn metrics_keep_their_order_and_their_number() {
        let all = BTreeMap::from([("coverage", 0.9031), ("mae", 71.91), ("r2", 0.3912), ("width", 300.0)]);
        let all = all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(metrics(&all, 3), "mae 71.91 r2 0.391 coverage 0.903");
        assert_eq!(metrics(&all, 1), "mae 71.91");
    }

    #[test]
    fn a_long_text_ends_in_an_ellipsis() {
        assert_eq!(shortened("äbcdef", 4), "äbc…");
        assert_eq!(shortened("äbcd", 4), "äbcd");
    }
}
