//! `ratchet dags show NAME`.

use std::sync::Arc;

use jiff::Timestamp;
use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;
use ratchet_runtime::cron::Timetable;
use ratchet_runtime::{Pause, TriggerEvent, TriggerOutcome, TriggerState};
use serde::{Deserialize, Serialize};

use super::pauses;
use crate::arguments::{Format, ShowDag};
use crate::display::table::{self, Listing};
use crate::display::{describe, output};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::Settings;

/// Events that are shown with a DAG.
const EVENTS: u32 = 20;

/// A DAG and how it stands; what a service tells and what is found here.
#[derive(Deserialize, Serialize)]
struct About {
    name: String,
    description: String,
    file: String,
    cron: Option<String>,
    timezone: Option<String>,
    next: Option<Timestamp>,
    paused: Option<Pause>,
    max_active_runs: u32,
    cooldown_seconds: f64,
    deadline_seconds: Option<f64>,
    tasks: Vec<String>,
    triggers: Vec<TriggerState>,
    trigger_events: Vec<TriggerEvent>,
}

/// Shows one DAG: what starts it, what keeps it from starting, and what its triggers saw.
pub async fn show(arguments: ShowDag, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let about = match &arguments.remote.server {
        Some(server) => {
            let client = Client::open(server)?;
            client.get(&["api", "v1", "dags", &arguments.name], &[]).await?
        }
        None => {
            let dag = pauses::find(&arguments.dags, &arguments.name, &registry)?;
            here(dag, settings, registry).await?
        }
    };
    if arguments.listing.format == Format::Json {
        return output::document(&about);
    }
    output::line(&table::facts(&facts(&about)));
    if !about.triggers.is_empty() {
        output::line(&format!("\n{}", triggers(&about)));
    }
    if !about.trigger_events.is_empty() {
        output::line(&format!("\n{}", events(&about)));
    }
    Ok(())
}

async fn here(dag: Dag, settings: &Settings, registry: Arc<Registry>) -> Result<About, Failure> {
    let engine = settings.open_engine(registry).await?;
    let schedule = dag.schedule.as_ref();
    let next = schedule
        .and_then(|schedule| Timetable::new(schedule).ok())
        .and_then(|timetable| timetable.next_after(Timestamp::now()));
    Ok(About {
        triggers: engine.triggers_of(&dag).await?,
        trigger_events: engine.store().trigger_events(&dag.name, EVENTS).await?,
        paused: engine.store().pauses().await?.remove(&dag.name),
        cron: schedule.map(|schedule| schedule.cron.clone()),
        timezone: schedule.map(|schedule| schedule.timezone.clone()),
        next,
        max_active_runs: dag.max_active_runs,
        cooldown_seconds: dag.cooldown.as_secs_f64(),
        deadline_seconds: dag.deadline.map(|deadline| deadline.as_secs_f64()),
        tasks: dag.tasks.into_iter().map(|task| task.id).collect(),
        name: dag.name,
        description: dag.description,
        file: dag.file_name,
    })
}

fn facts(about: &About) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("dag", about.name.clone()),
        ("file", about.file.clone()),
        ("tasks", about.tasks.join(", ")),
    ];
    if !about.description.is_empty() {
        facts.push(("description", about.description.clone()));
    }
    if let (Some(cron), Some(timezone)) = (&about.cron, &about.timezone) {
        facts.push(("schedule", format!("{cron} {timezone}")));
    }
    match &about.paused {
        Some(pause) => facts.push((
            "paused",
            format!("since {} by {}", describe::instant(pause.at), pause.by),
        )),
        None => facts.extend(about.next.map(|next| ("next", describe::instant(next)))),
    }
    facts.push(("active runs", format!("at most {}", about.max_active_runs)));
    if about.cooldown_seconds > 0.0 {
        facts.push(("cooldown", describe::duration(about.cooldown_seconds)));
    }
    facts.extend(
        about
            .deadline_seconds
            .map(|deadline| ("deadline", describe::duration(deadline))),
    );
    facts
}

fn triggers(about: &About) -> Listing {
    let mut listing = Listing::new(&["trigger", "state"]);
    for trigger in &about.triggers {
        let state = match (trigger.paused_at, trigger.first_seen_at) {
            (Some(at), _) => format!(
                "paused itself {}: {}; `ratchet dags unpause {}`",
                describe::instant(at),
                trigger.paused_reason.as_deref().unwrap_or_default(),
                about.name
            ),
            (None, None) => "has not looked yet; `ratchet serve` lets it".to_owned(),
            (None, Some(at)) if trigger.fruitless == 0 => format!("looks since {}", describe::instant(at)),
            (None, Some(at)) => format!(
                "looks since {}; {} without a better model",
                describe::instant(at),
                trigger.fruitless
            ),
        };
        listing.row([&trigger.trigger, &state]);
    }
    listing
}

fn events(about: &About) -> Listing {
    let mut listing = Listing::new(&["seen", "what", "outcome"]);
    for event in &about.trigger_events {
        let outcome = match (event.outcome, &event.run) {
            (TriggerOutcome::Started, Some(run)) => format!("run {run}"),
            (outcome, _) => outcome.name().to_owned(),
        };
        listing.row([describe::instant(event.at), event.what.clone(), outcome]);
    }
    listing
}
