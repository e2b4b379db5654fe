//! The comparison as Markdown, fit for a pull request.

use super::comparison::{Comparison, Test};
use super::page::facts;

/// Slices that are listed.
const LISTED_SLICES: usize = 10;

/// A page that a person reads.
pub fn markdown(comparison: &Comparison) -> String {
    format!(
        "# {} against {}\n\n{}",
        comparison.challenger_name(),
        comparison.opponent,
        markdown_section(comparison)
    )
}

/// The same without its heading, for a page that holds several.
pub fn markdown_section(comparison: &Comparison) -> String {
    let mut page = format!(
        "Verdict: **{}**. {}\n\n",
        comparison.verdict.name().replace('_', " "),
        comparison.reason,
    );
    if comparison.simulated {
        page.push_str("**SIMULATED**: the challenger learnt from rows that were made up, not observed.\n\n");
    }
    page.push_str("| | challenger | opponent |\n|---|---:|---:|\n");
    for (name, value) in &comparison.metrics.challenger {
        let other = comparison.metrics.opponent.get(name).copied().map(short);
        page.push_str(&format!(
            "| {name} | {} | {} |\n",
            short(*value),
            other.unwrap_or_else(|| "-".to_owned())
        ));
    }
    if !comparison.guard_rails.is_empty() {
        page.push_str("\n| guard rail | | seen |\n|---|---|---|\n");
        for rail in &comparison.guard_rails {
            let result = match (rail.holds, rail.warn_only) {
                (true, _) => "holds",
                (false, true) => "warns",
                (false, false) => "**broken**",
            };
            page.push_str(&format!("| {} | {result} | {} |\n", rail.rail, cell(&rail.detail)));
        }
    }
    let slices = comparison.worst_slices();
    if !slices.is_empty() {
        page.push_str("\n| slices that gain least | rows | gain | 95 % interval |\n|---|---:|---:|---:|\n");
        for slice in slices.iter().take(LISTED_SLICES) {
            page.push_str(&format!(
                "| {} = {} | {} | {:.1} % | {:.1} to {:.1} % |\n",
                cell(&slice.field),
                cell(&slice.value),
                slice.rows,
                slice.gain * 100.0,
                slice.lower * 100.0,
                slice.upper * 100.0
            ));
        }
    }
    page.push('\n');
    for fact in facts(comparison) {
        page.push_str(&format!("- {fact}\n"));
    }
    page
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// How the interval was found, in a sentence.
pub(super) fn method(comparison: &Comparison) -> String {
    let blocks = &comparison.blocks;
    match comparison.test {
        Test::BlockBootstrap => format!("Whole {blocks} are resampled, because rows within one are not independent."),
        Test::DieboldMariano { horizon, cosines } => format!(
            "Diebold and Mariano's test, {horizon} rows ahead: the gain of each instant, whose long-run variance its {cosines} slowest movements tell, with as many degrees of freedom."
        ),
    }
}

/// A number with as many places as tell something.
pub(super) fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else if value.abs() >= 1000.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}
