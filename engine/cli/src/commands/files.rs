//! DAG files: found, read, checked.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;

use crate::display::output;
use crate::failure::{Failure, Status};

/// The text of a DAG file.
///
/// # Errors
///
/// It is not there or cannot be read.
pub fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("the DAG file {} cannot be read: {error}", file.display()))
            .help("name an existing YAML file; `ratchet dags list` shows those of a directory")
    })
}

/// Reads and checks a DAG file. Problems are printed to stderr.
///
/// # Errors
///
/// It cannot be read, or has problems.
pub fn load(file: &Path, registry: &Registry) -> Result<Dag, Failure> {
    let text = read(file)?;
    ratchet_core::load(&file.to_string_lossy(), &text, registry).map_err(|problems| {
        print_problems(&problems);
        Failure::reported(Status::Input)
    })
}

/// Prints problems to stderr, in color on a terminal.
pub fn print_problems(problems: &ratchet_core::diagnostics::Diagnostics) {
    let stderr = std::io::stderr();
    output::error(problems.render(stderr.is_terminal(), width()).trim_end());
}

fn width() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(120)
}

/// Files as they were named, with directories replaced by their `.yaml` and `.yml` files in order of their names.
///
/// # Errors
///
/// A directory cannot be read or holds no DAG file.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = ratchet_server::dag_files(path).map_err(|error| {
            Failure::input(format!("the directory {} cannot be read: {error}", path.display()))
                .help("name a directory that may be read")
        })?;
        if found.is_empty() {
            return Err(
                Failure::input(format!("the directory {} holds no .yaml or .yml file", path.display()))
                    .help("name the directory of the DAG files"),
            );
        }
        files.extend(found);
    }
    Ok(files)
}
