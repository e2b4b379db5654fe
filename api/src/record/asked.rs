//! A request as the log knows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use ratchet_model::Rows;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::models::registry::Served;
use crate::predict::answer::Predicted;

/// Who asked where and when.
#[derive(Clone, Debug)]
pub struct Asked {
    /// UUIDv7 of the request.
    pub id: Uuid,
    /// When it came.
    pub at: Timestamp,
    /// The same on the clock that only goes forward.
    pub began: Instant,
    /// Path that was asked.
    pub path: Arc<str>,
    /// Name of the user or key; none if there was no valid token.
    pub caller: Option<Arc<str>>,
}

impl Asked {
    /// A request that came just now.
    pub fn now(path: &str) -> Asked {
        Asked {
            id: Uuid::now_v7(),
            at: Timestamp::now(),
            began: Instant::now(),
            path: path.into(),
            caller: None,
        }
    }

    /// The same, by a known caller.
    #[must_use]
    pub fn by(self, caller: &Caller) -> Asked {
        Asked {
            caller: Some(caller.user.username.as_str().into()),
            ..self
        }
    }
}

/// Answered rows of one request, or of one piece of a stream.
#[derive(Debug)]
pub struct Recorded {
    /// The version that answered.
    pub served: Arc<Served>,
    /// Those whose answers are logged beside it.
    pub shadows: Vec<Arc<Served>>,
    /// The rows as they were sent.
    pub inputs: Vec<Map<String, Value>>,
    /// The same as the model read them, in as many parts as it read them in.
    pub rows: Vec<Rows>,
    /// One for each row.
    pub predictions: Vec<Predicted>,
    /// The JSON of each answer.
    pub answers: Vec<Bytes>,
}

impl Recorded {
    /// About how much memory it takes, in bytes: each value of a row as it was sent and as it was read, and the answers.
    fn weight(&self) -> usize {
        let fields = self.inputs.first().map_or(0, Map::len);
        let answers: usize = self.answers.iter().map(Bytes::len).sum();
        self.inputs.len() * (fields * VALUE + ROW) + answers
    }
}

/// What a value takes in memory, twice, and what a row takes beside its values.
const VALUE: usize = 300;
const ROW: usize = 600;

/// A request that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// The request's id, or one of the row's own.
    pub(super) id: Uuid,
    pub(super) served: Option<Arc<Served>>,
    pub(super) status: u16,
    pub(super) error: String,
    pub(super) inputs: Option<Value>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Recorded),
    Refused(Refused),
}

/// What travels from a request to the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) asked: Asked,
    pub(super) elapsed: Duration,
    pub(super) outcome: Outcome,
}

impl Entry {
    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let own = match &self.outcome {
            Outcome::Answered(recorded) => recorded.weight(),
            Outcome::Refused(refused) => refused.error.len(),
        };
        512 + own
    }
}
