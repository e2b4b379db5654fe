//! `ratchet schema`.

use ratchet_core::plugin::Registry;

use crate::arguments::Schema;
use crate::display::output;
use crate::failure::Failure;

/// The name that the `yaml-language-server` line of a DAG file points to.
const FILE_NAME: &str = "dag.schema.json";

/// Prints or installs the JSON Schema of DAG files, every plugin's `with` included.
pub fn schema(arguments: &Schema, registry: &Registry) -> Result<(), Failure> {
    let schema = ratchet_core::schema(registry);
    let Some(directory) = &arguments.install else {
        return output::document(&schema);
    };
    let file = directory.join(FILE_NAME);
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::service(format!("the schema cannot be written as JSON: {error}")))?;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&file, text + "\n"))
        .map_err(|error| {
            Failure::input(format!("{} cannot be written: {error}", file.display()))
                .help("name a directory that may be written")
        })?;
    output::line(&format!(
        "{}\n\nBegin a DAG file with:\n# yaml-language-server: $schema={}",
        file.display(),
        file.display()
    ));
    Ok(())
}
