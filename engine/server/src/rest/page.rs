//! The page at `/`: DAGs, runs, what is in production. Made on the server; it needs no script.
//!
//! A browser sends no bearer token, so the page has a rule of its own: it is whole for whoever sits at this machine. That
//! is the case if the service listens on loopback, the connection comes from there, the request asks for a loopback name
//! (a page of somebody else's that has its name point to 127.0.0.1 sends its own), and no proxy says that it asks for
//! somebody else. Everybody else sees that the service runs, and no name of anything.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{self, ConnectInfo};
use axum::http::{HeaderMap, header};
use axum::response::Html;
use jiff::Timestamp;
use ratchet_artifacts::{PromotionEntry, PromotionLog, models};
use ratchet_runtime::{Pause, RunRecord};

use super::dags::next_tick;
use crate::directory::DagFile;
use crate::problem::Problem;
use crate::server::State;

const RUNS: u32 = 20;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
th{font-weight:600}code{font-size:.9em}.failed{color:#b00020;font-weight:600}.succeeded{color:#1b6e2d}\
.simulated{background:#fff1c2;color:#6b4e00;padding:0 .3rem;border-radius:.2rem;font-size:.85em}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}th,td{border-color:#444}\
.failed{color:#ff8a80}.succeeded{color:#81c995}a{color:#8ab4f8}}";

/// The page for people. From another machine it says no more than that the service runs.
#[utoipa::path(
    get, path = "/", tag = "service",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 503, description = "A store is away or damaged", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn page(
    extract::State(state): extract::State<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Html<String>, Problem> {
    if !(state.listens_on_loopback && peer.ip().is_loopback() && asked_at_this_machine(&headers)) {
        return Ok(Html(public()));
    }
    let bucket = state.engine.bucket();
    let runs = state.engine.store().list_runs(None, RUNS).await?;
    let entries = PromotionLog::new(bucket.clone()).entries().await?;
    let mut production = Vec::new();
    if let Some(head) = entries.last() {
        for (model, aliases) in &head.table {
            for (alias, holder) in aliases {
                let manifest = models::get(bucket, model, holder.version).await?;
                let since = since(&entries, model, alias);
                let metrics = manifest
                    .as_ref()
                    .map(|manifest| metrics_text(&manifest.metrics))
                    .unwrap_or_default();
                let simulated = manifest.is_some_and(|manifest| manifest.lineage.simulated);
                production.push(InProduction {
                    name: format!("{model}@{}", holder.version),
                    alias: alias.clone(),
                    metrics,
                    simulated,
                    since: since.map(|entry| instant(entry.at)).unwrap_or_default(),
                    why: since
                        .map(|entry| format!("{}: {}", entry.actor, entry.reason))
                        .unwrap_or_default(),
                });
            }
        }
    }
    let pauses = state.engine.store().pauses().await?;
    Ok(Html(render(&state.directory.files(), &pauses, &runs, &production)))
}

/// Whether the request names this machine and nobody says that it was passed on.
fn asked_at_this_machine(headers: &HeaderMap) -> bool {
    let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    if passed_on.iter().any(|name| headers.contains_key(*name)) {
        return false;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(is_loopback_name)
}

/// `localhost`, `127.0.0.1` or `[::1]`, each with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn public() -> String {
    let mut html = beginning();
    html.push_str(
        "<p>The service runs. What it does is told to users: <code>ratchet login --server URL</code>, or a token from \
         <code>POST /api/v1/token</code>.</p></body></html>",
    );
    html
}

fn beginning() -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Ratchet</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><h1>Ratchet</h1>"
    )
}

struct InProduction {
    name: String,
    alias: String,
    metrics: String,
    simulated: bool,
    since: String,
    why: String,
}

/// The entry that made the present holder of an alias the holder.
fn since<'a>(entries: &'a [PromotionEntry], model: &str, alias: &str) -> Option<&'a PromotionEntry> {
    entries
        .iter()
        .rev()
        .find(|entry| entry.model == model && entry.alias == alias)
}

fn metrics_text(metrics: &BTreeMap<String, f64>) -> String {
    metrics
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn instant(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Text made safe for the page: nothing in it is read as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A table whose cells are markup already.
fn table(html: &mut String, title: &str, header: &[&str], rows: &[Vec<String>], nothing: &str) {
    // Writing to a string cannot fail.
    let _ = write!(html, "<h2>{title}</h2>");
    if rows.is_empty() {
        let _ = write!(html, "<p>{nothing}</p>");
        return;
    }
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        cells.map(|cell| format!("<{tag}>{cell}</{tag}>")).collect()
    };
    let _ = write!(
        html,
        "<table><thead><tr>{}</tr></thead><tbody>",
        cells("th", &mut header.iter().copied())
    );
    for row in rows {
        let _ = write!(html, "<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str)));
    }
    html.push_str("</tbody></table>");
}

fn render(
    files: &[DagFile],
    pauses: &BTreeMap<String, Pause>,
    runs: &[RunRecord],
    production: &[InProduction],
) -> String {
    let mut html = beginning();
    let rows: Vec<Vec<String>> = production.iter().map(production_row).collect();
    let header = ["model", "alias", "holdout", "since", "who and why"];
    table(&mut html, "In production", &header, &rows, "Nothing was promoted yet.");
    let rows: Vec<Vec<String>> = files.iter().map(|file| dag_row(file, pauses)).collect();
    table(
        &mut html,
        "DAGs",
        &["dag", "schedule", "next", "file"],
        &rows,
        "The directory holds no DAG file.",
    );
    let rows: Vec<Vec<String>> = runs.iter().map(run_row).collect();
    let header = ["run", "dag", "status", "logical date", "started"];
    table(&mut html, "Runs", &header, &rows, "Nothing ran yet.");
    html.push_str(
        "<p>The same and more as JSON, with a token: <code>GET /api/v1/openapi.json</code>.</p></body></html>",
    );
    html
}

fn production_row(model: &InProduction) -> Vec<String> {
    let mark = if model.simulated {
        " <span class=\"simulated\">SIMULATED</span>"
    } else {
        ""
    };
    vec![
        format!("<code>{}</code>{mark}", escaped(&model.name)),
        escaped(&model.alias),
        escaped(&model.metrics),
        model.since.clone(),
        escaped(&model.why),
    ]
}

fn dag_row(file: &DagFile, pauses: &BTreeMap<String, Pause>) -> Vec<String> {
    let dag = file.dag.as_deref();
    let name = dag.map(|dag| escaped(&dag.name)).unwrap_or_else(|| "-".to_owned());
    let broken = if file.problems.is_null() {
        ""
    } else {
        " <span class=\"failed\">the file has problems</span>"
    };
    let schedule = dag.and_then(|dag| dag.schedule.as_ref());
    vec![
        format!("<code>{name}</code>{broken}"),
        schedule
            .map(|schedule| escaped(&format!("{} {}", schedule.cron, schedule.timezone)))
            .unwrap_or_default(),
        match dag.and_then(|dag| pauses.get(&dag.name)) {
            Some(pause) => format!("paused by {} since {}", escaped(&pause.by), instant(pause.at)),
            None => dag.and_then(next_tick).map(instant).unwrap_or_default(),
        },
        escaped(&file.path.to_string_lossy()),
    ]
}

fn run_row(run: &RunRecord) -> Vec<String> {
    let id = escaped(&run.id);
    vec![
        format!("<code>{id}</code>"),
        escaped(&run.dag),
        format!(
            "<span class=\"{status}\">{status}</span>{}",
            if run.late_at.is_some() {
                " <span class=\"failed\">late</span>"
            } else {
                ""
            },
            status = run.status
        ),
        instant(run.logical_date),
        instant(run.created_at),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback_names() {
        for name in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "127.8.0.1",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in [
            "",
            "ratchet.example.org",
            "localhost.example.org",
            "192.0.2.1:8080",
            "127.0.0.1.example.org",
            "[::2]",
        ] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn nothing_that_people_wrote_becomes_markup() {
        let model = InProduction {
            name: "a@1".to_owned(),
            alias: "champion".to_owned(),
            metrics: String::new(),
            simulated: true,
            since: String::new(),
            why: "eve: <script>alert('1')</script> & more".to_owned(),
        };
        let html = render(&[], &BTreeMap::new(), &[], &[model]);
        assert!(!html.contains("<script"), "{html}");
        assert!(
            html.contains("eve: &lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; more"),
            "{html}"
        );
        assert!(html.contains("SIMULATED"), "{html}");
    }
}
