//! Runs DAGs at the ticks of their schedules and by what their triggers find.

mod agenda;
mod follow;
mod progress;
mod triggers;

pub(crate) use follow::Scheduler;
pub(crate) use triggers::TriggerWatch;
