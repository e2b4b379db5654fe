//! What is promoted, what is loaded, and what serves.

mod follow;
pub mod list;
pub mod load;
pub mod lookups;
pub mod registry;
pub mod retire;
pub mod route;
mod shelf;
mod signatures;
pub mod watch;
