//! The binary `ratchet`: reads what was asked for, calls the engine, shows what came of it.
//!
//! - [`arguments`] holds the clap types and nothing else;
//! - [`settings`] puts flags over `RATCHET_*` variables over `ratchet.toml`;
//! - [`commands`] has a file for each command, each a function from its arguments to a [`failure::Failure`] or nothing;
//! - [`remote`] asks the service of somebody else, for commands with `--server`;
//! - [`display`] knows terminals: progress, tables, JSON documents, and pipes that close early.
//!
//! Exit status: 0 done, 1 the run failed, 2 the input was wrong, 3 a service or store could not be reached.

mod arguments;
mod commands;
mod display;
mod failure;
mod remote;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use display::output;

fn main() -> ExitCode {
    report_panics_in_one_line();
    // Clients that speak TLS (webhooks, S3) find their cryptography here. It fails only if somebody else was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    start_tracing(arguments.global.verbose, arguments.global.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!(
                "error: the system gives no threads: {error}\nhelp: look at `ulimit -u`"
            ));
            return ExitCode::from(3);
        }
    };
    let status = runtime.block_on(commands::dispatch(arguments));
    // Somebody blocked on a read (a terminal, a name lookup) must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    status
}

/// A fault of this program is one line for the person in front of it, not a dump.
fn report_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|place| format!(" at {}:{}", place.file(), place.line()))
            .unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        output::error(&format!(
            "error: this is a fault of ratchet{place}: {what}; please report this line"
        ));
    }));
}

fn start_tracing(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,ratchet=info,ratchet_server=info,ratchet_runtime=info",
        (false, _) => "info,ratchet=debug,ratchet_server=debug,ratchet_runtime=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("RATCHET_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
