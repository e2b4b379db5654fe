//! Numbers, lengths and counts.

use serde_json::{Map, Value};

use super::shape::{At, Outcome};
use crate::diagnostics::{Code, Finding};
use crate::yaml::Node;

pub(super) fn check_bounds(
    node: &Node,
    text: &str,
    number: f64,
    keywords: &Map<String, Value>,
    at: &At<'_>,
    out: &mut Outcome,
) {
    let bound = |name: &str| keywords.get(name).and_then(Value::as_f64);
    let (least_of_format, most_of_format) = match keywords.get("format").and_then(Value::as_str) {
        Some("uint8") => (0.0, f64::from(u8::MAX)),
        Some("uint16") => (0.0, f64::from(u16::MAX)),
        Some("uint32") => (0.0, f64::from(u32::MAX)),
        Some("uint64" | "uint") => (0.0, f64::INFINITY),
        Some("int8") => (f64::from(i8::MIN), f64::from(i8::MAX)),
        Some("int16") => (f64::from(i16::MIN), f64::from(i16::MAX)),
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        // The first float above the largest of them.
        Some("int64" | "int") => (f64::NEG_INFINITY, 9_223_372_036_854_774_784.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let least = bound("minimum").unwrap_or(f64::NEG_INFINITY).max(least_of_format);
    let most = bound("maximum").unwrap_or(f64::INFINITY).min(most_of_format);
    let above = bound("exclusiveMinimum");
    let below = bound("exclusiveMaximum");
    let rule = if number < least {
        format!("at least {least}")
    } else if number > most {
        format!("at most {most}")
    } else if let Some(above) = above.filter(|above| number <= *above) {
        format!("above {above}")
    } else if let Some(below) = below.filter(|below| number >= *below) {
        format!("below {below}")
    } else {
        return;
    };
    out.findings.push(Finding::new(
        Code::OutOfBounds,
        node.span,
        format!("{} is {text}; it is {rule}", at.name()),
    ));
}

/// `minItems` and the like: `suffix` is `Items` or `Properties`.
pub(super) fn check_count(
    count: usize,
    what: &str,
    suffix: &str,
    node: &Node,
    keywords: &Map<String, Value>,
    at: &At<'_>,
    out: &mut Outcome,
) {
    let bound = |prefix: &str| keywords.get(&format!("{prefix}{suffix}")).and_then(Value::as_u64);
    let count = count as u64;
    let place = if count == 0 { at.owner() } else { node.place() };
    let message = if let Some(least) = bound("min").filter(|least| count < *least) {
        if count == 0 {
            format!("{} is empty", at.name())
        } else {
            format!("{} has {count} {what}; it has at least {least}", at.name())
        }
    } else if let Some(most) = bound("max").filter(|most| count > *most) {
        format!("{} has {count} {what}; it has at most {most}", at.name())
    } else {
        return;
    };
    out.findings.push(Finding::new(Code::OutOfBounds, place, message));
}
