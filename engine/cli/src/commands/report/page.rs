//! The report of a run as one page.

use ratchet_tasks::compare::section;
use ratchet_tasks::html::{document, escape};

use super::document::{Gate, RunReport, comparison};
use crate::display::describe;
use crate::display::json::{ModelDocument, TaskDocument};

/// One HTML file.
pub fn page(report: &RunReport) -> String {
    let run = &report.run;
    let (class, sign) = match (report.against.is_empty(), run.status.as_str()) {
        (true, _) => ("good", "✓"),
        (false, "running") => ("note", "…"),
        (false, _) => ("bad", "✗"),
    };
    let mut body = format!(
        "<p><strong class=\"{class}\">{sign} {}</strong>: run <code>{}</code> for {}, {}, took {}.</p>\n",
        escape(&run.status),
        escape(&run.run),
        escape(&run.logical_date),
        escape(&report.started_by),
        describe::duration(report.seconds)
    );
    if !report.against.is_empty() {
        let list = report
            .against
            .iter()
            .map(|reason| format!("<li class=\"bad\">{}</li>\n", escape(reason)));
        body.push_str(&part(
            "What speaks against it",
            &format!("<ul>\n{}</ul>\n", list.collect::<String>()),
        ));
    }
    for gate in &report.gates {
        body.push_str(&gate_part(gate));
    }
    for model in &run.models {
        body.push_str(&model_part(model));
    }
    if !report.promotions.is_empty() {
        let list = report.promotions.iter().map(|outcome| {
            let (class, said) = if outcome.promoted {
                ("good", format!("is {} now", outcome.alias))
            } else {
                ("note", "was not promoted".to_owned())
            };
            format!(
                "<li><span class=\"{class}\">{}@{} {}</span>: {}</li>\n",
                escape(&outcome.model),
                outcome.version,
                escape(&said),
                escape(&outcome.reason)
            )
        });
        body.push_str(&part(
            "Promotions",
            &format!("<ul>\n{}</ul>\n", list.collect::<String>()),
        ));
    }
    body.push_str(&part("Tasks", &tasks(&run.tasks)));
    document(&format!("Run of {}", run.dag), &body)
}

/// `heading` is text, `content` is markup.
fn part(heading: &str, content: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{content}</section>\n", escape(heading))
}

fn gate_part(gate: &Gate) -> String {
    let report = &gate.report;
    let held = report.findings.iter().filter(|finding| finding.passed).count();
    let (class, said) = if report.passed {
        ("good", "✓ passed")
    } else {
        ("bad", "✗ refused")
    };
    let mut content = format!(
        "<p><strong class=\"{class}\">{said}</strong>: {held} of {} expectations of <code>{}</code> ({} rows) hold.</p>\n",
        report.findings.len(),
        escape(&report.table),
        describe::count(report.rows)
    );
    let missed: String = report
        .findings
        .iter()
        .filter(|finding| !finding.passed)
        .map(|finding| format!("<li>{}</li>\n", escape(&finding.sentence())))
        .collect();
    if !missed.is_empty() {
        content.push_str(&format!("<ul>\n{missed}</ul>\n"));
    }
    part(&format!("Gate: {}", gate.task), &content)
}

fn model_part(model: &ModelDocument) -> String {
    let name = model
        .version
        .map_or_else(|| model.name.clone(), |version| format!("{}@{version}", model.name));
    let Some(comparison) = comparison(model) else {
        let rows: String = model
            .metrics
            .iter()
            .map(|(metric, value)| {
                format!(
                    "<tr><td>{}</td><td class=\"n\">{}</td></tr>\n",
                    escape(metric),
                    describe::number(*value)
                )
            })
            .collect();
        let head = "<thead><tr><th>Metric</th><th class=\"n\">Holdout</th></tr></thead>";
        let verdict = model
            .verdict
            .as_ref()
            .map(|verdict| format!("<p>Verdict: {}</p>\n", escape(verdict)));
        let content = format!(
            "{}<table>\n{head}\n<tbody>\n{rows}</tbody>\n</table>\n",
            verdict.unwrap_or_default()
        );
        return part(&describe::marked(name, model.simulated), &content);
    };
    part(
        &format!("{name} against {}", comparison.opponent),
        &section(&comparison),
    )
}

fn tasks(tasks: &[TaskDocument]) -> String {
    let rows = tasks.iter().map(|task| {
        let class = match task.state.as_str() {
            "succeeded" => "good",
            "failed" => "bad",
            _ => "note",
        };
        format!(
            "<tr><td>{}</td><td class=\"{class}\">{}</td><td class=\"n\" data-name=\"attempts\">{}</td><td class=\"n\" data-name=\"duration\">{}</td></tr>\n",
            escape(&task.id),
            escape(&task.state),
            task.attempts,
            task.seconds.map(describe::duration).unwrap_or_default()
        )
    });
    format!(
        "<table>\n<thead><tr><th>Task</th><th>State</th><th class=\"n\">Attempts</th><th class=\"n\">Duration</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>\n",
        rows.collect::<String>()
    )
}
