//! The comparison as a page with plots.

use std::collections::BTreeMap;

use ratchet_model::schema::format_timestamp;

use super::bootstrap::Verdict;
use super::comparison::Comparison;
use super::markdown::{method, short};
use super::plot;
use super::slices::SliceEffect;
use crate::html::{document, escape};
use crate::words::count;

/// Slices that the table lists.
const LISTED_SLICES: usize = 40;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The mean gain of a day.
pub struct DayGain {
    /// `2017-04-01`.
    pub day: String,
    /// In the unit of the loss.
    pub gain: f64,
}

impl DayGain {
    /// Of each day, in order. `times` are civil seconds.
    pub(super) fn of(gains: &[f64], times: &[i64]) -> Vec<Self> {
        let mut days: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for (gain, time) in gains.iter().zip(times) {
            let day = days.entry(time.div_euclid(DAY)).or_default();
            *day = (day.0 + gain, day.1 + 1.0);
        }
        let days = days.into_iter().map(|(day, (sum, rows))| Self {
            day: format_timestamp(day * DAY).chars().take(10).collect(),
            gain: sum / rows,
        });
        days.collect()
    }
}

impl Comparison {
    /// Slices, those that gain least first.
    pub(super) fn worst_slices(&self) -> Vec<&SliceEffect> {
        let mut slices: Vec<&SliceEffect> = self.slices.iter().collect();
        slices.sort_by(|a, b| a.gain.total_cmp(&b.gain));
        slices
    }
}

/// One HTML file.
pub fn page(comparison: &Comparison, days: &[DayGain]) -> String {
    let mut body = section(comparison);
    if days.len() > 1 {
        body.push_str(&format!(
            "<section>\n<h2>Day by day</h2>\n<p>Mean gain in {} of each day: above the line the challenger was better.</p>\n{}</section>\n",
            escape(&comparison.loss),
            plot::days(days, &comparison.loss)
        ));
    }
    let slices = comparison.worst_slices();
    if !slices.is_empty() {
        body.push_str(&slice_section(&slices));
    }
    body.push_str("<section>\n<h2>What this rests on</h2>\n<ul>\n");
    for fact in facts(comparison) {
        body.push_str(&format!("<li>{}</li>\n", escape(&fact)));
    }
    body.push_str("</ul>\n</section>\n");
    let title = format!("{} against {}", comparison.challenger_name(), comparison.opponent);
    document(&title, &body)
}

/// Verdict, gain, metrics and guard rails, for a page that holds several comparisons: markup without headings.
pub fn section(comparison: &Comparison) -> String {
    let (class, sign) = match comparison.verdict {
        Verdict::Better => ("good", "✓"),
        Verdict::NotBetter => ("bad", "✗"),
        Verdict::Inconclusive => ("note", "?"),
    };
    let mut text = format!(
        "<p><strong class=\"{class}\">{sign} {}</strong>: {}</p>\n",
        comparison.verdict.name().replace('_', " "),
        escape(&comparison.reason)
    );
    if comparison.simulated {
        text.push_str("<p><strong class=\"note\">SIMULATED: the challenger learnt from rows that were made up, not observed.</strong></p>\n");
    }
    if let Some(effect) = &comparison.effect
        && let (Some(gain), Some(lower), Some(upper)) = (
            comparison.percent(effect.gain),
            comparison.percent(effect.lower),
            comparison.percent(effect.upper),
        )
    {
        text.push_str(&plot::interval(
            gain,
            lower,
            upper,
            comparison.margin * 100.0,
            comparison.worth * 100.0,
        ));
    }
    text.push_str("<table>\n<thead><tr><th>Metric</th><th class=\"n\">Challenger</th><th class=\"n\">Opponent</th></tr></thead>\n<tbody>\n");
    for (name, value) in &comparison.metrics.challenger {
        let other = comparison.metrics.opponent.get(name).copied().map(short);
        text.push_str(&format!(
            "<tr><td>{}</td><td class=\"n\" data-name=\"challenger\">{}</td><td class=\"n\" data-name=\"opponent\">{}</td></tr>\n",
            escape(name),
            short(*value),
            other.unwrap_or_else(|| "-".to_owned())
        ));
    }
    text.push_str("</tbody>\n</table>\n");
    if !comparison.guard_rails.is_empty() {
        text.push_str("<table>\n<thead><tr><th>Guard rail</th><th>Result</th><th>Seen</th></tr></thead>\n<tbody>\n");
        for rail in &comparison.guard_rails {
            let (class, word) = match (rail.holds, rail.warn_only) {
                (true, _) => ("good", "✓ holds"),
                (false, true) => ("note", "! warns"),
                (false, false) => ("bad", "✗ broken"),
            };
            text.push_str(&format!(
                "<tr><td>{}</td><td class=\"{class}\">{word}</td><td>{}</td></tr>\n",
                escape(&rail.rail),
                escape(&rail.detail)
            ));
        }
        text.push_str("</tbody>\n</table>\n");
    }
    text
}

fn slice_section(worst_first: &[&SliceEffect]) -> String {
    let mut text = format!(
        "<section>\n<h2>Slices</h2>\n<p>Gain as a share of the opponent's loss; the last column is the probability of so great a loss by chance, corrected for {} slices.</p>\n{}",
        worst_first.len(),
        plot::slices(worst_first)
    );
    text.push_str("<table>\n<thead><tr><th>Slice</th><th class=\"n\">Rows</th><th class=\"n\">Gain</th><th class=\"n\">95 % interval</th><th class=\"n\">p</th></tr></thead>\n<tbody>\n");
    for slice in worst_first.iter().take(LISTED_SLICES) {
        text.push_str(&format!(
            "<tr><td>{} = {}</td><td class=\"n\" data-name=\"rows\">{}</td><td class=\"n\" data-name=\"gain\">{:.1} %</td><td class=\"n\" data-name=\"interval\">{:.1} to {:.1} %</td><td class=\"n\" data-name=\"p\">{:.3}</td></tr>\n",
            escape(&slice.field),
            escape(&slice.value),
            count(slice.rows as u64),
            slice.gain * 100.0,
            slice.lower * 100.0,
            slice.upper * 100.0,
            slice.p_worse
        ));
    }
    text.push_str("</tbody>\n</table>\n");
    if worst_first.len() > LISTED_SLICES {
        let more = worst_first.len() - LISTED_SLICES;
        text.push_str(&format!(
            "<p class=\"soft\">{more} slices that gain more are not listed.</p>\n"
        ));
    }
    text.push_str("</section>\n");
    text
}

/// What a comparison rests on, a sentence each.
pub(super) fn facts(comparison: &Comparison) -> Vec<String> {
    let mut facts = Vec::new();
    let blocks = &comparison.blocks;
    if let Some(effect) = &comparison.effect {
        facts.push(format!(
            "{} rows of {} {blocks} judge; {} rows in the champion's training window were left out.",
            count(effect.rows as u64),
            count(effect.blocks as u64),
            count(comparison.rows_left_out as u64),
        ));
        facts.push(format!(
            "Mean gain in {}: {} (95 % interval {} to {}); as many {blocks} would show a gain of {} in four of five tries.",
            comparison.loss,
            short(effect.gain),
            short(effect.lower),
            short(effect.upper),
            short(effect.detectable),
        ));
    }
    facts.push(method(comparison));
    facts.push(format!(
        "Better means that the whole interval lies above a margin of {} %; not better that it lies below {} %, the smallest gain worth having.",
        comparison.margin * 100.0,
        comparison.worth.max(comparison.margin) * 100.0,
    ));
    if let Some(mcnemar) = &comparison.decisions {
        facts.push(format!(
            "The challenger alone is right on {} rows, the opponent alone on {} (McNemar, {}: p = {:.3}, rows taken as independent).",
            count(mcnemar.only_challenger),
            count(mcnemar.only_opponent),
            if mcnemar.exact { "binomial" } else { "chi-square with the correction for continuity" },
            mcnemar.p
        ));
    }
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let uses = comparison.holdout.uses;
    facts.push(format!(
        "The holdout runs from {} to {}. Some of its rows measured {} earlier versions and decided {} promotions: the more often, the likelier a winner by chance.",
        plain(&comparison.holdout.from),
        plain(&comparison.holdout.until),
        count(uses.measured),
        count(uses.decided),
    ));
    facts
}
