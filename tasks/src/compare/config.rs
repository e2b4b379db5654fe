//! What `compare.champion` is told.

use ratchet_core::plugin::{ConfigProblem, Model, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocks::BlockConfig;
use super::guard_rails::GuardRails;

/// Compares a new version with the one in production, on the holdout rows that neither was trained on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareConfig {
    /// The new version.
    pub challenger: Model,
    /// The table with the holdout rows; the one that trained the challenger.
    pub table: Table,
    /// Alias of the version in production.
    #[serde(default = "default_alias")]
    pub alias: String,
    /// Number of a version to compare with instead, whoever holds the alias.
    #[serde(default)]
    pub against: Option<u64>,
    /// Gain that is required, as a share of the opponent's loss.
    #[serde(default)]
    pub margin: f64,
    /// Smallest gain worth having, as a share of the opponent's loss: a challenger that surely gains less is not better.
    #[serde(default = "default_worth")]
    pub worth: f64,
    /// What makes rows alike, so that they are drawn together. Default: rows of one day; without a time, of one key.
    #[serde(default)]
    pub blocks: Option<BlockConfig>,
    /// The rows are a time series: Diebold and Mariano's test takes the place of the bootstrap.
    #[serde(default)]
    pub forecast: Option<ForecastConfig>,
    /// What a challenger may not lose, however much it gains. They hold against a champion; the first version has nothing to lose.
    #[serde(default)]
    pub guard_rails: GuardRails,
}

/// Rows of a time series, one for each instant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastConfig {
    /// How many rows ahead the answer lies.
    pub horizon: u32,
    /// Column with the value at the time of the question. Without a champion the challenger has to beat it, not the mean.
    #[serde(default)]
    pub persistence: Option<String>,
}

fn default_alias() -> String {
    "champion".to_owned()
}

fn default_worth() -> f64 {
    0.01
}

impl CompareConfig {
    /// With everything left out that may be.
    pub fn new(challenger: Model, table: Table) -> Self {
        Self {
            challenger,
            table,
            alias: default_alias(),
            against: None,
            margin: 0.0,
            worth: default_worth(),
            blocks: None,
            forecast: None,
            guard_rails: GuardRails::default(),
        }
    }
}

/// All problems of a configuration at once.
pub(super) fn problems(config: &CompareConfig) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut problem = |pointer: &str, message: String, help: &str| {
        problems.push(ConfigProblem {
            pointer: pointer.to_owned(),
            message,
            help: Some(help.to_owned()),
        });
    };
    for (pointer, value) in [("/margin", config.margin), ("/worth", config.worth)] {
        if !(0.0..1.0).contains(&value) {
            let message = format!("{value} is not a share from 0 to 1");
            problem(pointer, message, "0.01 means one percent of the opponent's loss");
        }
    }
    if let Some((message, help)) = config.blocks.as_ref().and_then(BlockConfig::problem) {
        problem("/blocks", message, &help);
    }
    if let Some(forecast) = &config.forecast {
        if forecast.horizon == 0 {
            let help = "write how many rows ahead the answer lies, 1 or more";
            problem(
                "/forecast/horizon",
                "a horizon of 0 rows forecasts nothing".to_owned(),
                help,
            );
        }
        if config.blocks.is_some() {
            let help = "leave one of them out: a time series is compared instant by instant";
            problem("/blocks", "`blocks` and `forecast` exclude each other".to_owned(), help);
        }
    }
    for (pointer, message, help) in config.guard_rails.problems() {
        problem(&format!("/guard_rails{pointer}"), message, help);
    }
    problems
}
