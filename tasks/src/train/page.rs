//! The training report as a page.

use std::collections::BTreeMap;

use serde_json::Value;

use super::inspect::{Dependence, Inspection};
use crate::html::{document, escape, shorten};
use crate::words::count;

/// Letters of a value that the page shows.
const SHOWN_LETTERS: usize = 40;

/// Settings of a search that the page lists, the best first.
const SHOWN_TRIALS: usize = 10;

/// One HTML file. `report` is what `training.json` holds.
pub fn page(model: &str, description: &str, simulated: bool, report: &Value, inspection: &Inspection) -> String {
    let mut body = String::new();
    if simulated {
        body.push_str("<p><strong class=\"note\">SIMULATED: the rows were made up, not observed.</strong></p>\n");
    }
    body.push_str(&format!(
        "<p>{} Chosen: <strong>{}</strong>, by the {} on the validation rows. Everything below the candidates was measured on the holdout, which decided nothing here.</p>\n",
        escape(description),
        escape(report["chosen"].as_str().unwrap_or_default()),
        named(inspection.metric),
    ));
    body.push_str(&candidates(report));
    body.push_str(&search(report));
    body.push_str(&section("On the holdout", &metrics(&report["holdout"])));
    body.push_str(&importance(inspection));
    for dependence in &inspection.partial_dependence {
        body.push_str(&drawing(dependence));
    }
    body.push_str(&slices(inspection));
    body.push_str(&confusion(inspection));
    document(&format!("Training of {model}"), &body)
}

fn section(title: &str, content: &str) -> String {
    match content {
        "" => String::new(),
        content => format!("<section>\n<h2>{}</h2>\n{content}</section>\n", escape(title)),
    }
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let class = |column: usize| if column == 0 { "" } else { " class=\"n\"" };
    let mut text = String::from("<table>\n<thead><tr>");
    for (column, name) in header.iter().enumerate() {
        text.push_str(&format!("<th scope=\"col\"{}>{}</th>", class(column), escape(name)));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let name = escape(header.get(column).copied().unwrap_or_default());
            text.push_str(&format!(
                "<td{} data-name=\"{name}\">{}</td>",
                class(column),
                escape(cell)
            ));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n");
    text
}

fn named(metric: &str) -> String {
    escape(&metric.replace('_', " "))
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}

fn metrics(found: &Value) -> String {
    let found = found.as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = found
        .filter_map(|(name, value)| Some(vec![name.replace('_', " "), number(value.as_f64()?)]))
        .collect();
    table(&["metric", "value"], &rows)
}

fn candidates(report: &Value) -> String {
    let rows = report["candidates"].as_array().into_iter().flatten().map(|candidate| {
        let found: BTreeMap<String, f64> = serde_json::from_value(candidate["validation"].clone()).unwrap_or_default();
        let found: Vec<String> = found
            .iter()
            .map(|(name, value)| format!("{} {}", name.replace('_', " "), number(*value)))
            .collect();
        vec![settings(&candidate["settings"]), found.join(", ")]
    });
    section(
        "Candidates",
        &table(&["candidate", "on the validation rows"], &rows.collect::<Vec<_>>()),
    )
}

/// `boosting: leaves 31, trees 500`.
fn settings(value: &Value) -> String {
    let Some((name, settings)) = value.as_object().and_then(|map| map.iter().next()) else {
        return String::new();
    };
    format!("{name}: {}", pairs(settings))
}

fn pairs(settings: &Value) -> String {
    let pairs = settings.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| {
            let value = value
                .as_f64()
                .map_or_else(|| value.to_string(), |value| ((value * 1e4).round() / 1e4).to_string());
            format!("{} {value}", name.replace('_', " "))
        })
        .collect();
    pairs.join(", ")
}

fn search(report: &Value) -> String {
    let Some(trials) = report["search"]["trials"].as_array() else {
        return String::new();
    };
    let rows: Vec<Vec<String>> = trials
        .iter()
        .take(SHOWN_TRIALS)
        .map(|trial| {
            let score = trial["score"].as_f64().map(number).unwrap_or_default();
            vec![pairs(&trial["settings"]), trial["rounds"].to_string(), score]
        })
        .collect();
    let title = format!("The best of {} settings that were searched", trials.len());
    section(&title, &table(&["settings", "rounds", "mean over the folds"], &rows))
}

fn importance(inspection: &Inspection) -> String {
    let greatest = inspection.importance.first().map_or(0.0, |first| first.rise);
    if greatest <= 0.0 {
        return String::new();
    }
    let mut text = format!(
        "<p class=\"soft\">How much the {} rises when the values of a field are shuffled among the rows.</p>\n<table>\n<tbody>\n",
        named(inspection.metric)
    );
    for found in &inspection.importance {
        let width = (found.rise / greatest).max(0.0) * 200.0;
        text.push_str(&format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td><svg viewBox=\"0 0 200 12\" width=\"200\" height=\"12\" aria-hidden=\"true\"><rect width=\"{width:.1}\" height=\"12\"/></svg></td></tr>\n",
            escape(&shorten(&found.field, SHOWN_LETTERS)),
            number(found.rise)
        ));
    }
    text.push_str("</tbody>\n</table>\n");
    section("What the model goes by", &text)
}

/// Mean answers over the values of a field as a line.
fn line(dependence: &Dependence, least: f64, most: f64) -> String {
    let step = 320.0 / (dependence.points.len() - 1).max(1) as f64;
    let height = |answer: f64| 110.0 - 100.0 * (answer - least) / (most - least).max(f64::MIN_POSITIVE);
    let points = dependence.points.iter().enumerate();
    let points: Vec<String> = points
        .map(|(point, (_, answer))| format!("{:.1},{:.1}", point as f64 * step, height(*answer)))
        .collect();
    format!(
        "<polyline points=\"{}\" style=\"fill:none;stroke:var(--bar);stroke-width:2\"/>",
        points.join(" ")
    )
}

/// Mean answers of categories as bars from 0.
fn bars(dependence: &Dependence, most: f64) -> String {
    let width = 320.0 / dependence.points.len().max(1) as f64;
    let points = dependence.points.iter().enumerate();
    points
        .map(|(point, (_, answer))| {
            let height = (answer / most * 118.0).max(0.0);
            format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                point as f64 * width,
                120.0 - height,
                (width - 2.0).max(0.5)
            )
        })
        .collect()
}

/// A drawing of the values of a field, with what it shows in words and as a table for those who do not see it.
fn drawing(dependence: &Dependence) -> String {
    let answers = || dependence.points.iter().map(|(_, answer)| *answer);
    let (Some((first, _)), Some((last, _))) = (dependence.points.first(), dependence.points.last()) else {
        return String::new();
    };
    let (least, most) = (
        answers().fold(f64::INFINITY, f64::min),
        answers().fold(f64::NEG_INFINITY, f64::max),
    );
    let drawn = if dependence.is_category {
        bars(dependence, most)
    } else {
        line(dependence, least, most)
    };
    let words = format!(
        "Mean answer from {} to {}, {} to {}",
        number(least),
        number(most),
        first,
        last
    );
    let rows: Vec<Vec<String>> = dependence
        .points
        .iter()
        .map(|(value, answer)| vec![shorten(value, SHOWN_LETTERS), number(*answer)])
        .collect();
    let content = format!(
        "<div class=\"two\"><figure style=\"margin:0\"><svg viewBox=\"0 0 320 120\" width=\"320\" height=\"120\" role=\"img\" aria-label=\"{words}\">{drawn}</svg><figcaption class=\"soft\">{words}</figcaption></figure>\n{}</div>\n",
        table(&["value", "mean answer"], &rows),
        words = escape(&words),
    );
    section(&format!("If every row had this {}", dependence.field), &content)
}

fn slices(inspection: &Inspection) -> String {
    let rows: Vec<Vec<String>> = inspection
        .slices
        .iter()
        .map(|slice| {
            let metric = slice
                .metrics
                .get(inspection.metric)
                .copied()
                .map(number)
                .unwrap_or_default();
            vec![
                shorten(&slice.value, SHOWN_LETTERS),
                count(slice.rows as u64),
                metric,
                number(slice.bias),
            ]
        })
        .collect();
    let metric = inspection.metric.replace('_', " ");
    section(
        "Slices",
        &table(&["slice", "rows", &metric, "answer minus truth"], &rows),
    )
}

fn confusion(inspection: &Inspection) -> String {
    let Some((classes, counts)) = &inspection.confusion else {
        return String::new();
    };
    let names: Vec<String> = classes.iter().map(|class| format!("said {class}")).collect();
    let mut header = vec!["actual"];
    header.extend(names.iter().map(String::as_str));
    let rows: Vec<Vec<String>> = classes
        .iter()
        .zip(counts)
        .map(|(class, counts)| {
            let mut row = vec![class.to_string()];
            row.extend(counts.iter().map(|rows| count(*rows)));
            row
        })
        .collect();
    section("What was said, and what was", &table(&header, &rows))
}
