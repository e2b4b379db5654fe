//! `ratchet backfill DAG --from INSTANT --to INSTANT`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;
use ratchet_runtime::{BackfillDate, DatePlan, Engine, EngineError, NewBackfill, RunStatus, StoreError};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{files, pauses, run as running, shutdown};
use crate::arguments::{Backfill, Format};
use crate::display::table::{self, Listing};
use crate::display::{describe, output};
use crate::failure::{Failure, Status};
use crate::remote::Client;
use crate::settings::{self, Settings};

/// How often it is asked how far a backfill is.
const LOOK: Duration = Duration::from_millis(300);

/// Runs a DAG for ticks of the past and shows what came of each.
pub async fn backfill(arguments: Backfill, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    if let Some(server) = &arguments.remote.server {
        let client = Client::open(server)?;
        return match &arguments.stop {
            Some(id) => stop_there(&client, id).await,
            None => there(&client, &arguments, settings).await,
        };
    }
    let engine = settings.open_engine(registry.clone()).await?;
    if let Some(id) = &arguments.stop {
        if engine.store().backfill(id).await?.is_none() {
            return Err(Failure::input(format!("there is no backfill `{id}`")).help("give its whole id"));
        }
        let stopped = engine.stop_backfill(id, &settings::actor()).await?;
        let outcome = if stopped { "is stopped" } else { "had ended" };
        output::line(&format!("backfill {id} {outcome}"));
        return Ok(());
    }
    let name = arguments.dag.clone().unwrap_or_default();
    let dag = load(&name, &arguments.dags, &registry)?;
    let params = running::bind(&dag, &arguments.params)?;
    let new = NewBackfill {
        dag,
        from: arguments.from.unwrap_or_default(),
        to: arguments.to.unwrap_or_default(),
        missing_only: arguments.missing_only,
        max_active: arguments.max_active,
        params,
        actor: settings::actor(),
    };
    check_range(new.from, new.to)?;
    let now = Timestamp::now();
    if arguments.dry_run {
        return show_plan(&engine.plan_backfill(&new, now).await?, arguments.listing.format);
    }
    // Without a key of the request there is always a new one.
    let id = engine.create_backfill(&new, None, now).await?.unwrap_or_default();
    let dates = drive(&engine, &id, settings).await?;
    close(&id, &dates, arguments.listing.format)
}

fn load(name: &str, directory: &Path, registry: &Registry) -> Result<Dag, Failure> {
    let is_file = name.ends_with(".yaml") || name.ends_with(".yml") || name.contains('/');
    if is_file {
        files::load(Path::new(name), registry)
    } else {
        pauses::find(directory, name, registry)
    }
}

fn check_range(from: Timestamp, to: Timestamp) -> Result<(), Failure> {
    if to < from {
        return Err(
            Failure::input(format!("--to ({to}) lies before --from ({from})")).help("give the earlier one first")
        );
    }
    Ok(())
}

/// Starts and drives the runs until the last has ended. The first Ctrl-C stops the backfill and its runs.
async fn drive(engine: &Engine, id: &str, settings: &Settings) -> Result<Vec<BackfillDate>, Failure> {
    let cancel = shutdown::listen("stopping the backfill and its runs; once more ends it at once")?;
    let mut stopped = cancel.clone();
    let mut driving = JoinSet::new();
    let mut shown = Progress::new(settings.quiet);
    loop {
        let advanced = engine.advance_backfill(id, true).await?;
        for run in advanced.started {
            let (engine, cancel) = (engine.clone(), cancel.clone());
            driving.spawn(async move {
                let (events, _) = mpsc::unbounded_channel();
                engine.execute(&run, events, cancel).await
            });
        }
        shown.show(&engine.store().backfill_dates(id).await?);
        if advanced.finished && driving.is_empty() {
            return Ok(engine.store().backfill_dates(id).await?);
        }
        tokio::select! {
            Some(ended) = driving.join_next() => match ended {
                // A service on the same metadata may have been faster: then it drives the run.
                Ok(Ok(_) | Err(EngineError::Ended { .. } | EngineError::Store(StoreError::Leased { .. }))) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(error) => return Err(Failure::service(format!("a run broke off: {error}"))),
            },
            () = tokio::time::sleep(LOOK) => {}
            Ok(_) = stopped.wait_for(|stopped| *stopped), if !shown.stopped => {
                shown.stopped = true;
                engine.stop_backfill(id, &settings::actor()).await?;
            }
        }
    }
}

/// Says on stderr what became of each tick, once.
struct Progress {
    quiet: bool,
    stopped: bool,
    told: usize,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            stopped: false,
            told: 0,
        }
    }

    fn show(&mut self, dates: &[BackfillDate]) {
        let wanted = dates.iter().filter(|date| date.plan != DatePlan::Keep).count();
        let ended: Vec<&BackfillDate> = dates.iter().filter(|date| has_ended(date)).collect();
        // Ticks end in nearly their order; how many have ended is what people want to know.
        if ended.len() > self.told
            && !self.quiet
            && let Some(newest) = ended.last()
        {
            let status = newest.status.map(|status| status.to_string()).unwrap_or_default();
            output::error(&format!(
                "{} of {wanted}: {} {status}",
                ended.len(),
                describe::instant(newest.logical_date)
            ));
        }
        self.told = ended.len();
    }
}

fn has_ended(date: &BackfillDate) -> bool {
    date.status.is_some_and(|status| status != RunStatus::Running)
}

fn show_plan(dates: &[BackfillDate], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::document(&dates);
    }
    let mut listing = Listing::new(&["logical date", "plan"]);
    for date in dates {
        let found = match (&date.found, date.found_status) {
            (Some(run), Some(status)) => format!(": run {run} {status}"),
            _ => String::new(),
        };
        let plan = match date.plan {
            DatePlan::Run => "would run".to_owned(),
            DatePlan::Repeat => format!("would run again{found}"),
            DatePlan::Keep => format!("is left as it is{found}"),
        };
        listing.row([describe::instant(date.logical_date), plan]);
    }
    table::print(&listing, "no tick lies in the range");
    Ok(())
}

/// What stands at the end.
fn close(id: &str, dates: &[BackfillDate], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::document(&json!({ "backfill": id, "dates": dates }))?,
        Format::Text => {
            let mut listing = Listing::new(&["logical date", "run", "status"]);
            for date in dates {
                let (run, status) = match date.plan {
                    DatePlan::Keep => (&date.found, format!("kept ({})", shown(date.found_status))),
                    _ => (&date.run, shown(date.status)),
                };
                listing.row([
                    describe::instant(date.logical_date),
                    run.clone().unwrap_or_default(),
                    status,
                ]);
            }
            table::print(&listing, "no tick lies in the range");
        }
    }
    let complete = dates
        .iter()
        .all(|date| date.plan == DatePlan::Keep || date.status == Some(RunStatus::Succeeded));
    if complete {
        Ok(())
    } else {
        Err(Failure::reported(Status::Failed))
    }
}

fn shown(status: Option<RunStatus>) -> String {
    status.map_or_else(|| "did not run".to_owned(), |status| status.to_string())
}

/// What a service says about a backfill.
#[derive(Deserialize)]
struct There {
    id: String,
    finished_at: Option<Timestamp>,
    dates: Vec<BackfillDate>,
}

#[derive(Deserialize)]
struct PlanThere {
    dates: Vec<BackfillDate>,
}

/// The service does it, and goes on if this program is ended meanwhile.
async fn there(client: &Client, arguments: &Backfill, settings: &Settings) -> Result<(), Failure> {
    let name = arguments.dag.clone().unwrap_or_default();
    let (from, to) = (arguments.from.unwrap_or_default(), arguments.to.unwrap_or_default());
    check_range(from, to)?;
    let params: Map<String, Value> = arguments
        .params
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let wanted = json!({
        "from": from, "to": to, "missing_only": arguments.missing_only, "max_active": arguments.max_active,
        "dry_run": arguments.dry_run, "params": params,
    });
    let path = ["api", "v1", "dags", &name, "backfills"];
    if arguments.dry_run {
        let plan: PlanThere = client.post(&path, &[], &wanted).await?;
        return show_plan(&plan.dates, arguments.listing.format);
    }
    let mut there: There = client.post(&path, &[], &wanted).await?;
    if !settings.quiet {
        output::error(&format!(
            "backfill {} goes on by itself; `ratchet backfill --stop {} --server URL` stops it",
            there.id, there.id
        ));
    }
    let mut progress = Progress::new(settings.quiet);
    loop {
        progress.show(&there.dates);
        if there.finished_at.is_some() && there.dates.iter().all(|date| date.run.is_none() || has_ended(date)) {
            return close(&there.id, &there.dates, arguments.listing.format);
        }
        tokio::time::sleep(LOOK).await;
        there = client.get(&["api", "v1", "backfills", &there.id], &[]).await?;
    }
}

async fn stop_there(client: &Client, id: &str) -> Result<(), Failure> {
    let there: There = client
        .post(&["api", "v1", "backfills", id, "stop"], &[], &json!({}))
        .await?;
    output::line(&format!("backfill {} is stopped", there.id));
    Ok(())
}
