//! From rows to the JSON of their answers, by one version of one model.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ratchet_model::{Bundle, FieldProblem, Prediction, Rows};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::body::Sent;
use super::rows::RowFaults;
use crate::models::registry::Served;
use crate::models::share::Chosen;
use crate::problem::{FieldError, LISTED, Problem};

/// Name of the model that answered.
pub const MODEL: HeaderName = HeaderName::from_static("ratchet-model");
/// Number of the version that answered.
pub const VERSION: HeaderName = HeaderName::from_static("ratchet-model-version");
/// Digest of the version's bundle.
pub const DIGEST: HeaderName = HeaderName::from_static("ratchet-model-digest");
/// Alias that it holds.
pub const ALIAS_HEADER: HeaderName = HeaderName::from_static("ratchet-model-alias");
/// Ids of the answers, where the body holds the published fields alone.
pub const PREDICTIONS: HeaderName = HeaderName::from_static("ratchet-prediction-id");
/// Both ends of the interval and its coverage, there.
pub const INTERVAL: HeaderName = HeaderName::from_static("ratchet-interval");
/// Whether the row is unlike those of the training, there.
pub const OUTSIDE: HeaderName = HeaderName::from_static("ratchet-out-of-distribution");
/// Whether the answer may be too low, there.
pub const UNDERESTIMATED: HeaderName = HeaderName::from_static("ratchet-may-be-underestimated");
/// Versions of the lookups that it read.
pub const LOOKUPS: HeaderName = HeaderName::from_static("ratchet-lookups");
/// Whether any row of its training was simulated.
pub const SIMULATED: HeaderName = HeaderName::from_static("ratchet-simulated");

/// The version that answers a request from the first to the last row, and how.
#[derive(Clone, Debug)]
pub struct Answering {
    /// The version.
    pub served: Arc<Served>,
    /// Those whose answers are logged beside it.
    pub shadows: Vec<Arc<Served>>,
    /// What names it in each answer.
    model: Value,
    /// Whether each answer says what every field contributed.
    explain: bool,
}

/// Answers and what is counted about them.
#[derive(Debug)]
pub struct Answered {
    /// One answer per row, in the order of the rows.
    pub answers: Vec<Map<String, Value>>,
    /// The same for the log, in the same order.
    pub predictions: Vec<Predicted>,
    /// How many of them are to rows unlike the training's.
    pub out_of_distribution: u64,
    /// The rows as the model read them, if it was this that read them.
    pub rows: Option<Rows>,
}

/// What the log keeps of an answer beside its text.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// UUIDv7 of the answer.
    pub id: Uuid,
    /// The prediction.
    pub prediction: Prediction,
    /// How many fields hold what training never saw the like of.
    pub outside: usize,
    /// Lookups that had no row for this one.
    pub unmatched: Vec<String>,
}

/// An answered row, and what the log needs of it.
#[derive(Debug)]
pub struct AnsweredRow {
    /// The answer.
    pub answer: Map<String, Value>,
    /// The same for the log.
    pub predicted: Predicted,
    /// The row as the model read it.
    pub rows: Rows,
}

impl Answering {
    /// Answers by the version that was chosen.
    ///
    /// # Errors
    /// 422 if contributions are wanted and the bundle cannot tell them.
    pub fn new(Chosen { served, shadows, .. }: Chosen, explain: bool) -> Result<Answering, Problem> {
        if explain && !served.bundle.is_explainable() {
            return Err(Problem::not_explainable());
        }
        let mut model = json!({
            "name": served.name, "version": served.version.version, "digest": served.version.digest,
            "alias": served.alias,
        });
        if !served.lookups.is_empty() {
            let versions = served
                .lookups
                .iter()
                .map(|(name, lookup)| (name.clone(), json!(lookup.version.version)));
            model["lookups"] = Value::Object(versions.collect());
        }
        Ok(Answering {
            served,
            shadows,
            model,
            explain,
        })
    }

    /// Answers rows.
    ///
    /// # Errors
    /// 500 if the model answers with no finite number.
    pub fn rows(&self, rows: &Rows) -> Result<Answered, Problem> {
        let bundle = &self.served.bundle;
        let answers = bundle.answer(rows);
        let mut explanations = match self.explain {
            true => bundle.explain(rows).ok_or_else(Problem::not_explainable)?.into_iter(),
            false => Vec::new().into_iter(),
        };
        let mut answered = Answered {
            answers: Vec::with_capacity(answers.len()),
            predictions: Vec::with_capacity(answers.len()),
            out_of_distribution: 0,
            rows: None,
        };
        for answer in answers {
            if !answer.prediction.value.is_finite() {
                let version = self.served.version.version;
                tracing::error!(model = self.served.name, version, "the answer is no finite number");
                return Err(Problem::internal());
            }
            answered.out_of_distribution += u64::from(!answer.outside.is_empty());
            let mut json = answer.to_json();
            if let Some(explanation) = explanations.next() {
                json.insert("explanation".to_owned(), explanation.to_json());
            }
            json.insert("model".to_owned(), self.model.clone());
            let id = Uuid::now_v7();
            json.insert("prediction_id".to_owned(), Value::String(id.to_string()));
            json.insert("simulated".to_owned(), Value::Bool(bundle.simulated()));
            answered.answers.push(json);
            answered.predictions.push(Predicted {
                id,
                outside: answer.outside.len(),
                unmatched: answer
                    .unmatched
                    .iter()
                    .flatten()
                    .map(|name| (*name).to_owned())
                    .collect(),
                prediction: answer.prediction,
            });
        }
        Ok(answered)
    }

    /// Answers what was sent as one document.
    ///
    /// # Errors
    /// 422 with every fault of every row; 500 if the model answers with no finite number.
    pub fn document(&self, sent: &Sent) -> Result<Answered, Problem> {
        let records: Vec<&Map<String, Value>> = match sent {
            Sent::Row(row) => vec![row],
            Sent::Rows(rows) => rows.iter().collect(),
        };
        if records.is_empty() {
            return Ok(Answered {
                answers: Vec::new(),
                predictions: Vec::new(),
                out_of_distribution: 0,
                rows: None,
            });
        }
        let bundle = &self.served.bundle;
        let rows = bundle.parse_all(&records).map_err(|_| faults(bundle, sent))?;
        let answered = self.rows(&rows)?;
        Ok(Answered {
            rows: Some(rows),
            ..answered
        })
    }

    /// Answers one row.
    ///
    /// # Errors
    /// Its faults, or that the model answers with no finite number.
    pub fn row(&self, record: &Map<String, Value>) -> Result<AnsweredRow, RowFaults> {
        let parsed = self.served.bundle.parse(record);
        let rows = parsed.map_err(|problems| field_errors(problems.into_iter().take(LISTED)).collect::<Vec<_>>())?;
        let mut answered = self.rows(&rows).map_err(|problem| whole(&problem))?;
        let pair = answered.answers.pop().zip(answered.predictions.pop());
        let (answer, predicted) = pair.ok_or_else(|| whole(&Problem::internal()))?;
        Ok(AnsweredRow {
            answer,
            predicted,
            rows,
        })
    }

    /// The headers that name the version.
    pub fn headers(&self) -> HeaderMap {
        let version = self.served.version.version.to_string();
        let lookups = self.served.lookups.values().map(|lookup| &lookup.version);
        let lookups: Vec<String> = lookups
            .map(|lookup| format!("{}@{}", lookup.name, lookup.version))
            .collect();
        let lookups = lookups.join(", ");
        let pairs = [
            (MODEL, self.served.name.as_str()),
            (VERSION, version.as_str()),
            (DIGEST, self.served.version.digest.as_str()),
            (ALIAS_HEADER, self.served.alias.as_str()),
            (LOOKUPS, lookups.as_str()),
            (
                SIMULATED,
                if self.served.bundle.simulated() {
                    "true"
                } else {
                    "false"
                },
            ),
        ];
        let pairs = pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)));
        pairs.collect()
    }
}

/// A problem that is of no single field.
pub fn whole(problem: &Problem) -> RowFaults {
    vec![FieldError {
        pointer: String::new(),
        code: problem.code(),
        message: problem.detail.clone(),
    }]
}

/// All faults, row by row.
fn faults(bundle: &Bundle, sent: &Sent) -> Problem {
    let mut listed = Vec::new();
    let mut found = 0;
    let mut note = |prefix: &str, problems: Vec<FieldProblem>| {
        found += problems.len();
        let room = LISTED.saturating_sub(listed.len());
        let listable = field_errors(problems.into_iter().take(room));
        listed.extend(listable.map(|error| FieldError {
            pointer: format!("{prefix}{}", error.pointer),
            ..error
        }));
    };
    match sent {
        Sent::Row(row) => note("", bundle.parse(row).err().unwrap_or_default()),
        Sent::Rows(rows) => {
            for (index, row) in rows.iter().enumerate() {
                note(&format!("/{index}"), bundle.parse(row).err().unwrap_or_default());
            }
        }
    }
    Problem::invalid_fields(listed, found)
}

/// The model's faults as the service lists them.
pub fn field_errors(problems: impl Iterator<Item = FieldProblem>) -> impl Iterator<Item = FieldError> {
    problems.map(|problem| FieldError {
        pointer: problem.pointer,
        code: problem.code,
        message: problem.message,
    })
}
