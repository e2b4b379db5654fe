//! `ratchet validate FILE...`.

use ratchet_core::plugin::Registry;
use serde_json::{Value, json};

use super::files;
use crate::arguments::{Format, Validate};
use crate::display::output;
use crate::failure::{Failure, Status};

/// Checks files and shows every problem of every file.
pub fn validate(validate: &Validate, registry: &Registry) -> Result<(), Failure> {
    let mut documents: Vec<Value> = Vec::new();
    let mut valid = true;
    for file in files::expand(&validate.files)? {
        let text = files::read(&file)?;
        let name = file.to_string_lossy().into_owned();
        match ratchet_core::load(&name, &text, registry) {
            Ok(dag) => {
                if validate.listing.format == Format::Text {
                    output::line(&format!("{name}: {} is valid, {} tasks", dag.name, dag.tasks.len()));
                }
                documents.push(json!({ "file": name, "valid": true, "dag": dag.name, "problems": [] }));
            }
            Err(problems) => {
                valid = false;
                if validate.listing.format == Format::Text {
                    files::print_problems(&problems);
                }
                documents.push(json!({ "file": name, "valid": false, "problems": problems.to_json() }));
            }
        }
    }
    if validate.listing.format == Format::Json {
        output::document(&json!({ "valid": valid, "files": documents }))?;
    }
    if valid { Ok(()) } else { Err(Failure::reported(Status::Input)) }
}
