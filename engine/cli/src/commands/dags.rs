//! `ratchet dags list | graph | next`.

use std::path::Path;

use jiff::Timestamp;
use ratchet_core::plugin::Registry;
use ratchet_core::spec::{Dag, Schedule};
use ratchet_runtime::cron::Timetable;
use serde_json::{Value, json};

use super::files;
use crate::arguments::{Dags, Format, GraphFormat};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::{Failure, Status};

/// Lists DAG files, draws one, or shows its next ticks.
pub fn dags(command: Dags, registry: &Registry) -> Result<(), Failure> {
    match command {
        Dags::List { dags, listing } => list(&dags, listing.format, registry),
        Dags::Graph { file, format } => graph(&file, format, registry),
        Dags::Next {
            file,
            count,
            after,
            listing,
        } => next(&file, count, after, listing.format, registry),
    }
}

fn list(directory: &Path, format: Format, registry: &Registry) -> Result<(), Failure> {
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
                listing.row([
                    dag.name.clone(),
                    dag.tasks.len().to_string(),
                    dag.schedule.as_ref().map(schedule_text).unwrap_or_default(),
                    next.map(describe::instant).unwrap_or_default(),
                    name.clone(),
                ]);
                documents.push(json!({
                    "name": dag.name, "description": dag.description, "file": name, "tasks": dag.tasks.len(),
                    "schedule": dag.schedule.as_ref().map(|schedule| &schedule.cron), "next": next, "problems": [],
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

fn schedule_text(schedule: &Schedule) -> String {
    format!("{} {}", schedule.cron, schedule.timezone)
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
    let ticks: Vec<String> = ticks.take(usize::from(count)).map(|tick| tick.to_string()).collect();
    match format {
        Format::Json => output::document(&json!({ "dag": dag.name, "ticks": ticks })),
        Format::Text if ticks.is_empty() => {
            output::line("the schedule never ticks");
            Ok(())
        }
        Format::Text => {
            output::line(&ticks.join("\n"));
            Ok(())
        }
    }
}
