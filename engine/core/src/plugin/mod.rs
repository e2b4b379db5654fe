//! What a task plugin is. See [`Plugin`].

mod context;
mod error;
mod port;
mod registry;
mod task;

pub use context::{LogLevel, MessageSink, Place, RunContext, TaskContext, TaskMessage};
pub use error::TaskError;
pub use port::{
    Blob, ColumnType, Known, Model, Output, Outputs, Port, PortKind, PromotionRequest, Report, RowCounts, Table,
    TableColumn,
};
pub use registry::{PluginEntry, Registry};
pub use task::{ConfigProblem, Isolation, Plugin};
