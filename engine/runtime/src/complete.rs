//! Turns what an attempt returned into versions and promotions, once.
//!
//! Everything that is registered carries the key `<run>/<task>/<port>` (a promotion `<run>/<task>`). Registering again
//! under a key reads the first entry back, so that an attempt which is completed twice, or run again after its first
//! completion was not recorded, changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::lookups::{self, NewLookup};
use ratchet_artifacts::models::{self, NewModel};
use ratchet_artifacts::{
    BlobRef, Bucket, BucketError, ColumnManifest, Expected, Lineage, NewPromotion, PromotionError,
};
use ratchet_core::plugin::{
    Blob, Collected, Known, Lookup, Model, Output, Outputs, PageTag, Port, PromotionRequest, RowCounts, Table,
    TableColumn,
};
use serde_json::Value;

use crate::promotion::{self, PromoteError};
use crate::record::{Failure, PromotionOutcome};

/// Where the outputs come from.
pub(crate) struct Origin<'a> {
    pub run: &'a str,
    pub dag: &'a str,
    pub task: &'a str,
    /// The ports that the plugin declares.
    pub ports: &'a [Port],
    /// The rendered configuration, which holds the tables that went in.
    pub with: &'a Value,
    /// Digest of the program that runs the tasks; empty where it cannot be told or nothing comes of it.
    pub build: &'a str,
    /// False if versions and promotions are made by nobody: the outputs are wanted, and no more.
    pub registers: bool,
}

/// What a completion made.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    /// The ports, versions filled in.
    pub outputs: BTreeMap<String, Output>,
    pub promotions: Vec<PromotionOutcome>,
    /// Why it stopped before the end, if it did.
    pub failure: Option<CompletionFailure>,
}

/// A completion that stopped. What was registered before stays and is read back by the next attempt.
#[derive(Debug)]
pub(crate) struct CompletionFailure {
    pub failure: Failure,
    pub retryable: bool,
}

impl CompletionFailure {
    fn permanent(message: String) -> Self {
        Self {
            failure: Failure { message, help: None },
            retryable: false,
        }
    }
}

impl From<BucketError> for CompletionFailure {
    fn from(error: BucketError) -> Self {
        Self {
            failure: Failure {
                message: error.to_string(),
                help: None,
            },
            retryable: error.may_retry(),
        }
    }
}

/// Registers tables and models, then appends promotions.
pub(crate) async fn complete(bucket: &Bucket, origin: &Origin<'_>, outputs: Outputs) -> Completed {
    let mut completed = Completed::default();
    let failure = register_all(bucket, origin, outputs, &mut completed).await.err();
    completed.failure = failure;
    completed
}

async fn register_all(
    bucket: &Bucket,
    origin: &Origin<'_>,
    outputs: Outputs,
    completed: &mut Completed,
) -> Result<(), CompletionFailure> {
    for (port, output) in outputs.ports {
        check_port(origin, &port, &output)?;
        let registered = match output {
            Output::Table(table) => Output::Table(register_table(bucket, origin, &port, table).await?),
            Output::Model(model) => Output::Model(Box::new(register_model(bucket, origin, &port, *model).await?)),
            Output::Lookup(lookup) => Output::Lookup(publish(bucket, origin, &port, lookup).await?),
            other => other,
        };
        completed.outputs.insert(port, registered);
    }
    let promotions = outputs.promotions.into_iter().filter(|_| origin.registers);
    for (number, request) in promotions.enumerate() {
        let (outcome, failure) = promote(bucket, origin, number, request).await;
        completed.promotions.extend(outcome);
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(())
}

fn check_port(origin: &Origin<'_>, port: &str, output: &Output) -> Result<(), CompletionFailure> {
    match origin.ports.iter().find(|declared| declared.name == port) {
        None => Err(CompletionFailure::permanent(format!(
            "the plugin returned a port `{port}` that it does not declare"
        ))),
        Some(declared) if declared.kind != output.kind() => Err(CompletionFailure::permanent(format!(
            "the plugin returned a {:?} on its port `{port}`, which it declares as {:?}",
            output.kind(),
            declared.kind
        ))),
        Some(_) => Ok(()),
    }
}

async fn register_table(
    bucket: &Bucket,
    origin: &Origin<'_>,
    port: &str,
    table: Table,
) -> Result<Table, CompletionFailure> {
    // A table that a task handed on as it came keeps its version.
    if table.version.is_some() {
        return Ok(table);
    }
    let name = if table.dataset.is_empty() {
        Table::default_name(origin.dag, origin.task, port)
    } else {
        table.dataset
    };
    if !origin.registers {
        return Ok(Table { dataset: name, ..table });
    }
    let manifest = datasets::register(
        bucket,
        NewDataset {
            name,
            files: table.files.iter().map(to_reference).collect(),
            raw: table.raw.iter().map(to_reference).collect(),
            collected: table.collected.clone().map(to_collected),
            rows: table.rows,
            columns: table.columns.iter().map(column_manifest).collect(),
            lineage: Lineage {
                source: table.source.clone(),
                simulated: table.simulated,
                ..lineage(origin, tables_in(origin.with))
            },
            key: key(origin, port),
        },
    )
    .await?;
    Ok(Table {
        dataset: manifest.name,
        version: Some(manifest.version),
        files: manifest.files.into_iter().map(to_blob).collect(),
        raw: manifest.raw.into_iter().map(to_blob).collect(),
        collected: manifest.collected.map(from_collected),
        rows: manifest.rows,
        ..table
    })
}

async fn publish(
    bucket: &Bucket,
    origin: &Origin<'_>,
    port: &str,
    lookup: Lookup,
) -> Result<Lookup, CompletionFailure> {
    if lookup.version.is_some() || !origin.registers {
        return Ok(lookup);
    }
    let manifest = lookups::register(
        bucket,
        NewLookup {
            name: lookup.name.clone(),
            content: to_reference(&lookup.content),
            rows: lookup.rows,
            found_by: lookup.key.clone(),
            time: lookup.time.clone(),
            columns: lookup.columns.iter().map(column_manifest).collect(),
            lineage: Lineage {
                source: lookup.source.clone(),
                simulated: lookup.simulated,
                ..lineage(origin, tables_in(origin.with))
            },
            key: key(origin, port),
        },
    )
    .await?;
    Ok(Lookup {
        version: Some(manifest.version),
        content: to_blob(manifest.content),
        ..lookup
    })
}

async fn register_model(
    bucket: &Bucket,
    origin: &Origin<'_>,
    port: &str,
    model: Model,
) -> Result<Model, CompletionFailure> {
    if model.version.is_some() || !origin.registers {
        return Ok(model);
    }
    let RowCounts {
        train,
        validation,
        holdout,
    } = model.rows;
    let rows = [("train", train), ("validation", validation), ("holdout", holdout)];
    let inputs = if model.inputs.is_empty() {
        tables_in(origin.with)
    } else {
        model.inputs.clone()
    };
    let manifest = models::register(
        bucket,
        NewModel {
            name: model.name.clone(),
            bundle: to_reference(&model.bundle),
            metrics: model.metrics.clone(),
            rows: rows.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            parameters: model.parameters.clone(),
            report: model.report.clone(),
            lineage: Lineage {
                source: model.source.clone(),
                simulated: model.simulated,
                ..lineage(origin, inputs)
            },
            key: key(origin, port),
        },
    )
    .await?;
    let count = |name: &str| manifest.rows.get(name).copied().unwrap_or_default();
    Ok(Model {
        version: Some(manifest.version),
        rows: RowCounts {
            train: count("train"),
            validation: count("validation"),
            holdout: count("holdout"),
        },
        bundle: to_blob(manifest.bundle),
        metrics: manifest.metrics,
        parameters: manifest.parameters,
        report: manifest.report,
        ..model
    })
}

async fn promote(
    bucket: &Bucket,
    origin: &Origin<'_>,
    number: usize,
    request: PromotionRequest,
) -> (Option<PromotionOutcome>, Option<CompletionFailure>) {
    let key = match number {
        0 => format!("{}/{}", origin.run, origin.task),
        later => format!("{}/{}/{}", origin.run, origin.task, later + 1),
    };
    let PromotionRequest {
        model,
        version,
        digest,
        alias,
        expected_champion,
        reason,
        comparison,
        breaking,
    } = request;
    let promotion = NewPromotion {
        model: model.clone(),
        version,
        digest: digest.clone(),
        alias: alias.clone(),
        expected: Expected::Champion(expected_champion),
        actor: format!("run {}", origin.run),
        reason: reason.clone(),
        comparison,
        key,
        attended: false,
    };
    let outcome = |promoted, entry, reason| PromotionOutcome {
        model,
        version,
        digest,
        alias,
        promoted,
        entry,
        reason,
    };
    match promotion::promote(bucket, promotion, breaking).await {
        Ok(appended) => (Some(outcome(true, Some(appended.entry.number), reason)), None),
        Err(error @ PromoteError::Log(PromotionError::AlreadyHolds { .. })) => {
            (Some(outcome(false, None, error.to_string())), None)
        }
        Err(error) => {
            let retryable = error.may_retry();
            let message = error.to_string();
            let failure = CompletionFailure {
                failure: Failure {
                    message: message.clone(),
                    help: None,
                },
                retryable,
            };
            // Refused for good is an outcome; a bucket that does not answer is none.
            let refused = (!retryable).then(|| outcome(false, None, message));
            (refused, Some(failure))
        }
    }
}

fn key(origin: &Origin<'_>, port: &str) -> String {
    format!("{}/{}/{port}", origin.run, origin.task)
}

fn lineage(origin: &Origin<'_>, inputs: Vec<String>) -> Lineage {
    Lineage {
        run: origin.run.to_owned(),
        dag: origin.dag.to_owned(),
        task: origin.task.to_owned(),
        inputs,
        source: String::new(),
        simulated: false,
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        build: origin.build.to_owned(),
    }
}

/// `name@version` of every registered table in a rendered configuration.
fn tables_in(with: &Value) -> Vec<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(fields) => {
                let name = fields.get("dataset").and_then(Value::as_str);
                let version = fields.get("version").and_then(Value::as_u64);
                match (name, version) {
                    (Some(name), Some(version)) if fields.contains_key("files") => {
                        found.insert(format!("{name}@{version}"));
                    }
                    _ => fields.values().for_each(|field| collect(field, found)),
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(with, &mut found);
    found.into_iter().collect()
}

fn to_reference(blob: &Blob) -> BlobRef {
    BlobRef {
        sha256: blob.sha256.clone(),
        bytes: blob.bytes,
    }
}

fn to_blob(reference: BlobRef) -> Blob {
    Blob {
        sha256: reference.sha256,
        bytes: reference.bytes,
    }
}

fn to_collected(collected: Collected) -> ratchet_artifacts::Collected {
    let pages = collected.pages.into_iter().map(|page| ratchet_artifacts::PageTag {
        address: page.address,
        etag: page.etag,
        last_modified: page.last_modified,
    });
    ratchet_artifacts::Collected {
        at: collected.at,
        etag: collected.etag,
        last_modified: collected.last_modified,
        pages: pages.collect(),
    }
}

fn from_collected(collected: ratchet_artifacts::Collected) -> Collected {
    let pages = collected.pages.into_iter().map(|page| PageTag {
        address: page.address,
        etag: page.etag,
        last_modified: page.last_modified,
    });
    Collected {
        at: collected.at,
        etag: collected.etag,
        last_modified: collected.last_modified,
        pages: pages.collect(),
    }
}

fn column_manifest(column: &TableColumn) -> ColumnManifest {
    ColumnManifest {
        name: column.name.clone(),
        kind: column.kind.name().to_owned(),
        known: column.known.map(|known| known_name(known).to_owned()),
        nulls: column.nulls,
    }
}

fn known_name(known: Known) -> &'static str {
    match known {
        Known::Call => "call",
        Known::Dispatch => "dispatch",
        Known::After => "after",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_core::plugin::PortKind;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_port_that_the_plugin_does_not_declare_so_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(&directory.path().display().to_string()).await.unwrap();
        let ports = [Port {
            name: "table",
            kind: PortKind::Table,
            description: "",
        }];
        let origin = Origin {
            run: "r",
            dag: "d",
            task: "t",
            ports: &ports,
            with: &Value::Null,
            build: "",
            registers: true,
        };
        for (port, message) in [
            (
                "table",
                "the plugin returned a Value on its port `table`, which it declares as Table",
            ),
            ("other", "the plugin returned a port `other` that it does not declare"),
        ] {
            let outputs = Outputs::default().with(port, Output::Value(json!(1)));
            let stopped = complete(&bucket, &origin, outputs).await.failure.unwrap();
            assert_eq!((stopped.failure.message.as_str(), stopped.retryable), (message, false));
        }
    }

    #[test]
    fn tables_are_found_wherever_they_stand_in_a_configuration() {
        let table = |name: &str, version: Option<u64>| json!({ "dataset": name, "version": version, "files": [] });
        let with = json!({
            "tables": { "b": table("b", Some(2)), "again": table("b", Some(2)) },
            "list": [table("a", Some(1)), table("unregistered", None)],
            "text": "c@3",
        });
        assert_eq!(tables_in(&with), ["a@1", "b@2"]);
    }
}
