//! The comparison as Markdown, fit for a pull request.

use serde_json::Value;

/// A page that a person reads.
pub fn markdown(comparison: &Value) -> String {
    let text = |pointer: &str| match comparison.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_f64().map_or_else(|| number.to_string(), short),
        _ => "-".to_owned(),
    };
    let mut page = format!(
        "# {} @ {} against {}\n\nVerdict: **{}**. {}\n\n",
        text("/challenger/name"),
        text("/challenger/version"),
        text("/opponent"),
        text("/verdict").replace('_', " "),
        text("/reason"),
    );
    page.push_str("| | challenger | opponent |\n|---|---:|---:|\n");
    let empty = serde_json::Map::new();
    let metrics = |side: &str| comparison.pointer(side).and_then(Value::as_object).unwrap_or(&empty);
    for (name, value) in metrics("/metrics/challenger") {
        let other = metrics("/metrics/opponent").get(name).and_then(Value::as_f64);
        let other = other.map_or_else(|| "-".to_owned(), short);
        page.push_str(&format!(
            "| {name} | {} | {other} |\n",
            value.as_f64().map_or_else(|| "-".to_owned(), short)
        ));
    }
    page.push_str(&format!(
        "\n{} rows of {} {} were compared; {} rows in a training window were left out.\n\nMean gain in {}: {} (95 % interval {} to {}); \
         as many {} would show a gain of {} in four of five tries. Whole {} are resampled, because rows within one are not independent.\n",
        text("/effect/rows"),
        text("/effect/blocks"),
        text("/blocks"),
        text("/rows_left_out"),
        text("/loss"),
        text("/effect/gain"),
        text("/effect/lower"),
        text("/effect/upper"),
        text("/blocks"),
        text("/effect/detectable"),
        text("/blocks"),
    ));
    page
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:.4}")
    }
}
