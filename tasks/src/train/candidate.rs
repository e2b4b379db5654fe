//! One candidate fitted: one output, one per cut between classes, or one per class.

use ratchet_core::plugin::TaskContext;
use ratchet_model::features::Matrix;
use ratchet_model::predictor::{Forest, Link, Predictor};
use ratchet_model::{ModelOutput, Question, Target, TargetKind, Transform};

use super::boosting::{self, Loss, Resources};
use super::fit::{Part, Setting, fit_features};
use super::settings::{BoostingConfig, Candidate};
use super::{linear, tree};
use crate::parallel::in_parallel;

/// What all candidates of a training are fitted for.
#[derive(Clone, Copy)]
pub struct Aim<'a> {
    /// What to predict.
    pub target: &'a Target,
    /// True if both sides of a cut between classes weigh the same.
    pub is_balanced: bool,
    /// Seed and threads.
    pub resources: Resources,
}

impl Aim<'_> {
    /// The same on so many threads, one at least.
    pub fn on(self, threads: usize) -> Self {
        let resources = Resources {
            threads: threads.max(1),
            ..self.resources
        };
        Aim { resources, ..self }
    }
}

/// Rows that say when more trees bring nothing.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// Their features.
    pub features: &'a Matrix,
    /// The number, 0 or 1, or the class.
    pub truth: &'a [f64],
}

/// A fitted candidate.
pub struct Fitted {
    /// One, one per cut between classes, or one per class.
    pub outputs: Vec<ModelOutput>,
    /// Error on the rows that judge after each tree, per output; empty without them.
    pub curves: Vec<Vec<f64>>,
}

/// Fits a candidate on features and truths (the number, 0 or 1, or the class). Boosting with `patience` ends by the rows that
/// judge, if there are any.
pub fn fit(
    candidate: &Candidate,
    features: &Matrix,
    truth: &[f64],
    aim: Aim<'_>,
    judge: Option<Judge<'_>>,
) -> Result<Fitted, String> {
    if let TargetKind::Regression { transform } = &aim.target.kind {
        return fit_regression(candidate, features, truth, *transform, aim.resources, judge);
    }
    let questions = aim.target.questions();
    let threads = aim.resources.threads;
    let inside = aim.on(threads / questions.len().max(1));
    let fitted = in_parallel(threads, &questions, |question| {
        fit_question(candidate, features, truth, *question, inside, judge)
    });
    let (outputs, curves): (Vec<_>, Vec<_>) = fitted.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok(Fitted {
        outputs,
        curves: curves.into_iter().flatten().collect(),
    })
}

/// A candidate whose number of trees is decided: boosting with `patience` is fitted once without the newest rows, which say how
/// many trees it takes. Every later fit has so many.
pub fn settle(
    setting: &Setting<'_>,
    candidate: &Candidate,
    part: &Part,
    context: &TaskContext,
) -> Result<Candidate, String> {
    let Candidate::Boosting(settings) = candidate else {
        return Ok(candidate.clone());
    };
    if settings.patience == 0 {
        return Ok(candidate.clone());
    }
    let (earlier, newest) = part.rolling_folds(PATIENCE_FOLDS).pop().unwrap_or_default();
    let (earlier, newest) = (part.select(&earlier), part.select(&newest));
    let (pipeline, matrix) = fit_features(setting, &earlier)?;
    let judge = Judge {
        features: &pipeline.features_of(&newest.rows, setting.lookups).0,
        truth: &newest.truth,
    };
    let fitted = fit(candidate, &matrix, &earlier.truth, setting.aim(), Some(judge))?;
    for (number, curve) in fitted.curves.iter().enumerate() {
        for (tree, error) in curve.iter().enumerate() {
            context.metric(format!("patience.{number}"), *error, tree as u64);
        }
    }
    let trees = fitted.outputs.iter().map(|output| match &output.predictor {
        Predictor::Forest(forest) => forest.trees(),
        Predictor::Linear(_) => 0,
    });
    let trees = trees.max().unwrap_or_default().max(1);
    context.info(format!(
        "{} of {} trees are enough for the newest rows",
        trees, settings.trees
    ));
    Ok(Candidate::Boosting(BoostingConfig {
        trees,
        ..settings.clone()
    }))
}

/// Of these folds the last decides the number of trees: a tenth of the time, or a fifth of the keys.
const PATIENCE_FOLDS: usize = 5;

fn output(predictor: Predictor, link: Link) -> ModelOutput {
    ModelOutput {
        predictor,
        link,
        calibration: None,
    }
}

fn fit_regression(
    candidate: &Candidate,
    features: &Matrix,
    truth: &[f64],
    transform: Transform,
    resources: Resources,
    judge: Option<Judge<'_>>,
) -> Result<Fitted, String> {
    let target: Vec<f64> = truth.iter().map(|value| transform.forward(*value)).collect();
    if let Some(row) = target.iter().position(|value| !value.is_finite()) {
        return Err(format!(
            "the target {} cannot be transformed as configured; gate such values, or leave `transform` out",
            truth[row]
        ));
    }
    let (predictor, curve) = match candidate {
        Candidate::Linear(_) => (Predictor::Linear(linear::fit_regression(features, &target)?), None),
        Candidate::Tree(config) => {
            let tree = boosting::fit_tree(features, &target, config, resources)?;
            (Predictor::Forest(tree), None)
        }
        Candidate::Boosting(config) => {
            let forward = |truth: &f64| transform.forward(*truth);
            let judge = judge.map(|judge| (judge.features, judge.truth.iter().map(forward).collect::<Vec<f64>>()));
            let judge = judge.as_ref().map(|(features, target)| Judge {
                features,
                truth: target,
            });
            let (forest, curve) = boost(features, truth, &target, transform, config, resources, judge)?;
            (Predictor::Forest(forest), curve)
        }
    };
    Ok(Fitted {
        outputs: vec![output(predictor, Link::Identity)],
        curves: curve.into_iter().collect(),
    })
}

/// Boosting on squared loss; each round of reweighting divides a row's weight by its residual, which turns squared
/// loss into absolute loss (iteratively reweighted least squares).
fn boost(
    features: &Matrix,
    truth: &[f64],
    target: &[f64],
    transform: Transform,
    config: &BoostingConfig,
    resources: Resources,
    judge: Option<Judge<'_>>,
) -> Result<(Forest, Option<Vec<f64>>), String> {
    let mut weights = vec![1.0; truth.len()];
    let mut fitted = boosting::fit(features, target, &weights, Loss::Squared, config, resources, judge)?;
    for _ in 0..config.reweight {
        let scores = fitted.0.scores(features);
        let residuals = truth.iter().zip(scores);
        let residuals: Vec<f64> = residuals
            .map(|(truth, score)| (truth - transform.backward(score)).abs())
            .collect();
        // Rows that are met almost exactly would otherwise decide everything.
        let floor = RESIDUAL_FLOOR * ratchet_model::metrics::mean(residuals.iter().copied());
        weights = residuals.iter().map(|residual| 1.0 / residual.max(floor)).collect();
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        weights.iter_mut().for_each(|weight| *weight *= scale);
        fitted = boosting::fit(features, target, &weights, Loss::Squared, config, resources, judge)?;
    }
    Ok(fitted)
}

/// Residuals below this share of their mean count as this share.
const RESIDUAL_FLOOR: f64 = 0.5;

fn fit_question(
    candidate: &Candidate,
    features: &Matrix,
    truth: &[f64],
    question: Question,
    aim: Aim<'_>,
    judge: Option<Judge<'_>>,
) -> Result<(ModelOutput, Option<Vec<f64>>), String> {
    let flags: Vec<bool> = truth.iter().map(|truth| question.holds(*truth)).collect();
    let hits = flags.iter().filter(|flag| **flag).count();
    if hits == 0 || hits == flags.len() {
        let side = match (question, &aim.target.kind) {
            (Question::Is(class), _) if hits == 0 => format!("of another class than {class}"),
            (Question::Is(class), _) => format!("of class {class}"),
            // The truth of a yes-or-no question is 0 or 1; people know it by its limit.
            (Question::Above(limit), kind) => {
                let limit = if let TargetKind::Binary { above, .. } = kind {
                    *above
                } else {
                    limit
                };
                let side = if hits == 0 { "at or below" } else { "above" };
                format!("{side} {limit}")
            }
        };
        return Err(format!(
            "all {} training rows are {side}: there is one class only; give rows of both, or ask for another limit",
            flags.len()
        ));
    }
    // Balanced sides weigh half of all rows each.
    let weight = |flag: &bool| {
        let side = if *flag { hits } else { flags.len() - hits };
        if aim.is_balanced {
            flags.len() as f64 / (2.0 * side as f64)
        } else {
            1.0
        }
    };
    let weights: Vec<f64> = flags.iter().map(weight).collect();
    match candidate {
        Candidate::Linear(config) => {
            let fitted = linear::fit_binary(features, &flags, &weights, config.alpha);
            Ok((output(Predictor::Linear(fitted), Link::Logistic), None))
        }
        Candidate::Tree(config) => {
            let tree = tree::fit_binary(features, &flags, &weights, config)?;
            Ok((output(Predictor::Forest(tree), Link::Identity), None))
        }
        Candidate::Boosting(config) => {
            let holds = |truth: &f64| f64::from(u8::from(question.holds(*truth)));
            let target: Vec<f64> = truth.iter().map(holds).collect();
            let judge = judge.map(|judge| (judge.features, judge.truth.iter().map(holds).collect::<Vec<f64>>()));
            let judge = judge.as_ref().map(|(features, target)| Judge {
                features,
                truth: target,
            });
            let (forest, curve) = boosting::fit(features, &target, &weights, Loss::Log, config, aim.resources, judge)?;
            Ok((output(Predictor::Forest(forest), Link::Logistic), curve))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use ratchet_model::arithmetic::logistic;
    use ratchet_model::metrics;

    use super::super::settings::LinearConfig;
    use super::*;

    /// One row in twenty is true, most of them where the feature is high.
    #[test]
    fn a_balanced_linear_candidate_takes_half_of_all_rows_for_true() {
        let rows = 2_000;
        let truth: Vec<f64> = (0..rows).map(|row| f64::from(u8::from(row % 20 == 0))).collect();
        let noise = |row: usize| ((row * 7919) % 1000) as f64 / 500.0 - 1.0;
        let features = Matrix {
            values: (0..rows).map(|row| truth[row] + noise(row)).collect(),
            rows,
            columns: 1,
        };
        let target = Target {
            column: "late".to_owned(),
            kind: TargetKind::Binary {
                above: 0.5,
                weights: [1.0; 2],
            },
            answer: "late".to_owned(),
        };
        let share = |is_balanced| {
            let aim = Aim {
                target: &target,
                is_balanced,
                resources: Resources { seed: 1, threads: 1 },
            };
            let candidate = Candidate::Linear(LinearConfig::default());
            let fitted = fit(&candidate, &features, &truth, aim, None).unwrap();
            let Predictor::Linear(linear) = &fitted.outputs[0].predictor else {
                panic!("a forest")
            };
            let probability = |row: usize| logistic(linear.score(features.row(row)));
            let of = |side: f64| metrics::mean((0..rows).filter(|row| truth[*row] == side).map(probability));
            (of(0.0) + of(1.0)) / 2.0
        };
        // A fitted intercept makes the weighted mean of the probabilities the weighted share of true rows.
        assert!((share(true) - 0.5).abs() < 1e-6, "{}", share(true));
        assert!(share(false) < 0.25, "{}", share(false));
    }
}
