//! Tasks that have nothing to do with data.

mod exec;
mod fail;
mod noop;
mod sleep;

pub use exec::{Exec, ExecConfig};
pub use fail::{Fail, FailConfig};
pub use noop::{Noop, NoopConfig};
pub use sleep::{Sleep, SleepConfig};
