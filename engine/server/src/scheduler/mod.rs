//! Runs DAGs at the ticks of their schedules.

mod agenda;
mod progress;
mod scheduler;

pub(crate) use scheduler::Scheduler;
