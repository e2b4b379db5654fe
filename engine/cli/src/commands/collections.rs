//! `ratchet collections apply | list`.

use std::path::Path;

use ratchet_artifacts::collections::{self, Applied, Collection};
use serde_json::json;

use super::files;
use crate::arguments::{Collections, Format};
use crate::display::table::Listing;
use crate::display::{output, table};
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// Applies a collection or lists them.
pub async fn collections(command: Collections, settings: &Settings) -> Result<(), Failure> {
    match command {
        Collections::Apply { file, listing } => {
            let collection = read(&file)?;
            let bucket = settings.open_bucket().await?;
            let applied = collections::apply(&bucket, &collection).await?;
            let word = match applied {
                Applied::Added => "added",
                Applied::Changed => "changed",
                Applied::Unchanged => "unchanged",
            };
            if listing.format == Format::Json {
                return output::document(&json!({ "collection": collection, "applied": word }));
            }
            output::line(&format!(
                "{word} {}: rows with the key [{}] are taken at /database/{} of the prediction API and lie in feeds/{} of the bucket",
                collection.name,
                collection.key.join(", "),
                collection.name,
                collection.name
            ));
            Ok(())
        }
        Collections::List { listing } => {
            let found = collections::list(&settings.open_bucket().await?).await?;
            if listing.format == Format::Json {
                return output::document(&found);
            }
            let mut rows = Listing::new(&["collection", "key", "fields"]);
            for collection in &found {
                let fields = collection.schema["properties"].as_object();
                let fields: Vec<&str> = fields.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                rows.row([collection.name.clone(), collection.key.join(", "), fields.join(", ")]);
            }
            table::print(
                &rows,
                "there are no collections yet; `ratchet collections apply FILE` makes one",
            );
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<Collection, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("the file {shown} cannot be read: {error}")).help("name a YAML or JSON file")
    })?;
    let document = ratchet_core::document(&file.to_string_lossy(), &text).map_err(|problems| {
        files::print_problems(&problems);
        Failure::reported(Status::Input)
    })?;
    let collection: Collection = serde_json::from_value(document).map_err(|error| {
        Failure::input(format!("{shown} is no collection: {error}"))
            .help("it holds `name`, `key` (a list of fields) and `schema` (JSON Schema of a row)")
    })?;
    let checked = jsonschema::options().offline().build(&collection.schema);
    checked.map_err(|error| {
        Failure::input(format!(
            "{shown} holds no JSON Schema: {error} at schema{}",
            error.instance_path()
        ))
        .help("write the schema as https://json-schema.org says, without references to other documents")
    })?;
    Ok(collection)
}
