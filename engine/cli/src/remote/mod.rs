//! The engine of somebody else, over its REST.

mod client;
mod tokens;

pub use client::Client;
