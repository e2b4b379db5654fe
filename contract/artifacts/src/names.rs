//! Names that people give: they become directories of the bucket.

use crate::BucketError;

/// Longest name, in bytes: with the directories before it a path stays far below every store's bound.
const LONGEST: usize = 128;

/// Checks that `name` has the form `[a-z][a-z0-9-]*` and at most 128 letters.
///
/// `what` is named in the error: `dataset`, `model`, `alias`.
pub fn check_name(what: &'static str, name: &str) -> Result<(), BucketError> {
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    let goes_on_well = name
        .bytes()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-');
    if begins_well && goes_on_well && name.len() <= LONGEST {
        Ok(())
    } else {
        Err(BucketError::InvalidName {
            what,
            name: name.chars().take(LONGEST).collect(),
        })
    }
}

/// Checks that a key says something: an empty one would make every registration the same.
pub(crate) fn check_key(key: &str) -> Result<(), BucketError> {
    if key.trim().is_empty() {
        Err(BucketError::EmptyKey)
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_joined_by_hyphens() {
        for good in ["a", "lfb-response-time", "table2", "x-"] {
            check_name("model", good).unwrap();
        }
        let too_long = "a".repeat(LONGEST + 1);
        for bad in [
            "",
            "A",
            "2a",
            "-a",
            "a_b",
            "a/b",
            "..",
            "a b",
            "é",
            "a.json",
            too_long.as_str(),
        ] {
            let message = check_name("model", bad).unwrap_err().to_string();
            assert!(
                message.contains("model name") && message.contains("lower-case"),
                "{bad}: {message}"
            );
        }
    }

    #[test]
    fn an_empty_key_is_refused() {
        check_key("run/task").unwrap();
        assert!(check_key(" ").is_err());
    }
}
