//! The end of the log that requests hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use uuid::Uuid;

use super::asked::{Asked, Entry, Outcome, Recorded, Refused};
use crate::models::registry::Served;
use crate::predict::body::Sent;
use crate::problem::{FieldError, Problem};
use crate::telemetry::Telemetry;

/// Requests that wait to be written, at most.
const WAITING: usize = 16 * 1024;
/// The same in bytes.
const WAITING_BYTES: usize = 32 * 1024 * 1024;
/// What is taken out at once, in bytes: it is in memory a second time while it is written.
const TAKEN_BYTES: usize = 4 * 1024 * 1024;

/// Takes copies of requests. Never waits: what finds no room is dropped and counted.
#[derive(Clone, Debug)]
pub struct Recorder {
    entries: Sender<Entry>,
    waiting: Arc<AtomicUsize>,
    telemetry: Arc<Telemetry>,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Waiting {
    entries: Receiver<Entry>,
    bytes: Arc<AtomicUsize>,
}

impl Waiting {
    /// Waits for something. None once nobody records any more.
    pub(super) async fn first(&mut self) -> Option<Entry> {
        self.entries.recv().await
    }

    /// Something that waits already.
    pub(super) fn first_waiting(&mut self) -> Option<Entry> {
        self.entries.try_recv().ok()
    }

    /// The first with some of what waits behind it.
    pub(super) fn with_more(&mut self, first: Option<Entry>) -> Vec<Entry> {
        let mut taken: Vec<Entry> = first.into_iter().collect();
        let mut weight = taken.iter().map(Entry::weight).sum();
        while weight > 0 && weight < TAKEN_BYTES {
            let Ok(entry) = self.entries.try_recv() else { break };
            weight += entry.weight();
            taken.push(entry);
        }
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
        taken
    }
}

impl Recorder {
    /// Both ends.
    pub(super) fn new(telemetry: Arc<Telemetry>) -> (Recorder, Waiting) {
        let (entries, received) = channel(WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        let recorder = Recorder {
            entries,
            waiting: waiting.clone(),
            telemetry,
        };
        let waiting = Waiting {
            entries: received,
            bytes: waiting,
        };
        (recorder, waiting)
    }

    /// A recorder whose log nobody keeps: everything is dropped and counted.
    pub fn unkept() -> Recorder {
        Recorder::new(Arc::default()).0
    }

    /// Rows were answered.
    pub fn answered(&self, asked: Asked, recorded: Recorded) {
        self.send(asked, Outcome::Answered(recorded));
    }

    /// A request was refused; `sent` is what was read of it.
    pub fn refused(&self, asked: Asked, served: Option<Arc<Served>>, problem: &Problem, sent: Option<Sent>) {
        let inputs = sent.map(|sent| match sent {
            Sent::Row(row) => Value::Object(row),
            Sent::Rows(rows) => Value::Array(rows.into_iter().map(Value::Object).collect()),
        });
        let error = told(&problem.detail, &problem.errors);
        self.refused_with(asked, served, problem.status, &error, inputs);
    }

    /// A row of a stream was refused.
    pub fn refused_row(
        &self,
        asked: Asked,
        served: Arc<Served>,
        faults: &[FieldError],
        input: Option<Map<String, Value>>,
    ) {
        let error = told("some fields are not valid", faults);
        let refused = Refused {
            id: Uuid::now_v7(),
            served: Some(served),
            status: 422,
            error,
            inputs: input.map(Value::Object),
        };
        self.send(asked, Outcome::Refused(refused));
    }

    /// A request was refused with this status.
    pub fn refused_with(
        &self,
        asked: Asked,
        served: Option<Arc<Served>>,
        status: u16,
        error: &str,
        inputs: Option<Value>,
    ) {
        let id = asked.id;
        let refused = Refused {
            id,
            served,
            status,
            error: error.to_owned(),
            inputs,
        };
        self.send(asked, Outcome::Refused(refused));
    }

    fn send(&self, asked: Asked, outcome: Outcome) {
        let entry = Entry {
            elapsed: asked.began.elapsed(),
            asked,
            outcome,
        };
        let weight = entry.weight();
        let before = self.waiting.fetch_add(weight, Ordering::Relaxed);
        if before + weight > WAITING_BYTES || self.entries.try_send(entry).is_err() {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            self.telemetry.record_dropped("full", 1);
        }
    }
}

/// Faults in one line, without the values.
pub(super) fn told(detail: &str, faults: &[FieldError]) -> String {
    let listed = faults
        .iter()
        .take(10)
        .map(|fault| format!("{}: {}", fault.pointer, fault.message));
    std::iter::once(detail.to_owned())
        .chain(listed)
        .collect::<Vec<_>>()
        .join("; ")
}
