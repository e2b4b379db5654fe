//! Dataset versions outside of the bucket: as files, and as other tools keep them.

pub mod dvc;
pub mod files;
