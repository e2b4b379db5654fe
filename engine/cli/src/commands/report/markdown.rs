//! The report of a run as Markdown, fit for a pull request.

use ratchet_tasks::compare::markdown_section;

use super::document::{Gate, RunReport, comparison};
use crate::display::describe;
use crate::display::json::ModelDocument;

/// The whole report.
pub fn markdown(report: &RunReport) -> String {
    let run = &report.run;
    let mut page = format!(
        "# {} {}\n\nRun {} for {}, {}, took {}.\n",
        run.dag,
        run.status,
        run.run,
        run.logical_date,
        report.started_by,
        describe::duration(report.seconds)
    );
    if !report.against.is_empty() {
        page.push_str("\n**What speaks against it**\n\n");
        for reason in &report.against {
            page.push_str(&format!("- {}\n", one_line(reason)));
        }
    }
    for gate in &report.gates {
        page.push_str(&gate_section(gate));
    }
    for model in &run.models {
        page.push_str(&model_section(model));
    }
    if !report.promotions.is_empty() {
        page.push_str("\n## Promotions\n\n");
        for outcome in &report.promotions {
            let said = if outcome.promoted {
                format!("is {} now", outcome.alias)
            } else {
                "was not promoted".to_owned()
            };
            let (model, version) = (&outcome.model, outcome.version);
            page.push_str(&format!("- {model}@{version} {said}: {}\n", one_line(&outcome.reason)));
        }
    }
    page.push_str("\n## Tasks\n\n| task | state | attempts | duration |\n|---|---|---:|---:|\n");
    for task in &run.tasks {
        page.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            cell(&task.id),
            task.state,
            task.attempts,
            task.seconds.map(describe::duration).unwrap_or_default()
        ));
    }
    page.trim_end().to_owned()
}

fn gate_section(gate: &Gate) -> String {
    let report = &gate.report;
    let held = report.findings.iter().filter(|finding| finding.passed).count();
    let mut text = format!(
        "\n## Gate `{}`\n\n{}: {held} of {} expectations of {} ({} rows) hold.\n",
        gate.task,
        if report.passed { "Passed" } else { "**Refused**" },
        report.findings.len(),
        report.table,
        describe::count(report.rows)
    );
    for finding in report.findings.iter().filter(|finding| !finding.passed) {
        text.push_str(&format!("- {}\n", one_line(&finding.sentence())));
    }
    text
}

fn model_section(model: &ModelDocument) -> String {
    let name = model
        .version
        .map_or_else(|| model.name.clone(), |version| format!("{}@{version}", model.name));
    let mut text = format!("\n## {}\n\n", describe::marked(name, model.simulated));
    match (comparison(model), &model.verdict) {
        (Some(comparison), _) => text.push_str(&format!(
            "Against {}. {}",
            comparison.opponent,
            markdown_section(&comparison)
        )),
        (None, verdict) => {
            if let Some(verdict) = verdict {
                text.push_str(&format!("Verdict: **{}**.\n\n", verdict.replace('_', " ")));
            }
            text.push_str("| metric | holdout |\n|---|---:|\n");
            for (metric, value) in &model.metrics {
                text.push_str(&format!("| {metric} | {} |\n", describe::number(*value)));
            }
        }
    }
    text
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}
