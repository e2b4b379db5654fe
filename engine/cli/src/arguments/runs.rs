//! `ratchet runs`.

use clap::{Args, Subcommand, ValueEnum};

use super::{Listing, Remote, parse_parameter};

#[derive(Debug, Subcommand)]
pub enum Runs {
    /// The newest runs
    List {
        /// Only those of one DAG
        #[arg(long)]
        dag: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
    /// One run and its tasks
    Show {
        /// Its id, or the beginning of it
        run: String,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
    /// End a run, whoever drives it
    Cancel {
        /// Its id, or the beginning of it
        run: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take over runs whose engine was killed; finished tasks stay finished
    Resume {
        /// Its id, or the beginning of it
        #[arg(required_unless_present = "all")]
        run: Option<String>,
        /// All that nobody drives
        #[arg(long, conflicts_with = "run")]
        all: bool,
        #[command(flatten)]
        listing: Listing,
    },
    /// Repeat an ended run as a new one that keeps what succeeded
    Retry(Retry),
    /// The same, but leave the new run to `ratchet serve` or `runs resume`
    Clear {
        /// Id of a run that has ended, or the beginning of it
        run: String,
        /// The tasks to run again, with what comes after them
        #[arg(required = true)]
        tasks: Vec<String>,
        /// Not what comes after them
        #[arg(long)]
        only_task: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Correct by hand what a task of an ended run came to
    Mark {
        /// Id of a run that has ended, or the beginning of it
        run: String,
        /// The task
        task: String,
        /// What it came to
        state: Mark,
        #[command(flatten)]
        remote: Remote,
    },
    /// Tell the MLflow server that MLFLOW_TRACKING_URI names what an ended run trained
    Track {
        /// Its id, or the beginning of it
        run: String,
    },
    /// Say yes, or no, to a task that asks
    Approve(Approve),
    /// What the tasks of a run said
    Logs {
        /// Its id, or the beginning of it
        run: String,
        /// Only this task
        task: Option<String>,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
}

/// What `runs retry` takes.
#[derive(Debug, Args)]
pub struct Retry {
    /// Id of a run that has ended, or the beginning of it
    pub run: String,
    /// Run this task again and what comes after it, also where it succeeded
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub from: Vec<String>,
    /// Run only the tasks of --from, not what comes after them
    #[arg(long, requires = "from")]
    pub only_task: bool,
    /// Another value of a parameter; what reads it is run again, and what comes after that
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub params: Vec<(String, String)>,
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub listing: Listing,
}

/// What `runs approve` takes.
#[derive(Debug, Args)]
pub struct Approve {
    /// Id of the run, or the beginning of it
    pub run: String,
    /// The task that asks
    pub task: String,
    /// Value of a field of its form
    #[arg(long = "field", short = 'p', value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub fields: Vec<(String, String)>,
    /// Say no
    #[arg(long)]
    pub reject: bool,
    /// Why
    #[arg(long)]
    pub reason: Option<String>,
    #[command(flatten)]
    pub remote: Remote,
}

/// What a task can be marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mark {
    /// Its outputs are those that it left, if any
    Succeeded,
    /// A retry runs it again
    Failed,
    /// A retry leaves it out
    Skipped,
}
