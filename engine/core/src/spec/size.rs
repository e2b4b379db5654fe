//! `4GiB`, `512MiB`, `1.5GB`.

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Reads a size of memory as bytes: a number and one of `B`, `KB`, `KiB`, `MB`, `MiB`, `GB`, `GiB`, `TB`, `TiB`.
///
/// # Errors
///
/// A lower-case fragment: no or an unknown unit, no number, nothing, or more than 1024 TiB.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let shown: String = text.chars().take(40).collect();
    let digits = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let whole = number.starts_with(|character: char| character.is_ascii_digit()) && !number.ends_with('.');
    let Some(amount) = number.parse::<f64>().ok().filter(|_| whole) else {
        return Err(format!("`{shown}` is not a size"));
    };
    let unit = unit.trim_start();
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit {
            "" => format!("the size `{shown}` lacks a unit"),
            unit => format!(
                "`{}` is not a unit of memory",
                unit.chars().take(40).collect::<String>()
            ),
        });
    };
    let size = amount * *bytes as f64;
    if size < 1.0 {
        return Err(format!("the size `{shown}` is less than a byte"));
    }
    if size > (1_u64 << 50) as f64 {
        return Err(format!("the size `{shown}` is more than 1024 TiB"));
    }
    Ok(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y-066
    #[test]
    fn binary_and_decimal_units_differ() {
        assert_eq!(parse_size("4GiB"), Ok(4 << 30));
        assert_eq!(parse_size("1.5GB"), Ok(1_500_000_000));
        assert_eq!(parse_size("512 MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1B"), Ok(1));
    }

    #[test]
    fn slips_are_refused() {
        for text in [
            "",
            "4",
            "GiB",
            "4G",
            "4gib",
            "-1GiB",
            "0GiB",
            "1.GiB",
            "99999999TiB",
            "4GiBs",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
