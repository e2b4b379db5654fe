//! Features from values that were measured one after the other: given in the request, or found in a lookup with a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::RowStep;

/// Summaries of values that were measured one after the other, given as one field each. Missing values do not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummaryConfig {
    /// Begins the names of the features.
    pub name: String,
    /// Numeric fields, the newest first, at equal steps.
    pub fields: Vec<String>,
    /// Which summaries, one feature each.
    pub statistics: Vec<Statistic>,
}

/// Earlier values of a lookup's column under the request's key, as of the request's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// A lookup that `lookups` declares with `at`.
    pub lookup: String,
    /// Its column, a number.
    pub column: String,
    /// Which values, one feature each: 1 is the newest that was known at the request's time, 2 the one before it.
    #[serde(default)]
    pub lags: Vec<u32>,
    /// Summaries of the values that were known within a stretch of time before the request.
    #[serde(default)]
    pub rolling: Vec<RollingConfig>,
}

/// Summaries over a stretch of time that ends with the request. Missing values do not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollingConfig {
    /// How long the stretch is.
    pub minutes: u32,
    /// Which summaries, one feature each.
    pub statistics: Vec<Statistic>,
}

/// What is taken from a lookup's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The value of the row that was found.
    Value,
    /// The value so many rows back; 1 is the row that was found.
    Lag(u32),
    /// A summary of the rows known within so many seconds before the request.
    Rolling {
        /// Length of the stretch.
        seconds: i64,
        /// Which summary.
        statistic: Statistic,
    },
}

/// One number from several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The newest less the oldest; missing if either is.
    Change,
    /// Population standard deviation.
    Deviation,
}

impl Statistic {
    fn name(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Minimum => "minimum",
            Statistic::Maximum => "maximum",
            Statistic::Change => "change",
            Statistic::Deviation => "deviation",
        }
    }

    /// The summary of values, the newest first; NaN if none is there.
    pub(super) fn of(self, values: &[f64]) -> f64 {
        let seen = || values.iter().copied().filter(|value| !value.is_nan());
        let count = seen().count();
        if count == 0 {
            return f64::NAN;
        }
        let mean = seen().sum::<f64>() / count as f64;
        match self {
            Statistic::Mean => mean,
            Statistic::Minimum => seen().fold(f64::INFINITY, f64::min),
            Statistic::Maximum => seen().fold(f64::NEG_INFINITY, f64::max),
            Statistic::Change => values[0] - values[values.len() - 1],
            Statistic::Deviation => {
                (seen().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count as f64).sqrt()
            }
        }
    }
}

impl SummaryConfig {
    pub(super) fn fit(&self, position: impl Fn(&str) -> usize) -> (RowStep, Vec<String>) {
        let step = RowStep::Summary {
            fields: self.fields.iter().map(|field| position(field)).collect(),
            statistics: self.statistics.clone(),
        };
        let names = self.statistics.iter();
        let names = names.map(|statistic| format!("{}({})", statistic.name(), self.name));
        (step, names.collect())
    }
}

impl HistoryConfig {
    /// What is taken, each with the name of its field.
    pub(super) fn takes(&self) -> impl Iterator<Item = (String, Take)> {
        let column = format!("{}.{}", self.lookup, self.column);
        let lags = self.lags.iter().map(|lag| (format!("lag {lag}"), Take::Lag(*lag)));
        let rolling = self.rolling.iter().flat_map(|rolling| {
            rolling.statistics.iter().map(|statistic| {
                let seconds = i64::from(rolling.minutes) * 60;
                let name = format!("{} over {} min", statistic.name(), rolling.minutes);
                let statistic = *statistic;
                (name, Take::Rolling { seconds, statistic })
            })
        });
        lags.chain(rolling)
            .map(move |(what, take)| (format!("{column} {what}"), take))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let rolls = |rolling: &RollingConfig| rolling.minutes > 0 && !rolling.statistics.is_empty();
        if self.lags.is_empty() && self.rolling.is_empty() {
            Some("asks for nothing: name `lags` or `rolling`")
        } else if self.lags.contains(&0) {
            Some("counts lags from 1, the newest value that was known")
        } else if !self.rolling.iter().all(rolls) {
            Some("has a stretch of no length or without statistics")
        } else {
            None
        }
    }
}
