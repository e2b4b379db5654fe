//! `ratchet completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::display::output;
use crate::failure::Failure;

/// Prints the completions of a shell.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "ratchet", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
