//! What is answered, a file for each resource.

mod dags;
mod models;
mod page;
mod promotions;
mod router;
mod runs;

pub(crate) use router::router;
