//! Looks for settings of boosting on folds of the rows that fit. The validation rows and the holdout stay unseen: what is found
//! competes with the other candidates on the validation rows like any of them.

use ratchet_core::plugin::{TaskContext, TaskError};
use ratchet_model::features::Matrix;
use ratchet_model::predict;
use serde_json::{Value, json};

use super::candidate::{self, Judge};
use super::evaluate::{accuracy, selection_metric};
use super::fit::{Part, Setting, fit_features};
use super::search_config::SearchConfig;
use super::settings::{BoostingConfig, Candidate};
use super::training::refused;
use crate::parallel::in_parallel;
use crate::simulate::random::Random;

/// Rows below which a round of halving says nothing.
const FEWEST_ROWS: usize = 100;

/// What a search found.
pub struct Found {
    /// The best settings.
    pub settings: BoostingConfig,
    /// All that were tried, for the report.
    pub report: Value,
}

/// A fold with its features, which no setting changes.
struct Fold {
    fit: Matrix,
    fit_truth: Vec<f64>,
    judge: Matrix,
    judge_truth: Vec<f64>,
}

struct Trial {
    settings: BoostingConfig,
    /// The metric that chooses, meaned over the folds of the last round that it saw.
    score: f64,
    rounds: usize,
}

/// Draws settings and tries them. The same seed finds the same, whatever the number of threads.
///
/// # Errors
/// Folds without enough rows, and a cancellation.
pub fn search(
    setting: &Setting<'_>,
    part: &Part,
    config: &SearchConfig,
    context: &TaskContext,
) -> Result<Found, TaskError> {
    let (count, fold_count, factor) = config.sizes();
    let failed = |problem: String| refused(&format!("the search of `{}`", setting.config.model), &problem);
    let mut folds = Vec::with_capacity(fold_count);
    for (fit, judge) in part.rolling_folds(fold_count) {
        folds.push(fold(setting, &part.select(&fit), &part.select(&judge)).map_err(failed)?);
    }
    let base = setting.config.candidates.iter().find_map(|candidate| match candidate {
        Candidate::Boosting(settings) => Some(settings.clone()),
        _ => None,
    });
    let base = base.unwrap_or_default();
    let mut random = Random::new(setting.resources.seed);
    let mut trials: Vec<Trial> = (0..count)
        .map(|_| Trial {
            settings: config.draw(&base, || random.uniform()),
            score: f64::INFINITY,
            rounds: 0,
        })
        .collect();
    let metric = selection_metric(setting.target);
    let mut alive = count;
    let mut rounds = match factor {
        None => 1,
        Some(factor) => (1..).take_while(|round| count / factor.pow(*round) >= 1).count() + 1,
    };
    let smallest = folds.iter().map(|fold| fold.fit.rows).min().unwrap_or_default();
    while let Some(factor) = factor
        && rounds > 1
        && smallest / factor.pow(rounds as u32 - 1) < FEWEST_ROWS
    {
        rounds -= 1;
    }
    for round in 0..rounds {
        let share = factor.map_or(1, |factor| factor.pow((rounds - 1 - round) as u32));
        for wave in (0..alive).collect::<Vec<_>>().chunks(setting.resources.threads) {
            if context.is_cancelled() {
                return Err(TaskError::transient("training was cancelled"));
            }
            let score = |trial: &usize| score(setting, &trials[*trial].settings, &folds, share);
            let scores = in_parallel(setting.resources.threads, wave, score);
            for (trial, scored) in wave.iter().zip(scores) {
                let scored = scored.map_err(failed)?;
                trials[*trial].score = scored;
                trials[*trial].rounds = round + 1;
                context.metric(format!("search.{metric}"), scored, (round * count + trial) as u64);
            }
            let done = (round as f64 + wave[wave.len() - 1] as f64 / alive as f64) / rounds as f64;
            context.progress(
                0.5 * done,
                format!(
                    "searching: {} of {alive} in round {}",
                    wave[wave.len() - 1] + 1,
                    round + 1
                ),
            );
        }
        // The order in which equal scores were drawn decides between them.
        trials[..alive].sort_by(|a, b| a.score.total_cmp(&b.score));
        context.info(format!(
            "search round {} of {rounds}: {alive} settings on 1/{share} of the rows of {fold_count} folds, best {metric} {:.4} with {}",
            round + 1,
            trials[0].score,
            json!(trials[0].settings)
        ));
        if let Some(factor) = factor {
            alive = (alive / factor).max(1);
        }
    }
    let report = json!({
        "metric": metric,
        "folds": fold_count,
        "rounds": rounds,
        "trials": trials.iter().map(|trial| json!({
            "settings": trial.settings, "score": trial.score, "rounds": trial.rounds,
        })).collect::<Vec<_>>(),
    });
    Ok(Found {
        settings: trials.swap_remove(0).settings,
        report,
    })
}

fn fold(setting: &Setting<'_>, fit: &Part, judge: &Part) -> Result<Fold, String> {
    if fit.truth.len() < FEWEST_ROWS || judge.truth.is_empty() {
        return Err(format!(
            "a fold has {} rows to fit and {} to judge; {FEWEST_ROWS} and 1 are the least; ask for fewer folds",
            fit.truth.len(),
            judge.truth.len()
        ));
    }
    let (pipeline, matrix) = fit_features(setting, fit)?;
    Ok(Fold {
        fit: matrix,
        fit_truth: fit.truth.clone(),
        judge: pipeline.features_of(&judge.rows, setting.lookups).0,
        judge_truth: judge.truth.clone(),
    })
}

/// The metric that chooses, meaned over the folds. `share` takes the newest one in so many of a fold's rows.
fn score(setting: &Setting<'_>, settings: &BoostingConfig, folds: &[Fold], share: usize) -> Result<f64, String> {
    let aim = setting.aim().on(1);
    let candidate = Candidate::Boosting(settings.clone());
    let mut sum = 0.0;
    for fold in folds {
        let skipped = fold.fit.rows - fold.fit.rows / share;
        let newest: Vec<usize> = (skipped..fold.fit.rows).collect();
        let matrix = fold.fit.select(&newest);
        let judge = Judge {
            features: &fold.judge,
            truth: &fold.judge_truth,
        };
        let truth = &fold.fit_truth[skipped..];
        let fitted = candidate::fit(&candidate, &matrix, truth, aim, Some(judge))?;
        let predictions = predict(setting.target, &fitted.outputs, None, &fold.judge);
        let metrics = accuracy(setting.target, &predictions, &fold.judge_truth);
        sum += metrics
            .get(selection_metric(setting.target))
            .copied()
            .unwrap_or(f64::INFINITY);
    }
    Ok(sum / folds.len() as f64)
}
