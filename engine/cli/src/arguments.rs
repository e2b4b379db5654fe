//! What can be typed: clap types alone.

mod access;
mod collections;
mod datasets;
mod gc;
mod lookups;
mod models;
mod reference;
mod report;
mod route;
mod runs;
mod scheduling;
mod test;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ratchet_identity::Role;

pub use access::{Audit, Keys, Login, Remote};
pub use collections::Collections;
pub use datasets::Datasets;
pub use gc::{Gc, age};
pub use lookups::Lookups;
pub use models::Models;
pub use reference::Reference;
pub use report::{CompareModels, Report, ReportFormat};
pub use route::Route;
pub use runs::{Approve, Mark, Retry, Runs};
pub use scheduling::{Backfill, PauseOf, ShowDag};
pub use test::Test;

/// Retrains models on a schedule and promotes a new one only where it is better.
///
/// Exit status: 0 done, 1 the run failed, 2 the input was wrong, 3 a service or store could not be reached.
#[derive(Debug, Parser)]
#[command(name = "ratchet", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Directory of the embedded state [default: .ratchet]
    #[arg(long, global = true, env = "RATCHET_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Address of the bucket: a directory, file:// or s3:// [default: HOME/bucket]
    #[arg(
        long,
        global = true,
        env = "RATCHET_STORE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub store: Option<String>,
    /// Say only what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for still more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the example on built-in records, start both services and ask for a prediction
    Demo(Demo),
    /// Check DAG files and show every problem with its place
    Validate(Validate),
    /// Run a DAG file to its end
    Run(Run),
    /// Try the cases that stand beside DAGs: given these tables, a task gives that
    Test(Test),
    /// Run DAGs at the ticks of their schedules and answer REST and a status page
    Serve(Serve),
    /// DAG files
    #[command(subcommand)]
    Dags(Dags),
    /// Run a DAG for ticks of the past
    Backfill(Backfill),
    /// Runs and their logs
    #[command(subcommand)]
    Runs(Runs),
    /// What came of a run: gates, models, comparisons, promotions. Ends with 1 if the run failed or a model is worse
    Report(Report),
    /// Dataset versions
    #[command(subcommand)]
    Datasets(Datasets),
    /// Tables that the prediction service reads beside a request
    #[command(subcommand)]
    Lookups(Lookups),
    /// Model versions and what is in production
    #[command(subcommand)]
    Models(Models),
    /// Rows that people and programs add for the next training
    #[command(subcommand)]
    Collections(Collections),
    /// What all runs share and who holds its slots
    Pools(Pools),
    /// Kinds of tasks (`uses`)
    #[command(subcommand)]
    Tasks(Tasks),
    /// People who may ask for predictions, or more
    #[command(subcommand)]
    Users(Users),
    /// Keys with which programs ask instead of people
    #[command(subcommand)]
    Keys(Keys),
    /// Who changed what, when and from where
    #[command(subcommand)]
    Audit(Audit),
    /// Get a token of a service for `--server`. The password is read from RATCHET_PASSWORD or stdin
    Login(Login),
    /// Remove runs that ended long ago and blobs that nothing refers to
    Gc(Gc),
    /// Print the JSON Schema of DAG files
    Schema(Schema),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Runs one task for the engine
    #[command(name = ratchet_runtime::WORKER_SUBCOMMAND, hide = true)]
    TaskWorker,
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document on stdout
    Json,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Listing {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Stop after the first prediction instead of waiting for Ctrl-C
    #[arg(long)]
    pub once: bool,
    /// Number of simulated records
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(2_000..=1_000_000))]
    pub rows: u64,
}

#[derive(Debug, Args)]
pub struct Validate {
    /// DAG files, or directories of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Args)]
pub struct Run {
    /// The DAG file
    pub file: PathBuf,
    /// Value of a parameter
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub params: Vec<(String, String)>,
    /// The instant that the run stands for, such as 2017-05-01 or 2017-05-01T02:00:00Z [default: the newest tick of
    /// the schedule, or now]
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    pub logical_date: Option<jiff::Timestamp>,
    /// Show what would run, in which order and with which configuration, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Run these tasks alone; what they come after is taken from the newest run in which it succeeded
    #[arg(long, value_name = "TASK", value_delimiter = ',', conflicts_with = "until")]
    pub only: Vec<String>,
    /// Run these tasks and all that they come after, and nothing else
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub until: Vec<String>,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Directory of DAG files
    #[arg(long, env = "RATCHET_DAGS", default_value = "dags", value_name = "DIR")]
    pub dags: PathBuf,
    /// Address to listen on. There is no TLS: from other machines, let a proxy stand before it
    #[arg(
        long,
        env = "RATCHET_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
}

#[derive(Debug, Subcommand)]
pub enum Dags {
    /// The DAG files of a directory
    List {
        /// The directory
        #[arg(long, env = "RATCHET_DAGS", default_value = "dags", value_name = "DIR")]
        dags: PathBuf,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
    /// Start a run on a service and say which; without a service, `ratchet run FILE` does it
    Trigger {
        /// Name of the DAG
        name: String,
        /// Value of a parameter
        #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_parameter)]
        params: Vec<(String, String)>,
        /// The instant that the run stands for [default: the newest tick of the schedule, or now]
        #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
        logical_date: Option<jiff::Timestamp>,
        /// The same key is the same run, however often it is asked for
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        /// Address of the service; `ratchet login` first
        #[arg(long, value_name = "URL")]
        server: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// What starts one DAG, what keeps it from starting, and what its triggers saw
    Show(ShowDag),
    /// Let a DAG start nothing by itself: no tick, no trigger. Runs by hand go on
    Pause(PauseOf),
    /// End the pause; missed ticks go by the schedule's `catchup`
    Unpause(PauseOf),
    /// What depends on what
    Graph {
        /// The DAG file
        file: PathBuf,
        /// How to draw it
        #[arg(long, value_enum, default_value_t)]
        format: GraphFormat,
    },
    /// The next ticks of the schedule, in UTC and in its own zone
    Next {
        /// The DAG file
        file: PathBuf,
        /// How many
        #[arg(long, short = 'n', default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        /// Ticks after this instant [default: now]
        #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
        after: Option<jiff::Timestamp>,
        #[command(flatten)]
        listing: Listing,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Lines for a terminal
    #[default]
    Text,
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub struct Pools {
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Subcommand)]
pub enum Tasks {
    /// All of them
    List {
        #[command(flatten)]
        listing: Listing,
    },
    /// One of them: its configuration and its outputs
    Show {
        /// What stands behind `uses`
        name: String,
        #[command(flatten)]
        listing: Listing,
    },
}

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Add a user. The password is read from RATCHET_PASSWORD or stdin, or made up and printed once
    Add {
        /// Name to log in with
        name: String,
        /// What the user may do
        #[arg(long, default_value_t = Role::User, value_name = "user|operator|admin")]
        role: Role,
        /// Read the password from the first line of stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// All users
    List {
        #[command(flatten)]
        listing: Listing,
    },
    /// Remove a user
    Remove {
        /// Name to log in with
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Schema {
    /// Write it to DIR/dag.schema.json instead, where an editor finds it
    #[arg(long, value_name = "DIR")]
    pub install: Option<PathBuf>,
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn parse_instant(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant);
    }
    let civil: jiff::civil::DateTime = text
        .parse()
        .map_err(|_| "write a date (2017-05-01, read as midnight UTC) or an instant (2017-05-01T02:00:00Z)")?;
    jiff::tz::TimeZone::UTC
        .to_timestamp(civil)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_date_alone_is_midnight_utc() {
        assert_eq!(parse_instant("2017-05-01").unwrap().to_string(), "2017-05-01T00:00:00Z");
        assert_eq!(
            parse_instant("2017-05-01T02:00:00+01:00").unwrap().to_string(),
            "2017-05-01T01:00:00Z"
        );
        assert!(parse_instant("May").is_err());
    }

    #[test]
    fn a_parameter_keeps_later_equals_signs() {
        let expected = ("from".to_owned(), "simulated://lfb?rows=5".to_owned());
        assert_eq!(parse_parameter("from=simulated://lfb?rows=5").unwrap(), expected);
        assert!(parse_parameter("from").is_err());
    }
}
