//! What starts runs beside schedules and people: changes that somebody has to look for, and calls from outside.
//!
//! A look finds events; an event is written under a name that is the same for whoever finds it, together with what was
//! seen. Starting a run takes all events that wait, in the transaction that makes the run. So any number of schedulers on
//! one database start one run for one change, and what was found before a restart is not lost.

mod fingerprint;
mod hook;
mod judge;
mod look;
mod record;
mod start;
mod state;

pub use hook::HookError;
pub use judge::SelfPaused;
pub use look::{LookError, Looked};
pub(crate) use record::NewEvent;
pub use record::{TriggerEvent, TriggerOutcome, TriggerRecord};
pub use start::Triggered;
pub use state::TriggerState;
