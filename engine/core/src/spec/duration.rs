//! `30m`, `1h30m`, `21d`.

use std::time::Duration;

const UNITS: [(&str, f64); 6] = [
    ("w", 604_800.0),
    ("d", 86_400.0),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 0.001),
];

/// Longest duration: a hundred years.
const MOST_SECONDS: f64 = 100.0 * 365.25 * 86_400.0;

/// Reads numbers with the units `w`, `d`, `h`, `m`, `s`, `ms`, from large to small, each at most once: `1h30m`, `1.5s`.
///
/// # Errors
///
/// A lower-case fragment: no unit, an unknown one, a wrong order, nothing at all, or more than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let shown: String = text.chars().take(40).collect();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("the duration is empty".to_owned());
    }
    let mut seconds = 0.0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|character: char| !character.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let whole = number.starts_with(|character: char| character.is_ascii_digit()) && !number.ends_with('.');
        let Some(amount) = number.parse::<f64>().ok().filter(|_| whole) else {
            return Err(format!("`{shown}` is not a duration"));
        };
        if unit.is_empty() {
            return Err(format!("the duration `{shown}` lacks a unit"));
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(format!("`{unit}` in `{shown}` is not a unit of time"));
        }
        // Units that were passed cannot come again: `30m1h` and `1m1m` are slips.
        let Some((_, size)) = units.by_ref().find(|(name, _)| *name == unit) else {
            return Err(format!("the units of `{shown}` do not go from large to small"));
        };
        seconds += amount * size;
        rest = behind;
    }
    if seconds > MOST_SECONDS {
        return Err(format!("the duration `{shown}` is longer than a hundred years"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y-065
    #[test]
    fn units_add_up() {
        assert_eq!(parse_duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("21d"), Ok(Duration::from_secs(21 * 86_400)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
    }

    /// Y-065
    #[test]
    fn slips_are_refused() {
        for text in [
            "",
            "30",
            "m",
            "-5s",
            "5 s",
            "30m1h",
            "1m1m",
            "5y",
            "5minutes",
            "1..5s",
            "1.s",
            ".5s",
            "1e9s",
            "9999999999d",
            "٣s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
