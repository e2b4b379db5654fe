//! From rows to a bundle: features, one candidate, and what is learnt from rows that it did not see.

use ratchet_model::arithmetic::log_odds;
use ratchet_model::conformal::Residuals;
use ratchet_model::features::{FitInputs, Join, LookupTables, Matrix, Pipeline, StepConfig};
use ratchet_model::predictor::{Link, Predictor};
use ratchet_model::slices::SliceRisks;
use ratchet_model::{
    Bundle, BundleError, Calibration, Column, Content, Known, ModelOutput, Prediction, Rows, Schema, Target,
    TargetKind, Window,
};

use super::boosting::Resources;
use super::calibrate::{class_weights, inverse_shares, platt};
use super::candidate::{self, Aim};
use super::config::{ClassWeights, TrainConfig};
use super::seasons::{self, Answered};
use super::settings::Candidate;
use super::split::origins;

/// Folds for encodings that are fitted out of fold.
const FOLDS: u32 = 5;

/// Golden rows in a bundle.
const GOLDEN_ROWS: usize = 64;

/// What all fits of one training share.
#[derive(Clone, Copy)]
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

impl<'a> Setting<'a> {
    /// What candidates are fitted for.
    pub fn aim(&self) -> Aim<'a> {
        Aim {
            target: self.target,
            is_balanced: self.config.class_weights == Some(ClassWeights::Balanced),
            resources: self.resources,
        }
    }

    /// The same on so many threads.
    pub fn on(mut self, threads: usize) -> Self {
        self.resources.threads = threads;
        self
    }
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
    /// True if the line is time.
    pub is_timed: bool,
}

/// Seconds of a day.
const DAY: i64 = 86_400;

impl Part {
    /// Rows of one day, or of one key, are in one fold: calls of one day are alike, and both vehicles of one call are.
    fn encoding_folds(&self) -> Vec<u32> {
        let together = if self.is_timed { DAY } else { 1 };
        self.time
            .iter()
            .map(|time| time.div_euclid(together).rem_euclid(i64::from(FOLDS)) as u32)
            .collect()
    }

    /// Rows that fit and rows that judge. By time each fold is judged on the next stretch of the later half, by hash each part of
    /// the line once, by what was fitted on the others.
    pub fn rolling_folds(&self, count: usize) -> Vec<(Vec<usize>, Vec<usize>)> {
        let (Some(first), Some(last)) = (self.time.iter().min(), self.time.iter().max()) else {
            return Vec::new();
        };
        let (first, end) = (*first, last + 1);
        let stretches: Vec<(i64, i64)> = if self.is_timed {
            origins((first, end), count, DAY)
        } else {
            let edge = |fold: usize| first + (end - first) * fold as i64 / count as i64;
            (0..count).map(|fold| (edge(fold), edge(fold + 1))).collect()
        };
        let folds = stretches.into_iter().map(|(from, until)| {
            let judges = |row: &usize| (from..until).contains(&self.time[*row]);
            let fits = |row: &usize| self.time[*row] < from || (!self.is_timed && self.time[*row] >= until);
            let all = || 0..self.time.len();
            (all().filter(fits).collect(), all().filter(judges).collect())
        });
        folds.collect()
    }

    /// The rows of these indices, in that order.
    pub fn select(&self, rows: &[usize]) -> Part {
        Part {
            rows: self.rows.select(rows),
            truth: rows.iter().map(|row| self.truth[*row]).collect(),
            value: rows.iter().map(|row| self.value[*row]).collect(),
            time: rows.iter().map(|row| self.time[*row]).collect(),
            is_timed: self.is_timed,
        }
    }
}

/// What is learnt from the validation rows.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    residuals: Residuals,
    calibrations: Vec<Option<Calibration>>,
    class_weights: Option<Vec<f64>>,
    slices: Option<SliceRisks>,
    answered: Answered,
}

/// Features of a part, fitted on it.
pub fn fit_features(setting: &Setting<'_>, part: &Part) -> Result<(Pipeline, Matrix), String> {
    let folds = part.encoding_folds();
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

/// A candidate fitted on a part.
pub struct Fitted {
    pipeline: Pipeline,
    outputs: Vec<ModelOutput>,
}

/// Fits a candidate on features of a part.
pub fn fit_draft(
    setting: &Setting<'_>,
    candidate: &Candidate,
    part: &Part,
    (pipeline, matrix): &(Pipeline, Matrix),
) -> Result<Fitted, String> {
    Ok(Fitted {
        pipeline: pipeline.clone(),
        outputs: candidate::fit(candidate, matrix, &part.truth, setting.aim(), None)?.outputs,
    })
}

/// Fits the features and a candidate on a part. Explanations weigh the two ways of a split by how many training rows went each:
/// these are counted, too; drafts explain nothing.
pub fn fit_final(setting: &Setting<'_>, candidate: &Candidate, part: &Part) -> Result<Fitted, String> {
    let features = fit_features(setting, part)?;
    let mut fitted = fit_draft(setting, candidate, part, &features)?;
    for output in &mut fitted.outputs {
        if let Predictor::Forest(forest) = &mut output.predictor {
            forest.count_covers(&features.1);
        }
    }
    Ok(fitted)
}

/// Writes what was fitted on a part as a bundle, with what was learnt elsewhere.
pub fn write_bundle(
    setting: &Setting<'_>,
    candidate: &Candidate,
    part: &Part,
    Fitted { pipeline, mut outputs }: Fitted,
    learnt: &Learnt,
) -> Result<Vec<u8>, String> {
    for (output, calibration) in outputs.iter_mut().zip(&learnt.calibrations) {
        output.calibration = *calibration;
    }
    let mut target = setting.target.clone();
    match (&mut target.kind, learnt.class_weights.as_deref()) {
        (TargetKind::Ordinal { weights, .. } | TargetKind::Multiclass { weights, .. }, Some(learnt)) => {
            *weights = learnt.to_vec()
        }
        (TargetKind::Binary { weights, .. }, Some([no, yes])) => *weights = [*no, *yes],
        _ => {}
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
        pipeline,
        candidate: candidate.name().to_owned(),
        outputs,
        residuals: learnt.residuals.clone(),
        coverage: setting.config.coverage,
        slices: learnt.slices.clone(),
        profile: seasons::profile(setting, &part.rows, &learnt.answered),
        window: setting.window.clone(),
        seed: setting.resources.seed,
    };
    let step = (part.rows.len() / GOLDEN_ROWS).max(1);
    let golden: Vec<usize> = (0..part.rows.len()).step_by(step).take(GOLDEN_ROWS).collect();
    Bundle::write(content, &part.rows.select(&golden), setting.lookups).map_err(|error| error.to_string())
}

/// Learns residuals, calibration, class weights and slice risks from rows that the bundle did not see. `training` are the truths
/// of all training rows.
pub fn learn(
    setting: &Setting<'_>,
    bundle: &Bundle,
    validation: &Part,
    training: &[f64],
) -> Result<Learnt, BundleError> {
    let mut learnt = Learnt::default();
    let predictions = bundle.predict(&validation.rows);
    learnt.answered = Answered::new(setting, &validation.rows, &predictions);
    match &bundle.content().target.kind {
        TargetKind::Regression { transform } => {
            let residuals = predictions.iter().zip(&validation.truth);
            let residuals =
                residuals.map(|(prediction, truth)| transform.forward(*truth) - transform.forward(prediction.value));
            learnt.residuals = Residuals::new(residuals.filter(|value| value.is_finite()).collect());
            learnt.slices = slice_risks(setting, validation, &predictions);
        }
        TargetKind::Binary { .. } => {
            learnt.calibrations = calibrations(setting, bundle, validation);
            learnt.class_weights = weights(setting, bundle, &learnt, validation, training, &[0, 1]);
        }
        TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => {
            learnt.calibrations = calibrations(setting, bundle, validation);
            learnt.class_weights = weights(setting, bundle, &learnt, validation, training, classes);
        }
    }
    Ok(learnt)
}

/// Weights of the classes in the answer; none where the most probable is taken.
fn weights(
    setting: &Setting<'_>,
    bundle: &Bundle,
    learnt: &Learnt,
    validation: &Part,
    training: &[f64],
    classes: &[i64],
) -> Option<Vec<f64>> {
    let is_binary = matches!(setting.target.kind, TargetKind::Binary { .. });
    match setting.config.class_weights {
        Some(ClassWeights::Equal) => None,
        None if is_binary => None,
        Some(ClassWeights::Balanced) => {
            let truth: Vec<i64> = training.iter().map(|value| *value as i64).collect();
            Some(inverse_shares(classes, &truth, 1.0))
        }
        Some(ClassWeights::Chosen) | None => {
            let mut outputs = bundle.content().outputs.clone();
            for (output, calibration) in outputs.iter_mut().zip(&learnt.calibrations) {
                output.calibration = *calibration;
            }
            let matrix = bundle.features(&validation.rows);
            let predictions = ratchet_model::predict(setting.target, &outputs, None, &matrix);
            let probabilities: Vec<Vec<f64>> = predictions.into_iter().map(|row| row.probabilities).collect();
            let truth: Vec<i64> = validation.truth.iter().map(|value| *value as i64).collect();
            Some(class_weights(classes, &truth, &probabilities))
        }
    }
}

fn calibrations(setting: &Setting<'_>, bundle: &Bundle, validation: &Part) -> Vec<Option<Calibration>> {
    let matrix = bundle.features(&validation.rows);
    let outputs = bundle.content().outputs.iter().zip(setting.target.questions());
    let fitted = outputs.map(|(output, question)| {
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
        let flags: Vec<bool> = validation.truth.iter().map(|truth| question.holds(*truth)).collect();
        Some(platt(&odds, &flags))
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
