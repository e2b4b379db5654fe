//! From rows to a bundle: features, one candidate, and what is learnt from rows that it did not see.

use ratchet_model::arithmetic::log_odds;
use ratchet_model::conformal::Residuals;
use ratchet_model::drift::Profile;
use ratchet_model::features::{FitInputs, Join, LookupTables, Pipeline, StepConfig};
use ratchet_model::predictor::Link;
use ratchet_model::slices::SliceRisks;
use ratchet_model::{
    Bundle, BundleError, Calibration, Column, Content, Known, Prediction, Rows, Schema, Target, TargetKind, Window,
};

use super::boosting::Resources;
use super::calibrate::{class_weights, platt};
use super::candidate;
use super::config::{Candidate, TrainConfig};

/// Folds for encodings that are fitted out of fold.
const FOLDS: u32 = 5;

/// Requests up to this many seconds after the last training row are not out of distribution.
const HORIZON: i64 = 366 * 86_400;

/// Golden rows in a bundle.
const GOLDEN_ROWS: usize = 64;

/// What all fits of one training share.
pub struct Setting<'a> {
    /// The task's configuration.
    pub config: &'a TrainConfig,
    /// Fields of a request.
    pub schema: &'a Schema,
    /// What to predict.
    pub target: &'a Target,
    /// Features, without those of lookups that are not given.
    pub features: &'a [StepConfig],
    /// How rows find those of lookups.
    pub joins: &'a [Join],
    /// Lookups by the name under which they are published.
    pub lookups: &'a LookupTables,
    /// When the model answers.
    pub predict_at: Known,
    /// Which rows train.
    pub window: &'a Window,
    /// True if any row was simulated.
    pub simulated: bool,
    /// Seed and threads.
    pub resources: Resources,
}

/// Rows to learn from, in the order of their line.
pub struct Part {
    /// Request fields.
    pub rows: Rows,
    /// What the answer should have been.
    pub truth: Vec<f64>,
    /// The target column itself.
    pub value: Vec<f64>,
    /// Civil seconds, or places of a hash.
    pub time: Vec<i64>,
    /// Rows within so much of the line are alike and stay in one fold: a day of seconds, or one place of a hash.
    pub together: i64,
}

impl Part {
    /// Rows of one day, or of one key, are in one fold: calls of one day are alike, and both vehicles of one call are.
    fn folds(&self) -> Vec<u32> {
        self.time
            .iter()
            .map(|time| time.div_euclid(self.together).rem_euclid(i64::from(FOLDS)) as u32)
            .collect()
    }
}

/// What is learnt from the validation rows.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    residuals: Residuals,
    calibrations: Vec<Option<Calibration>>,
    class_weights: Option<Vec<f64>>,
    slices: Option<SliceRisks>,
    /// Numbers, or probabilities of yes, that were answered.
    answers: Vec<f64>,
}

/// Features of a part, fitted on it.
pub fn fit_features(setting: &Setting<'_>, part: &Part) -> Result<(Pipeline, ratchet_model::features::Matrix), String> {
    let folds = part.folds();
    let inputs = FitInputs {
        target: &part.value,
        folds: &folds,
        predict_at: setting.predict_at,
    };
    Pipeline::fit(
        setting.features,
        setting.joins,
        setting.schema,
        &part.rows,
        setting.lookups,
        &inputs,
    )
    .map_err(|error| error.to_string())
}

/// Fits a candidate on a part and writes it as a bundle with what was learnt elsewhere.
pub fn fit_bundle(
    setting: &Setting<'_>,
    candidate: &Candidate,
    part: &Part,
    features: &(Pipeline, ratchet_model::features::Matrix),
    learnt: &Learnt,
) -> Result<Vec<u8>, String> {
    let (pipeline, matrix) = features;
    let mut outputs = candidate::fit(candidate, matrix, &part.truth, setting.target, setting.resources)?;
    for (output, calibration) in outputs.iter_mut().zip(&learnt.calibrations) {
        output.calibration = *calibration;
    }
    let mut target = setting.target.clone();
    if let (TargetKind::Ordinal { weights, .. }, Some(learnt)) = (&mut target.kind, &learnt.class_weights) {
        weights.clone_from(learnt);
    }
    let content = Content {
        name: setting.config.model.clone(),
        description: setting.config.description.clone(),
        route: setting.config.route.clone(),
        answer_only: setting.config.answer_only,
        simulated: setting.simulated,
        predict_at: setting.predict_at,
        target,
        schema: setting.schema.clone(),
        pipeline: pipeline.clone(),
        candidate: candidate.name().to_owned(),
        outputs,
        residuals: learnt.residuals.clone(),
        coverage: setting.config.coverage,
        slices: learnt.slices.clone(),
        profile: Profile::learn(&part.rows, HORIZON).with_answers(&learnt.answers),
        window: setting.window.clone(),
        seed: setting.resources.seed,
    };
    let step = (part.rows.len() / GOLDEN_ROWS).max(1);
    let golden: Vec<usize> = (0..part.rows.len()).step_by(step).take(GOLDEN_ROWS).collect();
    Bundle::write(content, &part.rows.select(&golden), setting.lookups).map_err(|error| error.to_string())
}

/// Learns residuals, calibration, class weights and slice risks from rows that the bundle did not see.
pub fn learn(setting: &Setting<'_>, bundle: &Bundle, validation: &Part) -> Result<Learnt, BundleError> {
    let mut learnt = Learnt::default();
    let predictions = bundle.predict(&validation.rows);
    learnt.answers = predictions.iter().map(ratchet_model::Prediction::monitored).collect();
    match &bundle.content().target.kind {
        TargetKind::Regression { transform } => {
            let residuals = predictions.iter().zip(&validation.truth);
            let residuals =
                residuals.map(|(prediction, truth)| transform.forward(*truth) - transform.forward(prediction.value));
            learnt.residuals = Residuals::new(residuals.filter(|value| value.is_finite()).collect());
            learnt.slices = slice_risks(setting, validation, &predictions);
        }
        TargetKind::Binary { .. } => learnt.calibrations = calibrations(bundle, validation, &[0.5]),
        TargetKind::Ordinal { classes, .. } => {
            let cuts: Vec<f64> = classes
                .windows(2)
                .map(|pair| (pair[0] as f64 + pair[1] as f64) / 2.0)
                .collect();
            learnt.calibrations = calibrations(bundle, validation, &cuts);
            let truth: Vec<i64> = validation.truth.iter().map(|value| *value as i64).collect();
            let matrix = bundle.features(&validation.rows);
            let probabilities: Vec<Vec<f64>> = (0..matrix.rows)
                .map(|row| {
                    let outputs = bundle.content().outputs.iter().zip(&learnt.calibrations);
                    let cuts: Vec<f64> = outputs
                        .map(|(output, calibration)| {
                            let mut calibrated = output.clone();
                            calibrated.calibration = *calibration;
                            calibrated.probability(output.predictor.score(matrix.row(row)))
                        })
                        .collect();
                    ratchet_model::class_probabilities(&cuts)
                })
                .collect();
            learnt.class_weights = Some(class_weights(classes, &truth, &probabilities));
        }
    }
    Ok(learnt)
}

fn calibrations(bundle: &Bundle, validation: &Part, cuts: &[f64]) -> Vec<Option<Calibration>> {
    let matrix = bundle.features(&validation.rows);
    let outputs = bundle.content().outputs.iter().zip(cuts);
    let fitted = outputs.map(|(output, cut)| {
        let odds: Vec<f64> = output
            .predictor
            .scores(&matrix)
            .into_iter()
            .map(|score| {
                if output.link == Link::Logistic {
                    score
                } else {
                    log_odds(score)
                }
            })
            .collect();
        let above: Vec<bool> = validation.truth.iter().map(|value| value > cut).collect();
        Some(platt(&odds, &above))
    });
    fitted.collect()
}

fn slice_risks(setting: &Setting<'_>, validation: &Part, predictions: &[Prediction]) -> Option<SliceRisks> {
    let slices = setting.config.slices.as_ref()?;
    let field = setting.schema.position(&slices.field)?;
    let Column::Text(values) = &validation.rows.columns()[field] else {
        return None;
    };
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let predicted: Vec<f64> = predictions.iter().map(|prediction| prediction.value).collect();
    Some(SliceRisks::learn(
        field,
        slices.margin,
        &values,
        &validation.truth,
        &predicted,
    ))
}
