//! Turns what was recorded into rows of the log.

use std::sync::Arc;
use std::time::Instant;

use ratchet_model::TargetKind;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::asked::{Entry, Outcome, Recorded, Refused};
use super::options::RecordOptions;
use super::recorder::told;
use super::store::NewRow;
use crate::models::registry::Served;
use crate::models::share::Chosen;
use crate::predict::answer::{Answering, Predicted};
use crate::telemetry::Telemetry;

/// Longest text of inputs of a refused request.
const REFUSED_INPUTS: usize = 64 * 1024;
/// What stands in the place of a masked value.
const MASKED: &str = "(masked)";

/// Knows what may be kept, and asks the shadows.
pub(super) struct Scribe {
    pub(super) options: RecordOptions,
    pub(super) telemetry: Arc<Telemetry>,
}

impl Scribe {
    /// The rows of an entry: none where it is not among the share that is kept.
    pub(super) fn rows(&self, entry: Entry) -> Vec<NewRow> {
        let Entry {
            asked,
            elapsed,
            outcome,
        } = entry;
        let row = NewRow {
            request: asked.id.to_string(),
            at: asked.at.as_millisecond(),
            microseconds: elapsed.as_micros() as i64,
            path: asked.path.to_string(),
            caller: asked.caller.as_deref().map(str::to_owned),
            ..NewRow::default()
        };
        match outcome {
            Outcome::Answered(_) if !is_kept(asked.id, self.options.share) => Vec::new(),
            Outcome::Answered(recorded) => {
                let mut rows = self.beside(&row, &recorded);
                rows.extend(self.answered(&row, recorded));
                rows
            }
            Outcome::Refused(refused) => vec![self.refused(row, refused)],
        }
    }

    fn answered(&self, row: &NewRow, recorded: Recorded) -> Vec<NewRow> {
        let served = &recorded.served;
        let parts = recorded
            .inputs
            .into_iter()
            .zip(recorded.predictions)
            .zip(recorded.answers);
        parts
            .map(|((inputs, predicted), answer)| {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                self.given(row, served, inputs, &predicted, answer)
            })
            .collect()
    }

    /// What shadows answer to the same rows. It is worked out here, where nobody waits for it.
    fn beside(&self, row: &NewRow, recorded: &Recorded) -> Vec<NewRow> {
        let mut rows = Vec::new();
        for shadow in &recorded.shadows {
            let Ok(answering) = Answering::new(Chosen::alone(shadow.clone()), false) else {
                continue;
            };
            for (inputs, given) in recorded.inputs.iter().zip(&recorded.predictions) {
                let began = Instant::now();
                let answered = answering.row(inputs);
                let row = NewRow {
                    microseconds: began.elapsed().as_micros() as i64,
                    beside: Some(given.id.to_string()),
                    ..row.clone()
                };
                rows.push(match answered {
                    Ok(answered) => {
                        self.telemetry.predictions(&shadow.name, &shadow.alias, 1, 0);
                        let answer = serde_json::to_string(&answered.answer).unwrap_or_default();
                        self.given(&row, shadow, inputs.clone(), &answered.predicted, answer)
                    }
                    Err(faults) => {
                        let refused = Refused {
                            id: Uuid::now_v7(),
                            served: Some(shadow.clone()),
                            status: 422,
                            error: told("the shadow refuses the row", &faults),
                            inputs: Some(Value::Object(inputs.clone())),
                        };
                        self.refused(row, refused)
                    }
                });
            }
        }
        rows
    }

    fn given(
        &self,
        row: &NewRow,
        served: &Served,
        mut inputs: Map<String, Value>,
        predicted: &Predicted,
        answer: String,
    ) -> NewRow {
        let content = served.bundle.content();
        let kind = match content.target.kind {
            TargetKind::Regression { .. } => "number",
            TargetKind::Binary { .. } => "binary",
            TargetKind::Ordinal { .. } | TargetKind::Multiclass { .. } => "class",
        };
        let slices = content.slices.as_ref();
        let slice = slices.and_then(|slices| content.schema.fields.get(slices.field));
        let slice = slice.and_then(|field| inputs.get(&field.name)).and_then(Value::as_str);
        let slice = slice.map(|slice| storable(slice.to_owned()));
        let prediction = &predicted.prediction;
        self.mask(Some(served), &mut inputs);
        NewRow {
            id: predicted.id.to_string(),
            status: 200,
            inputs: serde_json::to_string(&inputs).ok(),
            answer: Some(answer),
            kind: Some(kind.to_owned()),
            value: Some(prediction.value),
            probability: Some(prediction.probability()).filter(|share| share.is_finite()),
            lower: prediction.interval.map(|interval| interval.lower),
            upper: prediction.interval.map(|interval| interval.upper),
            slice,
            outside: predicted.outside as i64,
            ..of_version(row.clone(), served)
        }
    }

    fn refused(&self, row: NewRow, refused: Refused) -> NewRow {
        let row = match &refused.served {
            Some(served) => of_version(row, served),
            None => row,
        };
        let inputs = refused.inputs.map(|mut inputs| {
            let served = refused.served.as_deref();
            match &mut inputs {
                Value::Object(record) => self.mask(served, record),
                Value::Array(records) => {
                    for record in records.iter_mut().filter_map(Value::as_object_mut) {
                        self.mask(served, record);
                    }
                }
                _ => {}
            }
            inputs.to_string()
        });
        NewRow {
            id: refused.id.to_string(),
            status: i64::from(refused.status),
            error: Some(storable(refused.error)),
            // A part of JSON says nothing.
            inputs: inputs.filter(|text| text.len() <= REFUSED_INPUTS),
            ..row
        }
    }

    fn mask(&self, served: Option<&Served>, inputs: &mut Map<String, Value>) {
        for masked in &self.options.masked {
            let field = match masked.split_once('.') {
                Some((model, field)) if served.is_some_and(|served| served.name == model) => field,
                _ => masked.as_str(),
            };
            if let Some(value) = inputs.get_mut(field) {
                *value = Value::from(MASKED);
            }
        }
    }
}

/// Postgres keeps no text with the character 0, and one such row would hold up all that come after it.
fn storable(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{FFFD}"),
        false => text,
    }
}

fn of_version(row: NewRow, served: &Served) -> NewRow {
    NewRow {
        model: Some(served.name.clone()),
        version: Some(served.version.version as i64),
        digest: Some(served.version.digest.clone()),
        alias: Some(served.alias.clone()),
        ..row
    }
}

/// Whether a request is among the share that is kept: by the last bits of its id, so that all of its rows are or none. Those before
/// them count within a millisecond.
fn is_kept(id: Uuid, share: f64) -> bool {
    f64::from(id.as_u128() as u32) < share * 2_f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_is_kept() {
        let kept = |share| (0..10_000).filter(|_| is_kept(Uuid::now_v7(), share)).count();
        assert_eq!((kept(0.0), kept(1.0)), (0, 10_000));
        let tenth = kept(0.1);
        // Five standard deviations around a thousand.
        assert!((850..1150).contains(&tenth), "{tenth}");
    }
}
