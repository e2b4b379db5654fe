//! Numbers about a table: each column alone, pairs of columns, rows that repeat.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use polars::prelude::{AnyValue, Column, DataFrame, DataType};
use ratchet_core::plugin::TaskError;

use crate::quality::correlation;
use crate::train::{numbers, timestamps};

/// Bars of a histogram.
const BARS: usize = 24;

/// Frequent values that are listed.
const FREQUENT: usize = 8;

/// Columns of numbers beyond this many are left out of the correlations.
const CORRELATED: usize = 40;

/// A table in numbers.
pub struct Statistics {
    /// Rows.
    pub rows: usize,
    /// Rows that repeat an earlier one in every column.
    pub duplicates: usize,
    /// Columns, in order.
    pub columns: Vec<ColumnStatistics>,
    /// Pairs of columns with their correlation, the strongest first; only pairs above one half.
    pub correlations: Vec<(String, String, f64)>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// One column in numbers.
pub struct ColumnStatistics {
    /// Name.
    pub name: String,
    /// Type, in a word.
    pub kind: &'static str,
    /// Values that are missing.
    pub nulls: usize,
    /// Different values.
    pub distinct: usize,
    /// What its kind allows to say.
    pub summary: Summary,
}

/// What can be said of a column.
pub enum Summary {
    /// Of numbers and times (as seconds).
    Numbers {
        /// Least, quartiles, greatest.
        quantiles: [f64; 5],
        /// Arithmetic mean.
        mean: f64,
        /// Population standard deviation.
        deviation: f64,
        /// Values that are 0.
        zeros: usize,
        /// Rows per bar, from the least to the greatest value.
        bars: Vec<usize>,
        /// True if the numbers are seconds of a civil time.
        time: bool,
    },
    /// Of everything else: frequent values with their rows, and the lengths of the shortest and the longest text.
    Values {
        /// The most frequent values.
        frequent: Vec<(String, usize)>,
        /// Letters of the shortest and of the longest value.
        lengths: (usize, usize),
    },
    /// There is no value.
    Nothing,
}

/// Measures a table.
///
/// # Errors
/// A column of a type that tables do not have.
pub fn measure(frame: &DataFrame, place: &str) -> Result<Statistics, TaskError> {
    let rows = frame.height();
    let mut hashes = vec![DefaultHasher::new(); rows];
    let mut columns = Vec::with_capacity(frame.width());
    let mut numeric: Vec<(String, Vec<f64>)> = Vec::new();
    for column in frame.columns() {
        let name = column.name().to_string();
        let (values, time) = match column.dtype() {
            DataType::Int64 | DataType::Float64 => (Some(numbers(column, place)?), false),
            DataType::Date | DataType::Datetime(..) => {
                let times = timestamps(column, place)?.into_iter();
                let seconds = times.map(|time| time.map_or(f64::NAN, |time| time as f64));
                (Some(seconds.collect()), true)
            }
            _ => (None, false),
        };
        let measured = match values {
            Some(values) => {
                for (hash, value) in hashes.iter_mut().zip(&values) {
                    value.to_bits().hash(hash);
                }
                let measured = of_numbers(&values, time);
                if !time {
                    numeric.push((name.clone(), values));
                }
                measured
            }
            None => of_values(column, &mut hashes)?,
        };
        let (nulls, distinct, summary) = measured;
        let kind = match column.dtype() {
            DataType::Int64 => "integer",
            DataType::Float64 => "number",
            DataType::Boolean => "true or false",
            DataType::Date => "date",
            DataType::Datetime(..) => "time",
            _ => "text",
        };
        columns.push(ColumnStatistics {
            name,
            kind,
            nulls,
            distinct,
            summary,
        });
    }
    let mut seen = HashSet::with_capacity(rows);
    let duplicates = hashes.iter().filter(|hash| !seen.insert(hash.finish())).count();
    let correlations = correlations(&numeric);
    let warnings = warnings(rows, duplicates, &columns, &correlations);
    Ok(Statistics {
        rows,
        duplicates,
        columns,
        correlations,
        warnings,
    })
}

fn of_numbers(values: &[f64], time: bool) -> (usize, usize, Summary) {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let nulls = values.len() - sorted.len();
    let distinct = sorted.chunk_by(|a, b| a == b).count();
    let (Some(least), Some(greatest)) = (sorted.first().copied(), sorted.last().copied()) else {
        return (nulls, 0, Summary::Nothing);
    };
    let quantile = |share: f64| sorted[(share * (sorted.len() - 1) as f64).round() as usize];
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let variance = sorted.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let mut bars = vec![0; BARS.min(distinct)];
    let width = (greatest - least) / bars.len() as f64;
    for value in &sorted {
        let bar = if width > 0.0 {
            ((value - least) / width) as usize
        } else {
            0
        };
        let last = bars.len() - 1;
        bars[bar.min(last)] += 1;
    }
    let summary = Summary::Numbers {
        quantiles: [least, quantile(0.25), quantile(0.5), quantile(0.75), greatest],
        mean,
        deviation: variance.sqrt(),
        zeros: sorted.iter().filter(|value| **value == 0.0).count(),
        bars,
        time,
    };
    (nulls, distinct, summary)
}

fn of_values(column: &Column, hashes: &mut [DefaultHasher]) -> Result<(usize, usize, Summary), TaskError> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut nulls = 0;
    for (row, hash) in hashes.iter_mut().enumerate() {
        let value = column
            .get(row)
            .map_err(|error| TaskError::permanent(error.to_string()))?;
        let text = match &value {
            AnyValue::Null => {
                nulls += 1;
                0_u8.hash(hash);
                continue;
            }
            AnyValue::String(text) => *text,
            AnyValue::Boolean(true) => "true",
            AnyValue::Boolean(false) => "false",
            _ => "?",
        };
        text.hash(hash);
        match counts.get_mut(text) {
            Some(count) => *count += 1,
            None => {
                counts.insert(text.to_owned(), 1);
            }
        }
    }
    if counts.is_empty() {
        return Ok((nulls, 0, Summary::Nothing));
    }
    let lengths = counts.keys().map(|text| text.chars().count());
    let lengths = lengths.fold((usize::MAX, 0), |(least, most), length| {
        (least.min(length), most.max(length))
    });
    let distinct = counts.len();
    let mut frequent: Vec<(String, usize)> = counts.into_iter().collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    frequent.truncate(FREQUENT);
    Ok((nulls, distinct, Summary::Values { frequent, lengths }))
}

fn correlations(numeric: &[(String, Vec<f64>)]) -> Vec<(String, String, f64)> {
    let numeric = &numeric[..numeric.len().min(CORRELATED)];
    let mut pairs = Vec::new();
    for (index, (left, values)) in numeric.iter().enumerate() {
        for (right, others) in &numeric[index + 1..] {
            let (found, _) = correlation(values, others);
            if found.abs() >= 0.5 {
                pairs.push((left.clone(), right.clone(), found));
            }
        }
    }
    pairs.sort_by(|a, b| {
        b.2.abs()
            .total_cmp(&a.2.abs())
            .then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1)))
    });
    pairs
}

fn warnings(
    rows: usize,
    duplicates: usize,
    columns: &[ColumnStatistics],
    correlations: &[(String, String, f64)],
) -> Vec<String> {
    let mut warnings = Vec::new();
    if rows == 0 {
        warnings.push("the table has no rows".to_owned());
        return warnings;
    }
    if duplicates > 0 {
        warnings.push(format!("{duplicates} rows repeat an earlier one in every column"));
    }
    for column in columns {
        let name = &column.name;
        let present = rows - column.nulls;
        if present == 0 {
            warnings.push(format!("{name} has no value at all"));
        } else if column.nulls * 5 >= rows {
            warnings.push(format!(
                "{name} is missing in {:.0} % of the rows",
                percent(column.nulls, rows)
            ));
        }
        if present > 0 && column.distinct == 1 && rows > 1 {
            warnings.push(format!("{name} has the same value in every row that has one"));
        }
        if let Summary::Values { .. } = column.summary
            && column.distinct == present
            && present > 100
        {
            warnings.push(format!("{name} is different in every row: a key, not a category"));
        }
        if let Summary::Numbers { zeros, .. } = column.summary
            && zeros * 2 > present
        {
            warnings.push(format!("{name} is 0 in {:.0} % of its values", percent(zeros, present)));
        }
    }
    for (left, right, found) in correlations.iter().filter(|(_, _, found)| found.abs() > 0.98) {
        warnings.push(format!(
            "{left} and {right} say nearly the same (correlation {found:.3})"
        ));
    }
    warnings
}

/// `part` of `whole` in percent.
pub fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 * 100.0 / whole as f64
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;

    use super::*;

    #[test]
    fn numbers_of_a_small_table_are_those_counted_by_hand() {
        let frame = df!(
            "n" => [Some(1.0), Some(2.0), Some(3.0), None, Some(1.0)],
            "twice" => [2_i64, 4, 6, 8, 2],
            "city" => [Some("Leeds"), None, Some("York"), Some("Leeds"), Some("Leeds")],
        )
        .unwrap();
        let found = measure(&frame, "the table").unwrap();
        assert_eq!((found.rows, found.duplicates), (5, 1), "the last row repeats the first");
        assert_eq!((found.columns[0].nulls, found.columns[0].distinct), (1, 3));
        let Summary::Numbers {
            quantiles, mean, bars, ..
        } = &found.columns[0].summary
        else {
            unreachable!("numbers");
        };
        assert_eq!((quantiles[0], quantiles[4], *mean), (1.0, 3.0, 1.75));
        assert_eq!(bars.iter().sum::<usize>(), 4);
        let Summary::Values { frequent, lengths } = &found.columns[2].summary else {
            unreachable!("values");
        };
        assert_eq!((frequent[0].clone(), *lengths), (("Leeds".to_owned(), 3), (4, 5)));
        assert_eq!(found.correlations[0].2, 1.0);
        assert!(
            found
                .warnings
                .iter()
                .any(|warning| warning.contains("n and twice say nearly the same"))
        );
        assert!(
            found
                .warnings
                .iter()
                .any(|warning| warning.starts_with("1 rows repeat"))
        );
    }

    #[test]
    fn a_table_without_values_is_no_fault() {
        let frame = df!("n" => [None::<f64>, None], "t" => [None::<&str>, None]).unwrap();
        let found = measure(&frame, "the table").unwrap();
        assert!(
            found
                .columns
                .iter()
                .all(|column| matches!(column.summary, Summary::Nothing))
        );
        assert!(found.warnings.iter().any(|warning| warning == "n has no value at all"));
    }
}
