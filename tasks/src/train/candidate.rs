//! One candidate fitted: one output, or one per cut between classes.

use ratchet_model::features::Matrix;
use ratchet_model::predictor::{Link, Predictor};
use ratchet_model::{ModelOutput, Target, TargetKind, Transform};

use super::boosting::{self, Loss, Resources};
use super::config::{BoostingConfig, Candidate};
use super::{linear, tree};

/// Fits a candidate on features and truths (the number, 0 or 1, or the class).
pub fn fit(
    candidate: &Candidate,
    features: &Matrix,
    truth: &[f64],
    target: &Target,
    resources: Resources,
) -> Result<Vec<ModelOutput>, String> {
    let mut outputs = match &target.kind {
        TargetKind::Regression { transform } => {
            vec![fit_regression(candidate, features, truth, *transform, resources)?]
        }
        TargetKind::Binary { .. } => vec![fit_cut(candidate, features, truth, 0.5, resources)?],
        TargetKind::Ordinal { classes, .. } => {
            let cuts = classes.windows(2).map(|pair| (pair[0] as f64 + pair[1] as f64) / 2.0);
            cuts.map(|cut| fit_cut(candidate, features, truth, cut, resources))
                .collect::<Result<_, _>>()?
        }
    };
    // Explanations weigh the two ways of a split by how many training rows went each.
    for output in &mut outputs {
        if let Predictor::Forest(forest) = &mut output.predictor {
            forest.count_covers(features);
        }
    }
    Ok(outputs)
}

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
) -> Result<ModelOutput, String> {
    let target: Vec<f64> = truth.iter().map(|value| transform.forward(*value)).collect();
    if let Some(row) = target.iter().position(|value| !value.is_finite()) {
        return Err(format!(
            "the target {} cannot be transformed as configured; gate such values, or leave `transform` out",
            truth[row]
        ));
    }
    let predictor = match candidate {
        Candidate::Linear(_) => Predictor::Linear(linear::fit_regression(features, &target)?),
        Candidate::Tree(config) => Predictor::Forest(boosting::fit_tree(features, &target, config, resources)?),
        Candidate::Boosting(config) => boost(features, truth, &target, transform, config, resources)?,
    };
    Ok(output(predictor, Link::Identity))
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
) -> Result<Predictor, String> {
    let mut weights = vec![1.0; truth.len()];
    let mut forest = boosting::fit(features, target, &weights, Loss::Squared, config, resources)?;
    for _ in 0..config.reweight {
        let residuals: Vec<f64> = (0..truth.len())
            .map(|row| (truth[row] - transform.backward(forest.score(features.row(row)))).abs())
            .collect();
        // Rows that are met almost exactly would otherwise decide everything.
        let floor = RESIDUAL_FLOOR * ratchet_model::metrics::mean(residuals.iter().copied());
        weights = residuals.iter().map(|residual| 1.0 / residual.max(floor)).collect();
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        weights.iter_mut().for_each(|weight| *weight *= scale);
        forest = boosting::fit(features, target, &weights, Loss::Squared, config, resources)?;
    }
    Ok(Predictor::Forest(forest))
}

/// Residuals below this share of their mean count as this share.
const RESIDUAL_FLOOR: f64 = 0.5;

fn fit_cut(
    candidate: &Candidate,
    features: &Matrix,
    truth: &[f64],
    cut: f64,
    resources: Resources,
) -> Result<ModelOutput, String> {
    let above: Vec<bool> = truth.iter().map(|value| *value > cut).collect();
    let hits = above.iter().filter(|flag| **flag).count();
    if hits == 0 || hits == above.len() {
        let side = if hits == 0 { "at or below" } else { "above" };
        return Err(format!(
            "all {} training rows are {side} the cut at {cut}: there is one class only",
            above.len()
        ));
    }
    match candidate {
        Candidate::Linear(config) => {
            let fitted = linear::fit_binary(features, &above, config.alpha)?;
            Ok(output(Predictor::Linear(fitted), Link::Logistic))
        }
        Candidate::Tree(config) => Ok(output(
            Predictor::Forest(tree::fit_binary(features, &above, config)?),
            Link::Identity,
        )),
        Candidate::Boosting(config) => {
            let target: Vec<f64> = above.iter().map(|flag| f64::from(u8::from(*flag))).collect();
            let weights = vec![1.0; target.len()];
            let fitted = boosting::fit(features, &target, &weights, Loss::Log, config, resources)?;
            Ok(output(Predictor::Forest(fitted), Link::Logistic))
        }
    }
}
