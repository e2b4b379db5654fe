//! What a plain scalar is.

use serde_json::Number;

use super::node::NodeValue;

/// The core schema of YAML 1.2 for a plain scalar, and `1_000` as text.
pub(super) fn resolve(text: &str) -> NodeValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return NodeValue::Null,
        "true" | "True" | "TRUE" => return NodeValue::Boolean(true),
        "false" | "False" | "FALSE" => return NodeValue::Boolean(false),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = |value: Option<Number>| NodeValue::Number {
        text: text.to_owned(),
        value,
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return number(None);
    }
    let radix = |digits: &str, radix: u32| {
        let digits_fit = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        digits_fit.then(|| number(u64::from_str_radix(digits, radix).ok().map(Number::from)))
    };
    let based = match text.get(..2) {
        Some("0x") => radix(&text[2..], 16),
        Some("0o") => radix(&text[2..], 8),
        _ => None,
    };
    if let Some(based) = based {
        return based;
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let plain = text.strip_prefix('+').unwrap_or(text);
        let value = plain
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| plain.parse::<i64>().map(Number::from));
        return number(value.ok());
    }
    if is_float(unsigned) {
        return number(text.parse::<f64>().ok().and_then(Number::from_f64));
    }
    NodeValue::Text(text.to_owned())
}

/// `(\. digits | digits (\. digits?)?) ([eE] [-+]? digits)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}
