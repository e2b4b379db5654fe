//! `ratchet validate FILE...`.

use ratchet_core::plugin::Registry;
use ratchet_runtime::Secrets;
use serde_json::{Value, json};

use super::files;
use crate::arguments::{Format, Validate};
use crate::display::output;
use crate::failure::{Failure, Status};

/// Checks files and shows every problem of every file.
pub fn validate(validate: &Validate, registry: &Registry) -> Result<(), Failure> {
    let mut documents: Vec<Value> = Vec::new();
    let mut valid = true;
    let secrets = Secrets::from_environment();
    // A place that cannot be read may hold it.
    let is_there = |name: &str| !matches!(secrets.get(name), Ok(None));
    for file in files::expand(&validate.files)? {
        let text = files::read(&file)?;
        let name = file.to_string_lossy().into_owned();
        let (dag, diagnostics) = ratchet_core::check_with_secrets(&name, &text, registry, &is_there);
        if validate.listing.format == Format::Text {
            if !diagnostics.problems.is_empty() {
                files::print_problems(&diagnostics);
            }
            if let Some(dag) = &dag {
                output::line(&format!("{name}: {} is valid, {} tasks", dag.name, dag.tasks.len()));
            }
        }
        valid &= dag.is_some();
        documents.push(json!({
            "file": name, "valid": dag.is_some(), "dag": dag.map(|dag| dag.name), "problems": diagnostics.problems,
        }));
    }
    if validate.listing.format == Format::Json {
        output::document(&json!({ "valid": valid, "files": documents }))?;
    }
    if valid {
        Ok(())
    } else {
        Err(Failure::reported(Status::Input))
    }
}
