//! "Did you mean": the names nearest to one that is not there.

/// How many names a message lists in full.
const LISTED: usize = 12;

/// A remedy for a name that is not there: the nearest name if one is near, and all names if they are few.
/// `what` is the plural noun of the list, such as `columns`.
pub fn suggestion(name: &str, names: &[&str], what: &str) -> String {
    if names.is_empty() {
        return format!("there are no {what}");
    }
    let near = nearest(name, names);
    let quoted = |list: &[&str]| {
        list.iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (near.is_empty(), names.len() <= LISTED) {
        (false, true) => format!("did you mean {}? the {what} are {}", or_list(&near), quoted(names)),
        (false, false) => format!("did you mean {}?", or_list(&near)),
        (true, true) => format!("the {what} are {}", quoted(names)),
        (true, false) => {
            format!(
                "the {} {what} begin with {}",
                names.len(),
                quoted(names.get(..LISTED).unwrap_or(names))
            )
        }
    }
}

/// At most three names that look like `name`, the nearest first.
pub fn nearest<'a>(name: &str, names: &[&'a str]) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), *candidate))
        .filter(|(score, _)| *score >= 0.82)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    scored.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

fn or_list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name() {
        assert_eq!(
            nearest("HourofCal", &["DateOfCall", "HourOfCall", "FRS"]).first(),
            Some(&"HourOfCall")
        );
        assert!(suggestion("DateofCall", &["DateOfCall", "FRS"], "columns").starts_with("did you mean `DateOfCall`?"));
    }

    #[test]
    fn a_name_like_no_other_gets_the_list() {
        assert_eq!(suggestion("zzz", &["a", "b"], "tables"), "the tables are `a`, `b`");
        assert_eq!(suggestion("zzz", &[], "tables"), "there are no tables");
    }
}
