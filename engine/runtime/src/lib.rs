//! Runs DAGs: keeps what happens in a database, starts tasks when their turn comes, and turns what they return into
//! versions and promotions.
//!
//! # The story of a run
//!
//! 1. [`Engine::open`] opens the metadata database (a file in the home directory, or Postgres) and the bucket.
//! 2. [`Engine::create_run`] writes a run with the text of its DAG and one row for each task. From here on it is not lost.
//! 3. [`Engine::execute`] drives it to its end. One loop (the dispatcher) turns everything that happens (an attempt
//!    ended, a pause is over, somebody cancelled) into an event for [`ratchet_core::state::apply`], writes what changed
//!    in one transaction, and only then acts on it: nothing starts that is not on disk, but for plugins that touch
//!    nothing ([`Plugin::PURE`](ratchet_core::plugin::Plugin::PURE)). Events that come while a transaction is under
//!    way share the next one.
//! 4. An attempt runs in a process of its own (this program again, as `<worker> task-worker`) or inside the engine.
//!    The two speak in lines of JSON. When the engine's end of the pipe closes, for whatever reason, the worker ends
//!    its whole process group: no attempt outlives the engine that started it.
//! 5. What a successful attempt returns is completed once: tables become dataset versions, models become model
//!    versions, promotion requests become entries of the promotion log, each under the key `<run>/<task>`. Doing it
//!    again reads the same entries back.
//!
//! A run is leased to the process that drives it. When that process is gone, another [`Engine::execute`] takes the run
//! over after the lease ended: finished tasks stay finished, attempts that were under way are run again, and a late
//! write of the former owner is refused.
//!
//! What an attempt says goes to the database as it comes and to the bucket when the attempt ends. A wish to cancel is
//! kept on the run, so that whoever drives it next finds it. A retry is a new run that begins with what the old one
//! finished ([`Engine::retry`]). A backfill makes runs for ticks of the past ([`Engine::create_backfill`]). What
//! triggers find waits in the database until one run is made of it ([`Engine::look`], [`Engine::start_triggered`]).
//!
//! # Secrets
//!
//! The store keeps `${{ secrets.NAME }}` as it is written. [`Secrets`] looks the value up when a task is started, and what
//! the attempt says or returns passes a masker before it is kept or told.
//!
//! # What goes
//!
//! [`Engine::collect`] removes runs that ended long ago and blobs that nothing refers to any more. What a version or a
//! promotion names, what is younger than a day and what an unfinished run wrote stays.
//!
//! # A user's own binary
//!
//! The program named by [`EngineOptions::worker`] calls [`worker_main`] with the same registry as the engine when its
//! first argument is [`WORKER_SUBCOMMAND`].

mod announce;
mod approval;
mod attempt;
mod backfill;
mod beginning;
mod cache;
mod complete;
pub mod cron;
mod dispatcher;
mod engine;
mod error;
mod event;
mod executor;
mod http;
mod journal;
mod logs;
mod lookups;
mod masking;
mod notifier;
mod operations;
mod pools;
mod prepare;
mod promotion;
mod protocol;
mod record;
mod reproduce;
mod retention;
mod routing;
mod secrets;
mod seed;
mod slots;
mod store;
mod sub_dag;
mod tracking;
mod trigger;
mod worker;

pub use approval::{Answer, ApprovalRecord};
pub use backfill::{Advanced, BackfillDate, BackfillRecord, DatePlan, NewBackfill, RequestKey};
pub use beginning::{Beginning, KeptInstance, KeptTask, Repeat, until};
pub use engine::{Engine, EngineOptions};
pub use error::{EngineError, StoreError};
pub use event::RunEvent;
pub use logs::{LogLine, LogStream};
pub use lookups::{LookupReader, PublishedLookup, published_lookups};
pub use pools::PoolRecord;
pub use promotion::{PromoteError, promote};
pub use record::{
    AttemptOutcome, AttemptRecord, EventRecord, Failure, InstanceOf, NewRun, PromotionOutcome, RunRecord, RunTrigger,
    TaskRecord,
};
pub use reproduce::{Earlier, Reproduced};
pub use retention::{Collect, Collected, CollectedRun, LEAST_AGE};
pub use routing::route;
pub use secrets::{SecretError, Secrets};
pub use store::{DagOverrides, Pause, RunFilter, SlotHolder, SlotWaiter, Store, TaskProgress};
pub use trigger::{
    HookError, LookError, Looked, SelfPaused, TriggerEvent, TriggerOutcome, TriggerRecord, TriggerState, Triggered,
};
pub use worker::{WORKER_SUBCOMMAND, worker_main};

pub use ratchet_core::state::{RunStatus, SkipCause, TaskState};
