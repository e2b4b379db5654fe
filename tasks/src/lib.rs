//! The tasks that come with Ratchet: what stands behind `uses` in a DAG.
//!
//! A record's way through this crate:
//!
//! 1. [`extract`] reads a file (a path, `file://`, `s3://`, the web, or rows that [`simulate`] makes), a service, a
//!    database or a record collection, and saves the raw bytes before anything else. They become a table: types are
//!    inferred over all rows and text stays as it came.
//! 2. [`quality`] holds a table against what people expect of it. A gate that fails ends the run and leaves a report
//!    that names the expectation, the value seen and the rows.
//!    [`profile`] shows what a table looks like.
//! 3. [`transform`] reshapes tables by SQL, joins what was known at a time, and resamples. What comes out is sorted by a declared key, so that the same rows have the
//!    same bytes on every machine.
//! 4. [`publish`] makes a table one that features look up, in training and beside every request.
//!
//! [`mod@core`] holds what has nothing to do with data: `core.exec` runs any program, `core.noop`, `core.sleep` and
//! `core.fail` are for building and testing DAGs.
//!
//! Between tasks a table is Parquet in the bucket; [`table`] reads and writes it and is the one place that knows both
//! sides. Every column may say when its value is known ([`known`]): that mark travels with the table, and training
//! refuses what is known too late. The mark `simulated` travels the same way, from the extract to the model.
//!
//! A plugin returns blobs and values; the engine registers versions and appends promotions when it completes the
//! attempt. [`registry`] is the list of all plugins.

pub mod blocking;
pub mod compare;
pub mod core;
pub mod difference;
mod digest;
pub mod extract;
pub mod html;
pub mod interop;
pub mod known;
pub mod nearest;
mod parallel;
pub mod predict;
pub mod profile;
pub mod promote;
pub mod publish;
pub mod quality;
pub mod rows;
pub mod simulate;
pub mod table;
pub mod train;
pub mod transform;
mod words;

use ratchet_core::plugin::Registry;

/// All plugins of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry
        .add::<ratchet_core::plugin::SubDag>()
        .add::<crate::core::Noop>()
        .add::<crate::core::Sleep>()
        .add::<crate::core::Fail>()
        .add::<crate::core::Exec>()
        .add::<extract::File>()
        .add::<extract::Http>()
        .add::<extract::Sql>()
        .add::<extract::Records>()
        .add::<quality::Gate>()
        .add::<profile::Profile>()
        .add::<transform::Sql>()
        .add::<transform::AsOf>()
        .add::<transform::Resample>()
        .add::<publish::PublishLookup>()
        .add::<train::TrainModel>()
        .add::<compare::CompareChampion>()
        .add::<promote::PromoteModel>()
        .add::<predict::PredictBatch>();
    registry
}
