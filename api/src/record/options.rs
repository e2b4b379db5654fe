//! What may be chosen about the log.

use std::time::Duration;

/// How much is kept when nothing is said: 1 GiB.
pub const USUAL_BYTES: u64 = 1024 * 1024 * 1024;
/// For how long: thirty days.
pub const USUAL_DAYS: u32 = 30;

/// What the command line and the environment say.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// `postgres://...`; a file in the home if there is none.
    pub database: Option<String>,
    /// Most that the log takes, in bytes; the oldest goes first.
    pub bytes: u64,
    /// What is older goes too.
    pub days: u32,
    /// Share of the answered requests that are kept, from 0 to 1. Refused ones are always kept.
    pub share: f64,
    /// Fields whose values are not kept: `field`, or `model.field`.
    pub masked: Vec<String>,
    /// Whether the log and the feedback go to the bucket.
    pub feeds: bool,
    /// How requests are compared with the training's rows.
    pub drift: DriftOptions,
}

/// How requests are compared with the training's rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftOptions {
    /// Rows of a window.
    pub rows: u64,
    /// The chance that a window in which nothing has changed raises an alarm, at most.
    pub rate: f64,
    /// From the begin of a model's window to that of the next, at least.
    pub every: Duration,
}

impl Default for DriftOptions {
    fn default() -> DriftOptions {
        DriftOptions {
            rows: 1000,
            rate: 0.01,
            every: Duration::from_secs(3600),
        }
    }
}

impl Default for RecordOptions {
    fn default() -> RecordOptions {
        RecordOptions {
            database: None,
            bytes: USUAL_BYTES,
            days: USUAL_DAYS,
            share: 1.0,
            masked: Vec::new(),
            feeds: true,
            drift: DriftOptions::default(),
        }
    }
}
