//! What stands under `with` of `train.model`.

use std::collections::BTreeMap;

use ratchet_core::plugin::{ConfigProblem, Known, Table};
use ratchet_model::drift::Season;
use ratchet_model::features::{ImputeConfig, StepConfig};
use ratchet_model::{Target, TargetKind, Transform};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lookups::LookupConfig;
use super::search_config::SearchConfig;
use super::settings::{BoostingConfig, Candidate, LinearConfig, TreeConfig};

/// Trains candidates, chooses one on the last weeks of the training period, and writes it as a bundle.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the model: `[a-z][a-z0-9-]*`.
    pub model: String,
    /// What it answers, for people.
    #[serde(default)]
    pub description: String,
    /// The table to learn from: one row per example.
    pub table: Table,
    /// Lookups by the name that features call them: `<name>.<column>` is a field. They are joined in training as serving
    /// joins them.
    #[serde(default)]
    pub lookups: BTreeMap<String, LookupConfig>,
    /// What to predict.
    pub target: TargetConfig,
    /// When the model answers: features may only read columns that are known by then.
    pub predict_at: Known,
    /// Column that says when a row happened; the split goes by it. A table without one is split by `split`.
    #[serde(default)]
    pub time: String,
    /// How a table without a time is split.
    #[serde(default)]
    pub split: Option<SplitConfig>,
    /// Rows before this civil time train, rows from it on are held out. Empty: the newest `holdout_days` are held out.
    #[serde(default)]
    pub train_until: String,
    /// Rows from this civil time on are not used. Empty: all are.
    #[serde(default)]
    pub holdout_until: String,
    /// Days held out when `train_until` is empty.
    #[serde(default = "default_holdout_days")]
    pub holdout_days: u32,
    /// The last days of the training period: they choose the candidate, calibrate it and show where it underestimates.
    #[serde(default = "default_validation_days")]
    pub validation_days: u32,
    /// From columns to features, in order. The columns that they read are the fields of a request.
    pub features: Vec<StepConfig>,
    /// Fields that a published interface has and the table has not: a request may hold them; they are checked and logged,
    /// and nothing reads them.
    #[serde(default)]
    pub unused: Vec<UnusedConfig>,
    /// What to try. The best on the validation days becomes the challenger.
    #[serde(default = "default_candidates")]
    pub candidates: Vec<Candidate>,
    /// Looks for better settings of boosting within the rows that fit; what it finds joins the candidates.
    #[serde(default)]
    pub search: Option<SearchConfig>,
    /// Column whose values are slices that may be underestimated (stations, say). It has to be a field.
    #[serde(default)]
    pub slices: Option<SliceConfig>,
    /// Seasons in which requests are known to differ: the monitor of drift compares them with training rows of the same seasons.
    /// Without it they are compared with all of them.
    #[serde(default)]
    pub drift: Option<DriftConfig>,
    /// How classes weigh against each other. Without it the more probable answer is given to yes-or-no questions, and weights are
    /// chosen for classes in order.
    #[serde(default)]
    pub class_weights: Option<ClassWeights>,
    /// Share of new rows that an interval should hold.
    #[serde(default = "default_coverage")]
    pub coverage: f64,
    /// Path at which the model answers beside `/predict/<model>`, such as `/predict/time_pump`.
    #[serde(default)]
    pub route: Option<String>,
    /// Whether an answer over HTTP is the target's field alone, as a published interface has it; all else about it goes to headers.
    #[serde(default)]
    pub answer_only: bool,
    /// Seed of everything random. Default: made from the names of DAG and task.
    #[serde(default)]
    pub seed: Option<u64>,
}

fn default_holdout_days() -> u32 {
    30
}

fn default_validation_days() -> u32 {
    21
}

fn default_coverage() -> f64 {
    0.9
}

fn default_candidates() -> Vec<Candidate> {
    vec![
        Candidate::Linear(LinearConfig::default()),
        Candidate::Tree(TreeConfig::default()),
        Candidate::Boosting(BoostingConfig::default()),
    ]
}

/// How a table without a time is split.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SplitConfig {
    /// By a hash of the row's key: a row keeps its side in every version of the table.
    Hash(HashSplit),
}

/// Shares of a split by hash.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashSplit {
    /// Columns that tell rows apart. Rows that agree in all of them stay on one side.
    pub key: Vec<String>,
    /// Share of the keys that are held out.
    #[serde(default = "default_holdout_share")]
    pub holdout: f64,
    /// Share of the keys that choose the candidate and calibrate it.
    #[serde(default = "default_validation_share")]
    pub validation: f64,
}

fn default_holdout_share() -> f64 {
    0.2
}

fn default_validation_share() -> f64 {
    0.1
}

/// A field that a request may hold and nothing reads.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnusedConfig {
    /// Name.
    pub name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    pub kind: UnusedKind,
    /// Why nothing reads it, for people.
    #[serde(default)]
    pub because: String,
}

/// The type of an unused field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnusedKind {
    /// A number.
    Number,
    /// Text.
    Text,
    /// A civil date and time.
    Timestamp,
}

/// What to predict.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TargetConfig {
    /// A number.
    Regression {
        /// Column with the number.
        column: String,
        /// Scale of training.
        #[serde(default)]
        transform: Transform,
        /// Name of the answer's field, such as `seconds`.
        answer: String,
    },
    /// Whether a number is above a limit.
    Binary {
        /// Column with the number.
        column: String,
        /// The limit.
        above: f64,
        /// Name of the answer's field, such as `over_target`.
        answer: String,
    },
    /// One of several whole numbers in order. Learnt as one question per cut: more than 1, more than 2, ...
    Ordinal {
        /// Column with the number; values beyond the ends count as the ends.
        column: String,
        /// The classes, ascending.
        classes: Vec<i64>,
        /// Name of the answer's field, such as `pumps`.
        answer: String,
    },
    /// One of several whole numbers without an order, such as codes. Learnt as one question per class: this one or another.
    Multiclass {
        /// Column with the number; rows with a number that is no class have no target.
        column: String,
        /// The classes, ascending.
        classes: Vec<i64>,
        /// Name of the answer's field, such as `kind`.
        answer: String,
    },
}

impl TargetConfig {
    /// As the bundle says it; classes start with equal weights.
    pub fn to_target(&self) -> Target {
        let (column, kind, answer) = match self {
            TargetConfig::Regression {
                column,
                transform,
                answer,
            } => (column, TargetKind::Regression { transform: *transform }, answer),
            TargetConfig::Binary { column, above, answer } => {
                let kind = TargetKind::Binary {
                    above: *above,
                    weights: [1.0; 2],
                };
                (column, kind, answer)
            }
            TargetConfig::Ordinal {
                column,
                classes,
                answer,
            } => {
                let (classes, weights) = (classes.clone(), vec![1.0; classes.len()]);
                (column, TargetKind::Ordinal { classes, weights }, answer)
            }
            TargetConfig::Multiclass {
                column,
                classes,
                answer,
            } => {
                let (classes, weights) = (classes.clone(), vec![1.0; classes.len()]);
                (column, TargetKind::Multiclass { classes, weights }, answer)
            }
        };
        Target {
            column: column.clone(),
            kind,
            answer: answer.clone(),
        }
    }
}

/// How classes weigh against each other. Probabilities are calibrated afterwards in any case: they stay those of the rows as they
/// come, and weights decide which answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// The most probable class is the answer.
    Equal,
    /// Each class weighs the inverse of its share of the training rows: while candidates are fitted, and in the answer.
    Balanced,
    /// In the answer, by a power of the inverse share: the one with the greatest macro-F1 on the validation rows whose accuracy is
    /// within 1.5 points of the best.
    Chosen,
}

/// Slices that may be underestimated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceConfig {
    /// The field whose values are the slices.
    pub field: String,
    /// A row counts as underestimated when it exceeds the prediction by more than this, in the target's unit.
    pub margin: f64,
}

/// What requests are compared with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftConfig {
    /// How time is parted. Training needs fifty rows or more of a season; requests of others are left out of distances.
    pub season: Season,
    /// The field with the time. It has to be a field with times.
    pub of: String,
}

/// What the types alone do not show.
pub fn problems(config: &TrainConfig) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut add = |pointer: &str, message: String, help: &str| {
        problems.push(ConfigProblem {
            pointer: pointer.to_owned(),
            message,
            help: Some(help.to_owned()),
        });
    };
    if !ratchet_model::is_model_name(&config.model) {
        let message = format!("`{}` is no name of a model", config.model);
        add(
            "/model",
            message,
            "use lower-case letters, digits and `-`, a letter first",
        );
    }
    if !(0.5..1.0).contains(&config.coverage) {
        let message = format!("coverage {} is not a share from 0.5 to 1", config.coverage);
        add(
            "/coverage",
            message,
            "0.9 means that nine of ten new rows lie within their interval",
        );
    }
    if config.features.is_empty() {
        add(
            "/features",
            "there are no features".to_owned(),
            "add a step such as `- number: { fields: [...] }`",
        );
    }
    if config.candidates.is_empty() {
        add(
            "/candidates",
            "there are no candidates".to_owned(),
            "leave `candidates` out, or name one such as `- boosting: {}`",
        );
    }
    if let Some((message, help)) = config.search.as_ref().and_then(SearchConfig::problem) {
        add("/search", message, help);
    }
    match (&config.split, config.time.is_empty()) {
        (None, true) => add(
            "/time",
            "nothing says how the rows are split".to_owned(),
            "name the column with the time, or write `split: { hash: { key: [...] } }`",
        ),
        (Some(_), false) => add(
            "/split",
            "`time` and `split` both say how the rows are split".to_owned(),
            "a table with a time is split by it: leave `split` out",
        ),
        (Some(SplitConfig::Hash(split)), true) => {
            if split.key.is_empty() {
                add(
                    "/split/hash/key",
                    "the key is empty".to_owned(),
                    "name the columns that tell rows apart",
                );
            }
            let shares = [split.holdout, split.validation];
            if shares.iter().any(|share| !(0.01..0.9).contains(share)) || shares.iter().sum::<f64>() > 0.9 {
                let message = format!(
                    "shares {} and {} leave a part without rows",
                    split.holdout, split.validation
                );
                add(
                    "/split/hash",
                    message,
                    "0.2 for `holdout` and 0.1 for `validation` are the defaults",
                );
            }
            if !config.train_until.trim().is_empty() || !config.holdout_until.trim().is_empty() {
                add(
                    "/split",
                    "`train_until` and `holdout_until` need a `time`".to_owned(),
                    "leave them out where the split goes by a hash",
                );
            }
        }
        (None, false) => {}
    }
    if config.validation_days == 0 {
        add(
            "/validation_days",
            "there have to be validation days".to_owned(),
            "21 is the default",
        );
    }
    if let Err(problem) = config.target.to_target().validate() {
        add(
            "/target",
            problem,
            "classes are two or more ascending whole numbers, such as [1, 2, 3]",
        );
    }
    for (pointer, text) in [
        ("/train_until", &config.train_until),
        ("/holdout_until", &config.holdout_until),
    ] {
        if !text.trim().is_empty() && ratchet_model::schema::parse_timestamp(text).is_none() {
            add(pointer, format!("`{text}` is no date"), "write it like 2017-04-01");
        }
    }
    if let Some(problem) = config
        .route
        .as_ref()
        .and_then(|route| ratchet_model::route_problem(&config.model, route))
    {
        add("/route", problem, "a model always answers at /predict/<model>, too");
    }
    for (index, step) in config.features.iter().enumerate() {
        if let StepConfig::Summary(summary) = step
            && (summary.fields.is_empty() || summary.statistics.is_empty())
        {
            let message = format!("the summary `{}` has no fields or no statistics", summary.name);
            add(
                &format!("/features/{index}/summary"),
                message,
                "name at least one of each",
            );
        }
        if let (StepConfig::TargetMean { .. }, TargetConfig::Multiclass { .. }) = (step, &config.target) {
            let message = "the mean of classes without an order means nothing".to_owned();
            add(
                &format!("/features/{index}/target_mean"),
                message,
                "use `one_hot` or `frequency`",
            );
        }
        if let StepConfig::Haversine(way) = step
            && way.most.is_some_and(|most| !most.is_finite() || most <= 0.0)
        {
            let message = "`most` is not a number of kilometers above 0".to_owned();
            add(
                &format!("/features/{index}/haversine/most"),
                message,
                "leave it out to take every way as it is",
            );
        }
        let step_problem = match step {
            StepConfig::Clip(clip) => clip.problem().map(|problem| ("clip", problem)),
            StepConfig::Impute(ImputeConfig { value: Some(value), .. }) if !value.is_finite() => {
                Some(("impute", "`value` is no finite number".to_owned()))
            }
            StepConfig::Product(product) if product.fields.len() < 2 => {
                Some(("product", "has fewer than two fields".to_owned()))
            }
            StepConfig::Ordinal { order, .. } if order.is_empty() => {
                Some(("ordinal", "names no category in `order`".to_owned()))
            }
            StepConfig::History(history) => {
                let has_time = config.lookups.get(&history.lookup).map(|lookup| !lookup.at.is_empty());
                match has_time {
                    None => Some((
                        "history",
                        format!("there is no lookup `{}` under `lookups`", history.lookup),
                    )),
                    Some(false) => Some(("history", format!("the lookup `{}` has no `at`", history.lookup))),
                    Some(true) => history.problem().map(|problem| ("history", problem.to_owned())),
                }
            }
            _ => None,
        };
        if let Some((name, message)) = step_problem {
            add(
                &format!("/features/{index}/{name}"),
                message,
                "see the reference page of `train.model`",
            );
        }
    }
    for (name, lookup) in &config.lookups {
        if let Some((pointer, message, help)) = lookup.problem(name) {
            add(&format!("/lookups/{name}{pointer}"), message, help);
        }
    }
    problems
}
