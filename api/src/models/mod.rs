//! What is promoted, what is loaded, and what serves.

mod books;
mod follow;
pub mod list;
pub mod load;
pub mod lookups;
pub mod registry;
pub mod retire;
pub mod route;
pub mod share;
mod shelf;
mod signatures;
pub mod watch;
