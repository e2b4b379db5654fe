//! `ratchet dags list | trigger | graph | next`; `show` stands in `about`, `pause` and `unpause` in `pauses`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratchet_core::plugin::Registry;
use ratchet_core::spec::{Dag, Schedule};
use ratchet_runtime::Pause;
use ratchet_runtime::cron::Timetable;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{about, files, pauses, runs};
use crate::arguments::{Dags, Format, GraphFormat};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::{Failure, Status};
use crate::remote::Client;
use crate::settings::Settings;

/// Lists DAG files, starts a run of one on a service, draws one, or shows its next ticks.
pub async fn dags(command: Dags, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    match command {
        Dags::List { dags, remote, listing } => match remote.server {
            Some(server) => list_there(&Client::open(&server)?, listing.format).await,
            None => {
                let pauses = pauses::here(settings, registry.clone()).await?;
                list(&dags, &pauses, listing.format, &registry)
            }
        },
        Dags::Trigger {
            name,
            params,
            logical_date,
            idempotency_key,
            server,
            listing,
        } => {
            let wanted = json!({ "params": params_document(params)?, "logical_date": logical_date });
            trigger(
                &Client::open(&server)?,
                &name,
                wanted,
                idempotency_key.as_deref(),
                listing.format,
            )
            .await
        }
        Dags::Show(arguments) => about::show(arguments, settings, registry).await,
        Dags::Pause(arguments) => pauses::pause(arguments, settings, registry).await,
        Dags::Unpause(arguments) => pauses::unpause(arguments, settings, registry).await,
        Dags::Graph { file, format } => graph(&file, format, &registry),
        Dags::Next {
            file,
            count,
            after,
            listing,
        } => next(&file, count, after, listing.format, &registry),
    }
}

fn list(
    directory: &Path,
    pauses: &BTreeMap<String, Pause>,
    format: Format,
    registry: &Registry,
) -> Result<(), Failure> {
    if !directory.is_dir() {
        return Err(Failure::input(format!("{} is not a directory", directory.display()))
            .help("name the directory of the DAG files with --dags or RATCHET_DAGS"));
    }
    let mut listing = Listing::new(&["dag", "tasks", "schedule", "next", "file"]);
    let mut documents: Vec<Value> = Vec::new();
    let mut valid = true;
    for file in files::expand(&[directory.to_owned()])? {
        let name = file.to_string_lossy().into_owned();
        match ratchet_core::load(&name, &files::read(&file)?, registry) {
            Ok(dag) => {
                let next = next_tick(&dag);
                let paused = pauses.get(&dag.name);
                listing.row([
                    dag.name.clone(),
                    dag.tasks.len().to_string(),
                    dag.schedule.as_ref().map(schedule_text).unwrap_or_default(),
                    next_text(next, paused),
                    name.clone(),
                ]);
                documents.push(json!({
                    "name": dag.name, "description": dag.description, "file": name, "tasks": dag.tasks.len(),
                    "schedule": dag.schedule.as_ref().map(|schedule| &schedule.cron), "next": next, "paused": paused,
                    "problems": [],
                }));
            }
            Err(problems) => {
                valid = false;
                listing.row(["-", "-", "not valid", "", &name]);
                if format == Format::Text {
                    files::print_problems(&problems);
                }
                documents.push(json!({ "name": null, "file": name, "problems": problems.problems }));
            }
        }
    }
    match format {
        Format::Json => output::document(&documents)?,
        Format::Text => table::print(&listing, "there are no DAG files"),
    }
    if valid {
        Ok(())
    } else {
        Err(Failure::reported(Status::Input))
    }
}

/// What a service says about a DAG file.
#[derive(Deserialize)]
struct FileThere {
    name: Option<String>,
    description: Option<String>,
    file: String,
    valid: bool,
    problems: Value,
    cron: Option<String>,
    timezone: Option<String>,
    next: Option<Timestamp>,
    paused: Option<Pause>,
    tasks: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct FilesThere {
    dags: Vec<FileThere>,
}

async fn list_there(client: &Client, format: Format) -> Result<(), Failure> {
    let there: FilesThere = client.get(&["api", "v1", "dags"], &[]).await?;
    let mut listing = Listing::new(&["dag", "tasks", "schedule", "next", "file"]);
    let mut documents: Vec<Value> = Vec::new();
    let mut all_valid = true;
    for file in there.dags {
        if !file.valid {
            all_valid = false;
            listing.row(["-", "-", "not valid", "", &file.file]);
            if format == Format::Text {
                for problem in file.problems.as_array().into_iter().flatten() {
                    output::error(&format!(
                        "error: {}: {}",
                        file.file,
                        describe::plain(&problem["message"])
                    ));
                }
            }
            documents.push(json!({ "name": null, "file": file.file, "problems": file.problems }));
            continue;
        }
        let tasks = file.tasks.map_or(0, |tasks| tasks.len());
        let schedule = file.cron.as_ref().zip(file.timezone.as_ref());
        listing.row([
            file.name.clone().unwrap_or_default(),
            tasks.to_string(),
            schedule
                .map(|(cron, timezone)| format!("{cron} {timezone}"))
                .unwrap_or_default(),
            next_text(file.next, file.paused.as_ref()),
            file.file.clone(),
        ]);
        documents.push(json!({
            "name": file.name, "description": file.description, "file": file.file, "tasks": tasks,
            "schedule": file.cron, "next": file.next, "paused": file.paused, "problems": [],
        }));
    }
    match format {
        Format::Json => output::document(&documents)?,
        Format::Text => table::print(&listing, "there are no DAG files"),
    }
    if all_valid {
        Ok(())
    } else {
        Err(Failure::reported(Status::Input))
    }
}

fn params_document(given: Vec<(String, String)>) -> Result<Map<String, Value>, Failure> {
    let mut params = Map::new();
    for (name, value) in given {
        if params.insert(name.clone(), Value::String(value)).is_some() {
            return Err(Failure::input(format!("parameter `{name}` is given twice")).help("give it once"));
        }
    }
    Ok(params)
}

async fn trigger(
    client: &Client,
    name: &str,
    mut wanted: Value,
    key: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    if let Some(fields) = wanted.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let headers: Vec<(&'static str, &str)> = key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
    let run: Value = client
        .post(&["api", "v1", "dags", name, "runs"], &headers, &wanted)
        .await?;
    let run = runs::record(run)?;
    if format == Format::Json {
        return output::document(&runs::summary(&run));
    }
    output::line(&format!(
        "run {} of {} is recorded; it stands for {}",
        run.id,
        run.dag,
        describe::instant(run.logical_date)
    ));
    Ok(())
}

fn schedule_text(schedule: &Schedule) -> String {
    format!("{} {}", schedule.cron, schedule.timezone)
}

/// A paused schedule has no next tick.
fn next_text(next: Option<Timestamp>, paused: Option<&Pause>) -> String {
    match paused {
        Some(_) => "paused".to_owned(),
        None => next.map(describe::instant).unwrap_or_default(),
    }
}

fn next_tick(dag: &Dag) -> Option<Timestamp> {
    let timetable = Timetable::new(dag.schedule.as_ref()?).ok()?;
    timetable.next_after(Timestamp::now())
}

fn graph(file: &Path, format: GraphFormat, registry: &Registry) -> Result<(), Failure> {
    let dag = files::load(file, registry)?;
    match format {
        GraphFormat::Text => output::line(dag.graph_text().trim_end()),
        GraphFormat::Mermaid => output::line(dag.graph_mermaid().trim_end()),
        GraphFormat::Dot => output::line(dag.graph_dot().trim_end()),
        GraphFormat::Json => output::document(&dag.graph_json())?,
    }
    Ok(())
}

fn next(file: &Path, count: u16, after: Option<Timestamp>, format: Format, registry: &Registry) -> Result<(), Failure> {
    let dag = files::load(file, registry)?;
    let schedule = dag.schedule.as_ref().ok_or_else(|| {
        Failure::input(format!("`{}` has no schedule", dag.name)).help("add `schedule: { cron: ..., timezone: ... }`")
    })?;
    let timetable = Timetable::new(schedule).map_err(|error| Failure::input(error.to_string()))?;
    let first = timetable.next_after(after.unwrap_or_else(Timestamp::now));
    let ticks = std::iter::successors(first, |tick| timetable.next_after(*tick));
    let ticks: Vec<Timestamp> = ticks.take(usize::from(count)).collect();
    // The schedule's own zone, and the one in which logs and listings tell the time.
    let zone = TimeZone::get(&schedule.timezone).unwrap_or(TimeZone::UTC);
    match format {
        Format::Json => {
            let local: Vec<String> = ticks
                .iter()
                .map(|tick| tick.to_zoned(zone.clone()).to_string())
                .collect();
            let document = json!({ "dag": dag.name, "timezone": schedule.timezone, "ticks": ticks, "local": local });
            output::document(&document)
        }
        Format::Text if ticks.is_empty() => {
            output::line("the schedule never ticks");
            Ok(())
        }
        Format::Text if schedule.timezone == "UTC" => {
            let lines: Vec<String> = ticks.iter().map(Timestamp::to_string).collect();
            output::line(&lines.join("\n"));
            Ok(())
        }
        Format::Text => {
            let mut listing = Listing::new(&["utc", &schedule.timezone]);
            for tick in ticks {
                let there = tick.to_zoned(zone.clone());
                listing.row([tick.to_string(), there.strftime("%a %Y-%m-%d %H:%M %Z").to_string()]);
            }
            output::line(&listing.to_string());
            Ok(())
        }
    }
}
