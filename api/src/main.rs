//! The binary `ratchet-api`; everything it does stands in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ratchet_api::command::main()
}
