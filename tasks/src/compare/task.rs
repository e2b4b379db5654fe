//! The plugin `compare.champion`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ratchet_artifacts::{Bucket, PromotionLog, models};
use ratchet_core::plugin::{
    ConfigProblem, Model, Output, Outputs, Plugin, Port, PortKind, Report, Table, TaskContext, TaskError,
};
use ratchet_model::schema::format_timestamp;
use ratchet_model::{Bundle, Prediction, Target, TargetKind, metrics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::blocks::{BlockConfig, labels, noun};
use super::bootstrap::{Effect, FEWEST_BLOCKS, Verdict, block_effect, verdict};
use super::report::markdown;
use crate::blocking::blocking;
use crate::table::{self, open_bucket, place_of, to_blob, to_blob_ref};
use crate::train::{Line, ModelRows, PLACES, accuracy_metrics, newest_lookups, read_rows};

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
    /// Gain that is required, as a share of the opponent's loss.
    #[serde(default)]
    pub margin: f64,
    /// Smallest gain worth having, as a share of the opponent's loss: a challenger that surely gains less is not better.
    #[serde(default = "default_worth")]
    pub worth: f64,
    /// What makes rows alike, so that they are drawn together. Default: rows of one day; without a time, of one key.
    #[serde(default)]
    pub blocks: Option<BlockConfig>,
}

fn default_alias() -> String {
    "champion".to_owned()
}

fn default_worth() -> f64 {
    0.01
}

/// See [`CompareConfig`].
pub struct CompareChampion;

/// The version in production.
struct Champion {
    version: u64,
    digest: String,
    bundle: Bundle,
}

#[async_trait]
impl Plugin for CompareChampion {
    type Config = CompareConfig;
    const NAME: &'static str = "compare.champion";
    const SUMMARY: &'static str = "Compares a new version with the one in production on the same held-out rows.";

    fn outputs() -> Vec<Port> {
        vec![
            Port {
                name: "better",
                kind: PortKind::Value,
                description: "True if the verdict is `better`.",
            },
            Port {
                name: "verdict",
                kind: PortKind::Value,
                description: "`better`, `not_better` or `inconclusive`.",
            },
            Port {
                name: "comparison",
                kind: PortKind::Value,
                description: "Everything that was compared, for `promote.model`.",
            },
            Port {
                name: "report",
                kind: PortKind::Report,
                description: "The comparison as Markdown.",
            },
        ]
    }

    fn validate(config: &CompareConfig) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        for (pointer, value) in [("/margin", config.margin), ("/worth", config.worth)] {
            if !(0.0..1.0).contains(&value) {
                problems.push(ConfigProblem {
                    pointer: pointer.to_owned(),
                    message: format!("{value} is not a share from 0 to 1"),
                    help: Some("0.01 means one percent of the opponent's loss".to_owned()),
                });
            }
        }
        if let Some((message, help)) = config.blocks.as_ref().and_then(BlockConfig::problem) {
            problems.push(ConfigProblem {
                pointer: "/blocks".to_owned(),
                message,
                help: Some(help),
            });
        }
        problems
    }

    async fn run(config: CompareConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = open_bucket(&context.bucket_url).await?;
        let bytes = bucket
            .get_blob(&to_blob_ref(&config.challenger.bundle))
            .await
            .map_err(table::from_bucket)?;
        let challenger = Bundle::read(&bytes)
            .map_err(|error| unreadable(&config.challenger.name, "the challenger", &error.to_string()))?;
        let challenger = newest_lookups(&bucket, challenger).await?;
        let champion = champion(&bucket, &config.challenger.name, &config.alias).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let seed = context.seed;
        let settings = config.clone();
        let comparison = blocking("comparing", move || {
            let content = challenger.content();
            let rows = |bundle: &Bundle| {
                let content = bundle.content();
                read_rows(
                    &frame,
                    &settings.table,
                    &content.schema,
                    &content.target,
                    &Line::of(&content.window),
                )
            };
            refuse_another_line(&challenger, champion.as_ref())?;
            let own = rows(&challenger)?;
            let others = match &champion {
                Some(champion) => Some(rows(&champion.bundle).map_err(|error| {
                    let (name, version) = (&content.name, champion.version);
                    let message = format!(
                        "the champion {name}@{version} cannot answer the rows of {}: {}",
                        place_of(&settings.table),
                        error.message
                    );
                    TaskError::permanent(message).with_help(
                        "a champion whose fields are gone has to be replaced by a person: `ratchet models promote`",
                    )
                })?),
                None => None,
            };
            let blocks = match &settings.blocks {
                None => own.time.clone(),
                Some(blocks) => {
                    let labels = labels(blocks, &frame, &place_of(&settings.table))?;
                    own.kept.iter().map(|row| labels[*row]).collect()
                }
            };
            let own = Judged { rows: own, blocks };
            compare(&settings, &challenger, champion.as_ref(), &own, others.as_ref(), seed)
        })
        .await?;
        let page = markdown(&comparison);
        let report_blob = bucket
            .put_blob(page.into_bytes().into())
            .await
            .map_err(table::from_bucket)?;
        let said = comparison["verdict"].as_str().unwrap_or_default().to_owned();
        let reason = comparison["reason"].as_str().unwrap_or_default().to_owned();
        context.info(format!("{}: {reason}", said.replace('_', " ")));
        let report = Report {
            summary: said.replace('_', " "),
            file_name: "comparison.md".to_owned(),
            blob: to_blob(&report_blob),
        };
        Ok(Outputs::default()
            .with("better", Output::Value(json!(said == Verdict::Better.name())))
            .with("verdict", Output::Value(json!(said)))
            .with("comparison", Output::Value(comparison))
            .with("report", Output::Report(report)))
    }
}

fn unreadable(name: &str, who: &str, problem: &str) -> TaskError {
    TaskError::permanent(format!("{who} of `{name}` cannot be read: {problem}"))
        .with_help("promote a version that loads: `ratchet models list` shows them")
}

async fn champion(bucket: &Bucket, model: &str, alias: &str) -> Result<Option<Champion>, TaskError> {
    let log = PromotionLog::new(bucket.clone());
    let head = log
        .head()
        .await
        .map_err(|error| TaskError::transient(error.to_string()))?;
    let holder = head.and_then(|head| head.table.get(model).and_then(|aliases| aliases.get(alias)).cloned());
    let Some(holder) = holder else { return Ok(None) };
    let manifest = models::get(bucket, model, holder.version)
        .await
        .map_err(table::from_bucket)?;
    let manifest = manifest.ok_or_else(|| {
        unreadable(
            model,
            &format!("version {}", holder.version),
            "its manifest is not in the bucket",
        )
    })?;
    let bytes = bucket.get_blob(&manifest.bundle).await.map_err(table::from_bucket)?;
    let bundle = Bundle::read(&bytes).map_err(|error| {
        unreadable(
            model,
            &format!("the champion {model}@{}", holder.version),
            &error.to_string(),
        )
    })?;
    Ok(Some(Champion {
        version: holder.version,
        digest: holder.digest,
        bundle: newest_lookups(bucket, bundle).await?,
    }))
}

/// A row may judge both models only if it is known where both cut it off; two lines tell nothing of each other.
fn refuse_another_line(challenger: &Bundle, champion: Option<&Champion>) -> Result<(), TaskError> {
    let Some(champion) = champion else { return Ok(()) };
    let said = |bundle: &Bundle| match Line::of(&bundle.content().window) {
        Line::Time(column) => format!("by the time in `{column}`"),
        Line::Hash(key) => format!("by a hash of {}", key.join(", ")),
    };
    let (ours, theirs) = (said(challenger), said(&champion.bundle));
    if ours == theirs {
        return Ok(());
    }
    let name = &challenger.content().name;
    let message = format!(
        "the challenger was split {ours}, the champion {name}@{} {theirs}: which rows the champion learnt from is not known",
        champion.version
    );
    Err(TaskError::permanent(message)
        .with_help("a champion that was split another way has to be replaced by a person: `ratchet models promote`"))
}

/// The loss of one row: absolute error, Brier score, or ranked probability score.
fn loss(target: &Target, prediction: &Prediction, truth: f64) -> f64 {
    match &target.kind {
        TargetKind::Regression { .. } => (prediction.value - truth).abs(),
        TargetKind::Binary { .. } => (prediction.probability() - truth) * (prediction.probability() - truth),
        TargetKind::Ordinal { classes, .. } => {
            metrics::ranked_probability_score(truth as i64, &prediction.probabilities, classes)
        }
        TargetKind::Multiclass { classes, .. } => {
            metrics::class_brier(truth as i64, &prediction.probabilities, classes)
        }
    }
}

fn loss_name(target: &Target) -> &'static str {
    match target.kind {
        TargetKind::Regression { .. } => "mae",
        TargetKind::Binary { .. } | TargetKind::Multiclass { .. } => "brier",
        TargetKind::Ordinal { .. } => "ranked_probability_score",
    }
}

/// What answers without looking: the mean of the training rows, or the shares of their classes.
fn baseline(target: &Target, training: &[f64]) -> Prediction {
    let share = |class: f64| metrics::mean(training.iter().map(|truth| f64::from(u8::from(*truth == class))));
    match &target.kind {
        TargetKind::Regression { .. } => Prediction {
            value: metrics::mean(training.iter().copied()),
            interval: None,
            probabilities: Vec::new(),
        },
        TargetKind::Binary { .. } => {
            let yes = share(1.0);
            Prediction {
                value: f64::from(u8::from(yes > 0.5)),
                interval: None,
                probabilities: vec![1.0 - yes, yes],
            }
        }
        TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => {
            let probabilities: Vec<f64> = classes.iter().map(|class| share(*class as f64)).collect();
            let majority = (0..classes.len()).fold(0, |best, class| {
                if probabilities[class] > probabilities[best] {
                    class
                } else {
                    best
                }
            });
            Prediction {
                value: classes[majority] as f64,
                interval: None,
                probabilities,
            }
        }
    }
}

/// Rows with what makes them alike.
struct Judged {
    rows: ModelRows,
    blocks: Vec<i64>,
}

fn compare(
    config: &CompareConfig,
    challenger: &Bundle,
    champion: Option<&Champion>,
    judged: &Judged,
    others: Option<&ModelRows>,
    seed: u64,
) -> Result<Value, TaskError> {
    let content = challenger.content();
    let own = &judged.rows;
    let window = &content.window;
    let line = Line::of(window);
    let usable: Vec<usize> = (0..own.time.len())
        .filter(|row| !own.truth[*row].is_nan() && (window.until..window.holdout_until).contains(&own.time[*row]))
        .collect();
    // Neither model may have learnt from a row that judges it.
    let seen_until = champion.map_or(window.until, |champion| {
        champion.bundle.content().window.until.max(window.until)
    });
    let rows: Vec<usize> = usable
        .iter()
        .copied()
        .filter(|row| own.time[*row] >= seen_until)
        .collect();
    let left_out = usable.len() - rows.len();
    let truth: Vec<f64> = rows.iter().map(|row| own.truth[*row]).collect();
    let predictions = challenger.predict(&own.rows.select(&rows));
    let (opponent, other_predictions, other_metrics) = match (champion, others) {
        (Some(champion), Some(others)) => {
            if !champion.bundle.content().target.asks_the_same(&content.target) {
                let message = format!(
                    "the champion {}@{} answers another question than the challenger",
                    content.name, champion.version
                );
                return Err(TaskError::permanent(message).with_help(
                    "with another target it is another model: give it another name, or promote it by hand with `ratchet models promote`",
                ));
            }
            if others.time != own.time {
                let message = format!(
                    "the champion {}@{} goes by another time column",
                    content.name, champion.version
                );
                return Err(
                    TaskError::permanent(message).with_help("promote the challenger by hand: `ratchet models promote`")
                );
            }
            let predictions = champion.bundle.predict(&others.rows.select(&rows));
            let metrics = accuracy_metrics(&champion.bundle, &predictions, &truth);
            (
                format!("the champion {}@{}", content.name, champion.version),
                predictions,
                metrics,
            )
        }
        _ => {
            let before = |row: &usize| own.time[*row] < window.until && !own.truth[*row].is_nan();
            let training: Vec<f64> = (0..own.time.len()).filter(before).map(|row| own.truth[row]).collect();
            let predictions = vec![baseline(&content.target, &training); rows.len()];
            let metrics = accuracy_metrics(challenger, &predictions, &truth);
            let name = if matches!(content.target.kind, TargetKind::Regression { .. }) {
                "the mean of the training rows"
            } else {
                "the shares of the training rows"
            };
            (name.to_owned(), predictions, metrics)
        }
    };
    let losses = |predictions: &[Prediction]| -> Vec<f64> {
        predictions
            .iter()
            .zip(&truth)
            .map(|(prediction, truth)| loss(&content.target, prediction, *truth))
            .collect()
    };
    let (own_losses, other_losses) = (losses(&predictions), losses(&other_predictions));
    let gains: Vec<f64> = other_losses
        .iter()
        .zip(&own_losses)
        .map(|(other, own)| other - own)
        .collect();
    let blocks: Vec<i64> = match (&config.blocks, line) {
        (None, Line::Time(_)) => rows.iter().map(|row| judged.blocks[*row].div_euclid(DAY)).collect(),
        _ => rows.iter().map(|row| judged.blocks[*row]).collect(),
    };
    let noun = noun(config.blocks.as_ref(), &line);
    let other_loss = metrics::mean(other_losses.iter().copied());
    let same = champion.is_some()
        && predictions
            .iter()
            .zip(&other_predictions)
            .all(|(a, b)| a.value == b.value && a.probabilities == b.probabilities);
    let effect = block_effect(&gains, &blocks, seed);
    let (verdict, reason) = decide(
        config,
        effect.as_ref(),
        other_loss,
        same && !rows.is_empty(),
        &opponent,
        loss_name(&content.target),
        &noun,
    );
    let own_metrics = accuracy_metrics(challenger, &predictions, &truth);
    let finite = |map: BTreeMap<String, f64>| -> BTreeMap<String, f64> {
        map.into_iter().filter(|(_, value)| value.is_finite()).collect()
    };
    Ok(json!({
        "challenger": {"name": content.name, "version": config.challenger.version, "digest": config.challenger.bundle.sha256, "until": until(challenger)},
        "champion": champion.map(|champion| json!({
            "version": champion.version,
            "digest": champion.digest,
            "until": until(&champion.bundle),
        })),
        "opponent": opponent,
        "alias": config.alias,
        "verdict": verdict.name(),
        "reason": reason,
        "loss": loss_name(&content.target),
        "effect": effect,
        "margin": config.margin,
        "worth": config.worth,
        "metrics": {"challenger": finite(own_metrics), "opponent": finite(other_metrics)},
        "holdout": {"from": place_on(&line, seen_until), "until": place_on(&line, window.holdout_until)},
        "blocks": noun,
        "rows_left_out": left_out,
        "simulated": content.simulated,
    }))
}

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The last instant that a model learnt from; none where its rows have no time.
fn until(bundle: &Bundle) -> Option<String> {
    let window = &bundle.content().window;
    match Line::of(window) {
        Line::Time(_) => Some(format_timestamp(window.until)),
        Line::Hash(_) => None,
    }
}

/// A place on the line for people: an instant, or a share of the keys.
fn place_on(line: &Line<'_>, place: i64) -> Value {
    match line {
        Line::Time(_) => json!(format_timestamp(place)),
        Line::Hash(_) => json!(place as f64 / PLACES as f64),
    }
}

fn decide(
    config: &CompareConfig,
    effect: Option<&Effect>,
    other_loss: f64,
    same: bool,
    opponent: &str,
    loss: &str,
    noun: &str,
) -> (Verdict, String) {
    if same {
        return (
            Verdict::NotBetter,
            format!("every answer is the same as that of {opponent}"),
        );
    }
    let Some(effect) = effect else {
        return (
            Verdict::Inconclusive,
            format!(
                "there are rows of fewer than two {noun} that neither was trained on; {FEWEST_BLOCKS} {noun} are the least"
            ),
        );
    };
    let (margin, worth) = (config.margin * other_loss, config.worth * other_loss);
    let verdict = verdict(effect, margin, worth);
    let percent = |gain: f64| gain / other_loss * 100.0;
    let gain = format!(
        "{loss} {} by {:.2} % against {opponent} (95 % interval {:.2} to {:.2} %) on {} rows of {} {noun}",
        if effect.gain >= 0.0 { "falls" } else { "rises" },
        percent(effect.gain).abs(),
        percent(effect.lower),
        percent(effect.upper),
        effect.rows,
        effect.blocks
    );
    let reason = match verdict {
        Verdict::Better => gain,
        Verdict::NotBetter => format!("{gain}; a gain of {:.2} % is ruled out", percent(worth.max(margin))),
        Verdict::Inconclusive if effect.blocks < FEWEST_BLOCKS => {
            format!("{gain}; {FEWEST_BLOCKS} {noun} are the least that decide")
        }
        Verdict::Inconclusive => format!(
            "{gain}; these rows would have shown a gain of {:.2} %",
            percent(effect.detectable)
        ),
    };
    (verdict, reason)
}
