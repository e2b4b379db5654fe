//! What serving reads beside models.

mod lookup;

pub use lookup::{PublishLookup, PublishLookupConfig};
