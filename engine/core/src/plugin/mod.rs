//! What a task plugin is. See [`Plugin`].

mod context;
mod error;
mod port;
mod registry;
mod sub_dag;
mod task;

pub use context::{LogLevel, MessageSink, Place, Replay, RunContext, TaskContext, TaskMessage};
pub use error::TaskError;
pub use port::{
    Blob, Collected, ColumnType, Known, Lookup, Model, Output, Outputs, PageTag, Port, PortKind, PromotionRequest,
    Report, RowCounts, Table, TableColumn,
};
pub use registry::{PluginEntry, Registry};
pub use sub_dag::{SubDag, SubDagConfig};
pub use task::{ConfigProblem, Isolation, Plugin};
