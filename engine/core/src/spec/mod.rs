//! What a DAG file says, as types: one file per thing that is written in YAML.

mod bind;
mod cron;
mod dag;
mod duration;
mod notify;
mod params;
mod retry;
mod schedule;
mod size;
mod task;
mod trigger_rule;

pub use cron::{Cron, CronProblem};
pub use dag::{Dag, Defaults};
pub use duration::parse_duration;
pub use notify::{Notify, NotifyOn};
pub use params::{Param, ParamType};
pub use retry::{Backoff, Retry};
pub use schedule::{Catchup, OnGap, OnOverlap, Overlap, Schedule};
pub use size::parse_size;
pub use task::{Resources, TaskSpec};
pub use trigger_rule::TriggerRule;
