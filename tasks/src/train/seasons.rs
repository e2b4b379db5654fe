//! What serving compares requests with: the profile of the training rows, season by season where that is declared.

use ratchet_core::plugin::TaskError;
use ratchet_model::drift::{Profile, Season};
use ratchet_model::{Column, FieldKind, Prediction, Rows, Schema};

use super::config::TrainConfig;
use super::fit::Setting;

/// Requests up to this many seconds after the last training row are not out of distribution.
const HORIZON: i64 = 366 * 86_400;

/// Answers to rows that the model did not see.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// Numbers, or probabilities of yes.
    answers: Vec<f64>,
    /// Times of their rows; none where seasons are not told apart.
    times: Option<Column>,
}

impl Answered {
    /// What was predicted of rows.
    pub fn new(setting: &Setting<'_>, rows: &Rows, predictions: &[Prediction]) -> Answered {
        let season = season(setting.config, setting.schema);
        Answered {
            answers: predictions.iter().map(Prediction::monitored).collect(),
            times: season.map(|(_, field)| rows.columns()[field].clone()),
        }
    }
}

/// How time is parted, and the position of the field that says it.
fn season(config: &TrainConfig, schema: &Schema) -> Option<(Season, usize)> {
    let drift = config.drift.as_ref()?;
    Some((drift.season, schema.position(&drift.of)?))
}

/// What training rows look like, and the answers to others.
pub fn profile(setting: &Setting<'_>, rows: &Rows, answered: &Answered) -> Profile {
    let profile = Profile::learn(rows, HORIZON).with_answers(&answered.answers);
    match (season(setting.config, setting.schema), &answered.times) {
        (Some((season, field)), Some(times)) => profile.with_seasons(season, field, rows, (times, &answered.answers)),
        // A draft has no answers, and nothing is compared with it.
        _ => profile,
    }
}

/// That the field of the seasons is a time.
///
/// # Errors
/// There is no such field, or it is none.
pub fn check(config: &TrainConfig, schema: &Schema) -> Result<(), TaskError> {
    let Some(drift) = &config.drift else { return Ok(()) };
    let problem = match schema.fields.iter().find(|field| field.name == drift.of) {
        Some(field) if field.kind == FieldKind::Timestamp => return Ok(()),
        Some(field) => format!("which holds {}", field.kind.words()),
        None => format!("which no feature of `{}` reads", config.model),
    };
    let message = format!("the seasons of `drift` go by `{}`, {problem}", drift.of);
    let times: Vec<String> = schema
        .fields
        .iter()
        .filter(|field| field.kind == FieldKind::Timestamp)
        .map(|field| format!("`{}`", field.name))
        .collect();
    let help = match times.as_slice() {
        [] => "no feature reads a time: leave `drift` out, or add a `calendar` step".to_owned(),
        times => format!("name one of the fields with times: {}", times.join(", ")),
    };
    Err(TaskError::permanent(message).with_help(help))
}
