//! The gate's report as a page.

use serde_json::Value;

use super::expectation::Severity;
use super::finding::{Finding, GateReport};
use crate::html::{document, escape, shorten};
use crate::words::count;

/// Letters of a value that the page shows.
const SHOWN_LETTERS: usize = 80;

/// One HTML file with everything that the report says.
pub fn page(report: &GateReport) -> String {
    let verdict = if report.passed {
        "<p><strong class=\"good\">✓ The table passes.</strong></p>\n"
    } else {
        "<p><strong class=\"bad\">✗ The table does not pass.</strong></p>\n"
    };
    let mut body = verdict.to_owned();
    if report.simulated {
        body.push_str("<p><strong class=\"note\">SIMULATED: these rows were made up, not observed.</strong></p>\n");
    }
    body.push_str(&format!(
        "<p>{} rows of <code>{}</code>, from <code>{}</code></p>\n",
        count(report.rows),
        escape(&report.table),
        escape(&report.source)
    ));
    body.push_str("<table>\n<thead><tr><th>Result</th><th>Expectation</th><th>Seen</th><th class=\"n\">Rows</th></tr></thead>\n<tbody>\n");
    for finding in &report.findings {
        let (class, word) = result(finding);
        body.push_str(&format!(
            "<tr><td class=\"{class}\">{word}</td><td><code>{}</code></td><td>{}</td><td class=\"n\" data-name=\"rows\">{}</td></tr>\n",
            escape(&finding.expectation),
            escape(&finding.detail),
            count(finding.offending)
        ));
    }
    body.push_str("</tbody>\n</table>\n");
    for finding in report.findings.iter().filter(|finding| !finding.first_rows.is_empty()) {
        body.push_str(&rows(finding));
    }
    document("Quality gate", &body)
}

fn result(finding: &Finding) -> (&'static str, &'static str) {
    match (finding.passed, finding.severity) {
        (true, _) => ("good", "✓ holds"),
        (false, Severity::Warn) => ("note", "! warns"),
        (false, Severity::Fail) => ("bad", "✗ fails"),
    }
}

fn rows(finding: &Finding) -> String {
    let mut text = format!(
        "<section>\n<h2><code>{}</code></h2>\n<p>The first {} of {} rows that do not meet it:</p>\n<ul>\n",
        escape(&finding.expectation),
        finding.first_rows.len(),
        count(finding.offending)
    );
    for row in &finding.first_rows {
        let key = row.key.iter().map(|(name, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            format!(
                ", {} = <code>{}</code>",
                escape(name),
                escape(&shorten(&value, SHOWN_LETTERS))
            )
        });
        text.push_str(&format!("<li>row {}{}</li>\n", row.row, key.collect::<String>()));
    }
    text.push_str("</ul>\n</section>\n");
    text
}
