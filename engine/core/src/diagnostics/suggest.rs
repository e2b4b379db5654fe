//! What somebody may have meant.

/// The candidate nearest to a word, if one is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Edit distance is quadratic in the length; nobody mistypes a name of that size.
    if word.len() > 200 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word && candidate.len() <= 200)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(lower.chars().count()) / 3)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?"
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// "did you mean `x`?" where something is near, else "one of `x`, `y`", else nothing.
pub(crate) fn one_of<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    did_you_mean(word, candidates.clone()).or_else(|| {
        let listed = list(candidates);
        (!listed.is_empty()).then(|| format!("one of {listed}"))
    })
}

/// "`a`, `b`, `c`", cut after twenty.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(nearest("tabel", ["model", "table"]), Some("table"));
        assert_eq!(nearest("Table", ["model", "table"]), Some("table"));
        assert_eq!(nearest("banana", ["model", "table"]), None);
        assert_eq!(nearest("on", ["one"]), Some("one"));
        assert_eq!(nearest("a", ["b"]), None);
    }

    #[test]
    fn without_a_near_one_all_are_listed() {
        assert_eq!(
            one_of("banana", ["model", "table"]).as_deref(),
            Some("one of `model`, `table`")
        );
        assert_eq!(one_of("banana", []), None);
    }
}
