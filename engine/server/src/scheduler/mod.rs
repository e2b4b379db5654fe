//! Runs DAGs at the ticks of their schedules.

mod agenda;
mod follow;
mod progress;

pub(crate) use follow::Scheduler;
