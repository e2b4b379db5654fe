//! How a model's requests are spread over its aliases.

use clap::Args;

use super::{Listing, Remote};

#[derive(Debug, Args)]
pub struct Route {
    /// The model
    pub name: String,
    /// Share of an alias in percent; together 100
    #[arg(required = true, value_name = "ALIAS=PERCENT", value_parser = share)]
    pub shares: Vec<(String, u32)>,
    /// An alias whose answers are logged and never given
    #[arg(long = "shadow", value_name = "ALIAS", value_delimiter = ',')]
    pub shadows: Vec<String>,
    /// A field of the request: those with the same value in it are answered by the same alias
    #[arg(long, value_name = "FIELD")]
    pub sticky: Option<String>,
    /// Why, in one sentence
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub listing: Listing,
}

fn share(text: &str) -> Result<(String, u32), String> {
    let wrong = || "write ALIAS=PERCENT, such as challenger=10".to_owned();
    let (alias, share) = text.split_once('=').ok_or_else(wrong)?;
    let share = share.parse().ok().filter(|share| *share <= 100).ok_or_else(wrong)?;
    Ok((alias.to_owned(), share))
}
