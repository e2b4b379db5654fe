//! What is collected.

use std::time::Duration;

use clap::Args;

use super::Listing;

#[derive(Debug, Args)]
pub struct Gc {
    /// Only show what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Also runs that ended longer ago, with their logs [default: `retention.runs` of ratchet.toml, or none]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub runs_older_than: Option<Duration>,
    /// Blobs also where the bucket holds runs that this database does not know; no other engine may write to it
    #[arg(long)]
    pub whole_bucket: bool,
    /// Also the content of rows that were deleted from record collections, where their segment is older than an hour
    #[arg(long)]
    pub purge: bool,
    #[command(flatten)]
    pub listing: Listing,
}

/// An age of at least a day, such as `90d`.
pub fn age(text: &str) -> Result<Duration, String> {
    let age = ratchet_core::spec::parse_duration(text)?;
    if age < ratchet_runtime::LEAST_AGE {
        return Err("what is younger than a day is never removed; write an age such as 90d".to_owned());
    }
    Ok(age)
}
