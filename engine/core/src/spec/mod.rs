//! What a DAG file says, as types: one file per thing that is written in YAML.

mod approval;
mod bind;
mod cron;
mod dag;
mod duration;
mod foreach;
mod notify;
mod params;
mod pool;
mod retry;
mod schedule;
mod size;
mod task;
mod trigger;
mod trigger_rule;

pub use approval::{APPROVAL, APPROVAL_PORTS, Approval, OnDeadline, OnReject};
pub use cron::{Cron, CronProblem};
pub use dag::{Dag, Defaults};
pub use duration::parse_duration;
pub use foreach::{Foreach, ForeachProblem, Instance, MAX_INSTANCES};
pub use notify::{Notify, NotifyOn, NotifyTo};
pub use params::{Param, ParamType};
pub use pool::{MAX_POOL_SLOTS, PoolUse};
pub use retry::{Backoff, Retry};
pub use schedule::{Catchup, OnGap, OnOverlap, Overlap, Schedule};
pub use size::parse_size;
pub use task::{Resources, TaskSpec};
pub(crate) use trigger::{EVERY, MIN_LABELS};
pub use trigger::{Limit, Trigger, parse_percentage};
pub use trigger_rule::TriggerRule;
