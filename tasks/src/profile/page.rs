//! The profile as a page.

use super::changes::{Changes, ColumnChange};
use super::statistics::{ColumnStatistics, Statistics, Summary, percent};
use crate::html::{document, escape, shorten};
use crate::words::count;

/// Letters of a value that the page shows.
const SHOWN_LETTERS: usize = 60;

/// Columns beyond this many have their line in the overview but no section: the page stays small.
const SHOWN_COLUMNS: usize = 80;

/// Pairs of correlated columns that are listed.
const SHOWN_PAIRS: usize = 30;

/// One HTML file. `name`, `source` and `simulated` are those of the table.
pub fn page(statistics: &Statistics, changes: Option<&Changes>, name: &str, source: &str, simulated: bool) -> String {
    let mut body = String::new();
    if simulated {
        body.push_str("<p><strong class=\"note\">SIMULATED: these rows were made up, not observed.</strong></p>\n");
    }
    let gaps: usize = statistics.columns.iter().map(|column| column.nulls).sum();
    body.push_str(&format!(
        "<p>{} rows, {} columns, from <code>{}</code>. {:.2} % of the values are missing; {} rows repeat an earlier one.</p>\n",
        count(statistics.rows as u64),
        statistics.columns.len(),
        escape(source),
        percent(gaps, statistics.rows * statistics.columns.len()),
        count(statistics.duplicates as u64),
    ));
    if !statistics.warnings.is_empty() {
        body.push_str("<section>\n<h2>To look at</h2>\n<ul>\n");
        for warning in &statistics.warnings {
            body.push_str(&format!("<li class=\"note\">{}</li>\n", escape(warning)));
        }
        body.push_str("</ul>\n</section>\n");
    }
    body.push_str(&changes.map(changed).unwrap_or_default());
    body.push_str(&overview(statistics));
    for column in statistics.columns.iter().take(SHOWN_COLUMNS) {
        body.push_str(&section(column, statistics.rows));
    }
    body.push_str(&correlations(statistics));
    document(&format!("Profile of {name}"), &body)
}

fn changed(changes: &Changes) -> String {
    let mut text = format!(
        "<section>\n<h2>Compared with {}</h2>\n<p>It had {} rows. PSI, the population stability index, is 0 where nothing moved; \
         what moved most comes first.</p>\n<table>\n<thead><tr><th>Column</th><th class=\"n\">Missing then</th>\
         <th class=\"n\">now</th><th class=\"n\">Mean or distinct then</th><th class=\"n\">now</th><th class=\"n\">PSI</th></tr></thead>\n<tbody>\n",
        escape(&changes.earlier),
        count(changes.rows as u64)
    );
    for column in changes.columns.iter().take(SHOWN_COLUMNS) {
        let ColumnChange {
            name,
            missing,
            typical,
            is_mean,
            psi,
        } = column;
        let say = |value: f64| if *is_mean { short(value) } else { count(value as u64) };
        let what = if *is_mean { "mean" } else { "distinct" };
        text.push_str(&format!(
            "<tr><td><code>{}</code></td><td class=\"n\" data-name=\"missing then\">{:.2} %</td><td class=\"n\" data-name=\"missing now\">{:.2} %</td>\
             <td class=\"n\" data-name=\"{what} then\">{}</td><td class=\"n\" data-name=\"{what} now\">{}</td><td class=\"n\" data-name=\"PSI\">{psi:.3}</td></tr>\n",
            escape(&shorten(name, SHOWN_LETTERS)),
            missing.0,
            missing.1,
            say(typical.0),
            say(typical.1),
        ));
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}

fn overview(statistics: &Statistics) -> String {
    let mut text = String::from(
        "<section>\n<h2>Columns</h2>\n<table>\n<thead><tr><th>Column</th><th>Type</th><th class=\"n\">Missing</th><th class=\"n\">Distinct</th></tr></thead>\n<tbody>\n",
    );
    for column in &statistics.columns {
        text.push_str(&format!(
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\" data-name=\"missing\">{:.2} %</td><td class=\"n\" data-name=\"distinct\">{}</td></tr>\n",
            escape(&shorten(&column.name, SHOWN_LETTERS)),
            column.kind,
            percent(column.nulls, statistics.rows),
            count(column.distinct as u64)
        ));
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}

fn section(column: &ColumnStatistics, rows: usize) -> String {
    let mut text = format!(
        "<section>\n<h2><code>{}</code> <span class=\"soft\">{}</span></h2>\n<p>{} of {} values are missing, {} are different.</p>\n",
        escape(&shorten(&column.name, SHOWN_LETTERS)),
        column.kind,
        count(column.nulls as u64),
        count(rows as u64),
        count(column.distinct as u64)
    );
    match &column.summary {
        Summary::Nothing => text.push_str("<p>There is no value.</p>\n"),
        Summary::Numbers {
            quantiles,
            mean,
            deviation,
            zeros,
            bars,
            time,
        } => {
            let say = |value: f64| if *time { moment(value) } else { short(value) };
            text.push_str("<div class=\"two\">\n<table class=\"pairs\">\n<tbody>\n");
            let names = ["least", "lower quartile", "median", "upper quartile", "greatest"];
            for (name, value) in names.into_iter().zip(quantiles) {
                text.push_str(&line(name, &say(*value)));
            }
            text.push_str(&line("mean", &say(*mean)));
            if !time {
                text.push_str(&line("standard deviation", &short(*deviation)));
                text.push_str(&line("zeros", &count(*zeros as u64)));
            }
            text.push_str("</tbody>\n</table>\n");
            let (least, greatest) = (say(quantiles[0]), say(quantiles[4]));
            text.push_str(&histogram(bars, &least, &greatest));
            text.push_str("</div>\n");
        }
        Summary::Values { frequent, lengths } => {
            text.push_str(&format!(
                "<p>Between {} and {} letters. The most frequent:</p>\n<table class=\"pairs\">\n<tbody>\n",
                lengths.0, lengths.1
            ));
            for (value, number) in frequent {
                let share = format!("{} ({:.1} %)", count(*number as u64), percent(*number, rows));
                text.push_str(&line(&shorten(value, SHOWN_LETTERS), &share));
            }
            text.push_str("</tbody>\n</table>\n");
        }
    }
    text.push_str("</section>\n");
    text
}

fn line(name: &str, value: &str) -> String {
    format!(
        "<tr><td>{}</td><td class=\"n\">{}</td></tr>\n",
        escape(name),
        escape(value)
    )
}

/// Bars in a drawing of 320 by 120, with what they show in words for those who do not see it.
fn histogram(bars: &[usize], least: &str, greatest: &str) -> String {
    let most = bars.iter().copied().max().unwrap_or_default().max(1) as f64;
    let width = 320.0 / bars.len().max(1) as f64;
    let drawn = bars.iter().enumerate().map(|(index, number)| {
        let height = *number as f64 / most * 118.0;
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            index as f64 * width,
            120.0 - height,
            (width - 1.0).max(0.5)
        )
    });
    format!(
        "<figure style=\"margin:0\"><svg viewBox=\"0 0 320 120\" width=\"320\" height=\"120\" role=\"img\" aria-label=\"Histogram from {0} to {1}; the fullest of {2} bars holds {3} rows\">{4}</svg><figcaption class=\"soft\">{0} to {1}</figcaption></figure>\n",
        escape(least),
        escape(greatest),
        bars.len(),
        count(most as u64),
        drawn.collect::<String>()
    )
}

fn correlations(statistics: &Statistics) -> String {
    if statistics.correlations.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<section>\n<h2>Correlations of one half and more</h2>\n<table class=\"pairs\">\n<thead><tr><th>Columns</th><th class=\"n\">Pearson</th></tr></thead>\n<tbody>\n",
    );
    for (left, right, found) in statistics.correlations.iter().take(SHOWN_PAIRS) {
        let names = format!("{} and {}", shorten(left, SHOWN_LETTERS), shorten(right, SHOWN_LETTERS));
        text.push_str(&line(&names, &format!("{found:.3}")));
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}

fn moment(seconds: f64) -> String {
    ratchet_model::schema::format_timestamp(seconds as i64)
}

/// A number with four significant places after a small whole part, and none after a large one.
fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else if value.abs() >= 1e7 || value.abs() < 1e-4 {
        format!("{value:.3e}")
    } else {
        format!("{value:.4}")
    }
}
