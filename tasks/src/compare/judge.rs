//! From two sides and the rows that judge to a verdict.

use std::collections::BTreeMap;
use std::time::Instant;

use ratchet_core::plugin::TaskError;
use ratchet_model::schema::format_timestamp;
use ratchet_model::{Bundle, Prediction, Rows, TargetKind, metrics};
use serde_json::{Value, json};

use super::blocks::noun;
use super::bootstrap::{Effect, FEWEST_BLOCKS, Verdict, block_effect, verdict};
use super::calibration::calibration_error;
use super::comparison::{Challenger, Champion, Comparison, Holdout, Sides, Test};
use super::config::CompareConfig;
use super::diebold_mariano::{FEWEST_HORIZONS, forecast_effect};
use super::evidence::Evidence;
use super::guard_rails::{Facts, RailResult};
use super::holdout::Uses;
use super::mcnemar::mcnemar;
use super::opponent::{Version, baseline, loss, loss_name, of_number};
use super::page::DayGain;
use super::slices::{Judged, p_of_loss, slice_effects};
use crate::train::{Line, PLACES, accuracy_metrics};

/// Rows that are timed one by one.
const TIMED: usize = 200;

/// A comparison, and what only its page shows.
pub(super) struct Judgment {
    pub comparison: Comparison,
    /// The gain of each day; empty where rows have no time.
    pub days: Vec<DayGain>,
}

/// The other side's name and answers.
struct Opponent {
    name: String,
    predictions: Vec<Prediction>,
}

fn other_side(
    config: &CompareConfig,
    challenger: &Bundle,
    champion: Option<&Version>,
    evidence: &Evidence,
) -> Opponent {
    if let (Some(champion), Some(rows)) = (champion, &evidence.theirs) {
        return Opponent {
            name: format!("the champion {}@{}", config.challenger.name, champion.version),
            predictions: champion.bundle.predict(rows),
        };
    }
    let (name, constant) = baseline(&challenger.content().target, &evidence.training);
    let forecast = config
        .forecast
        .as_ref()
        .and_then(|forecast| forecast.persistence.as_ref());
    match (forecast, &evidence.persistence) {
        (Some(column), Some(values)) => Opponent {
            name: format!("the last value in `{column}`"),
            // A row without it is answered by the mean, as nobody would leave it unanswered.
            predictions: values
                .iter()
                .map(|value| {
                    if value.is_nan() {
                        constant.clone()
                    } else {
                        of_number(*value)
                    }
                })
                .collect(),
        },
        _ => Opponent {
            name: name.to_owned(),
            predictions: vec![constant; evidence.truth.len()],
        },
    }
}

/// Compares both sides on the rows that judge.
///
/// # Errors
/// A field with too many slices.
pub(super) fn judge(
    config: &CompareConfig,
    challenger: &Bundle,
    champion: Option<&Version>,
    evidence: &Evidence,
    uses: Uses,
    seed: u64,
) -> Result<Judgment, TaskError> {
    let content = challenger.content();
    let target = &content.target;
    let line = Line::of(&content.window);
    let truth = &evidence.truth;
    let predictions = challenger.predict(&evidence.ours);
    let other = other_side(config, challenger, champion, evidence);
    let losses = |predictions: &[Prediction]| -> Vec<f64> {
        let pairs = predictions.iter().zip(truth);
        pairs
            .map(|(prediction, truth)| loss(target, prediction, *truth))
            .collect()
    };
    let (own_losses, other_losses) = (losses(&predictions), losses(&other.predictions));
    let gains: Vec<f64> = other_losses
        .iter()
        .zip(&own_losses)
        .map(|(other, own)| other - own)
        .collect();
    let opponent_loss = Some(metrics::mean(other_losses.iter().copied())).filter(|loss| loss.is_finite());

    let (effect, test, nouns) = match &config.forecast {
        Some(forecast) => {
            let horizon = forecast.horizon as usize;
            let found = forecast_effect(&gains, &evidence.places, horizon);
            let cosines = found.map_or(0, |(_, cosines)| cosines);
            let test = Test::DieboldMariano { horizon, cosines };
            (found.map(|(effect, _)| effect), test, "instants".to_owned())
        }
        None => {
            let effect = block_effect(&gains, &evidence.blocks, seed);
            (effect, Test::BlockBootstrap, noun(config.blocks.as_ref(), &line))
        }
    };
    let fewest = match test {
        Test::BlockBootstrap => FEWEST_BLOCKS,
        Test::DieboldMariano { horizon, .. } => FEWEST_HORIZONS * horizon,
    };

    let right = |predictions: &[Prediction]| -> Vec<bool> {
        let pairs = predictions.iter().zip(truth);
        pairs.map(|(prediction, truth)| prediction.value == *truth).collect()
    };
    let decisions = (!matches!(target.kind, TargetKind::Regression { .. })).then(|| {
        let (ours, theirs) = (right(&predictions), right(&other.predictions));
        let gains: Vec<f64> = ours
            .iter()
            .zip(&theirs)
            .map(|(our, their)| f64::from(*our) - f64::from(*their))
            .collect();
        (
            mcnemar(ours.into_iter(), theirs.into_iter()),
            p_of_loss(&gains, &evidence.blocks),
        )
    });
    let rows = Judged {
        gains: &gains,
        other_losses: &other_losses,
        blocks: &evidence.blocks,
    };
    let slices = match &config.guard_rails.slices {
        Some(rail) => slice_effects(&rows, &evidence.slices, rail.fewest_rows, rail.correction)?,
        None => Vec::new(),
    };
    let guard_rails = match (champion, &evidence.theirs) {
        (Some(champion), Some(theirs)) => {
            let ours = calibration_error(challenger, &predictions, truth);
            let calibration = ours.zip(calibration_error(&champion.bundle, &other.predictions, truth));
            let timed = config.guard_rails.latency.filter(|_| !truth.is_empty());
            config.guard_rails.check(&Facts {
                slices: &slices,
                calibration,
                decisions: decisions.as_ref().map(|(mcnemar, p)| (mcnemar, *p)),
                latency: timed.map(|_| time_both((challenger, &evidence.ours), (&champion.bundle, theirs))),
                bytes: (config.challenger.bundle.bytes, champion.bytes),
            })
        }
        _ => Vec::new(),
    };

    let same = champion.is_some() && !truth.is_empty() && same_answers(&predictions, &other.predictions);
    let question = Question {
        config,
        opponent: &other.name,
        opponent_loss,
        loss: loss_name(target),
        nouns: &nouns,
        fewest,
    };
    let (verdict, reason) = question.decide(effect.as_ref(), same, &guard_rails);
    let surely_worse = effect.is_some_and(|effect| effect.blocks >= fewest && effect.upper < 0.0);
    let own_metrics = accuracy_metrics(challenger, &predictions, truth);
    let other_metrics = accuracy_metrics(
        champion.map_or(challenger, |champion| &champion.bundle),
        &other.predictions,
        truth,
    );
    let comparison = Comparison {
        challenger: Challenger {
            name: content.name.clone(),
            version: config.challenger.version,
            digest: config.challenger.bundle.sha256.clone(),
            until: until(challenger),
        },
        champion: champion.map(|champion| Champion {
            version: champion.version,
            digest: champion.digest.clone(),
            until: until(&champion.bundle),
        }),
        alias: config.alias.clone(),
        verdict,
        worse: surely_worse || guard_rails.iter().any(RailResult::refuses),
        reason,
        loss: loss_name(target).to_owned(),
        test,
        effect,
        opponent_loss,
        margin: config.margin,
        worth: config.worth,
        metrics: Sides {
            challenger: finite(own_metrics),
            opponent: finite(other_metrics),
        },
        decisions: decisions.map(|(mcnemar, _)| mcnemar),
        guard_rails,
        slices,
        holdout: Holdout {
            from: place_on(&line, evidence.from),
            until: place_on(&line, content.window.holdout_until),
            uses,
        },
        blocks: nouns,
        rows_left_out: evidence.left_out,
        simulated: content.simulated,
        opponent: other.name,
    };
    let days = match line {
        Line::Time(_) => DayGain::of(&gains, &evidence.places),
        Line::Hash(_) => Vec::new(),
    };
    Ok(Judgment { comparison, days })
}

fn same_answers(ours: &[Prediction], theirs: &[Prediction]) -> bool {
    let mut pairs = ours.iter().zip(theirs);
    pairs.all(|(a, b)| a.value == b.value && a.probabilities == b.probabilities)
}

/// JSON has no NaN: a metric that does not exist (one class only) is left out.
fn finite(metrics: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    metrics.into_iter().filter(|(_, value)| value.is_finite()).collect()
}

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

/// Seconds that each takes for one row: the median over rows that both answer in turn, so that a busy machine is busy for both.
fn time_both(ours: (&Bundle, &Rows), theirs: (&Bundle, &Rows)) -> (f64, f64) {
    let time = |(bundle, rows): (&Bundle, &Rows), row: usize| {
        let one = rows.select(&[row]);
        let start = Instant::now();
        std::hint::black_box(bundle.predict(&one));
        start.elapsed().as_secs_f64()
    };
    let rows = ours.1.len().min(TIMED);
    let (mut our_times, mut their_times): (Vec<f64>, Vec<f64>) =
        (0..rows).map(|row| (time(ours, row), time(theirs, row))).unzip();
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(&mut our_times), median(&mut their_times))
}

/// What a verdict needs to be put into words.
struct Question<'a> {
    config: &'a CompareConfig,
    opponent: &'a str,
    opponent_loss: Option<f64>,
    loss: &'a str,
    nouns: &'a str,
    fewest: usize,
}

impl Question<'_> {
    fn decide(&self, effect: Option<&Effect>, same: bool, guard_rails: &[RailResult]) -> (Verdict, String) {
        let Self {
            nouns,
            fewest,
            opponent,
            ..
        } = self;
        if same {
            return (
                Verdict::NotBetter,
                format!("every answer is the same as that of {opponent}"),
            );
        }
        let (Some(effect), Some(loss)) = (effect, self.opponent_loss) else {
            let reason = format!(
                "there are rows of fewer than two {nouns} that neither was trained on; {fewest} {nouns} are the least"
            );
            return (Verdict::Inconclusive, reason);
        };
        let (margin, worth) = (self.config.margin * loss, self.config.worth * loss);
        let verdict = verdict(effect, margin, worth, *fewest);
        let gain = self.gain(effect, loss);
        let percent = |gain: f64| gain / loss * 100.0;
        match verdict {
            Verdict::Better => match guard_rails.iter().find(|result| result.refuses()) {
                Some(broken) => (
                    Verdict::NotBetter,
                    format!(
                        "{gain}; the guard rail `{}` does not hold: {}",
                        broken.rail, broken.detail
                    ),
                ),
                None => (verdict, gain),
            },
            Verdict::NotBetter => (
                verdict,
                format!("{gain}; a gain of {:.2} % is ruled out", percent(worth.max(margin))),
            ),
            Verdict::Inconclusive if effect.blocks < *fewest => {
                (verdict, format!("{gain}; {fewest} {nouns} are the least that decide"))
            }
            Verdict::Inconclusive => {
                let detectable = percent(effect.detectable);
                (
                    verdict,
                    format!("{gain}; these rows would have shown a gain of {detectable:.2} %"),
                )
            }
        }
    }

    fn gain(&self, effect: &Effect, loss: f64) -> String {
        let percent = |gain: f64| gain / loss * 100.0;
        format!(
            "{} {} by {:.2} % against {} (95 % interval {:.2} to {:.2} %) on {} rows of {} {}",
            self.loss,
            if effect.gain >= 0.0 { "falls" } else { "rises" },
            percent(effect.gain).abs(),
            self.opponent,
            percent(effect.lower),
            percent(effect.upper),
            effect.rows,
            effect.blocks,
            self.nouns
        )
    }
}
