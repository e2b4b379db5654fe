//! Categories as numbers.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crate::schema::{Column, Rows, format_timestamp};

/// Separates the parts of a combined category; it does not occur in normalized text that people write.
const SEPARATOR: char = '\u{1f}';

/// The category of a row over one or several fields; `None` when any of them is missing.
pub fn category<'a>(rows: &'a Rows, fields: &[usize], row: usize) -> Option<Cow<'a, str>> {
    if let [field] = fields
        && let Column::Text(values) = &rows.columns()[*field]
    {
        return values[row].as_deref().map(Cow::Borrowed);
    }
    let mut key = String::new();
    for (position, field) in fields.iter().enumerate() {
        if position > 0 {
            key.push(SEPARATOR);
        }
        match &rows.columns()[*field] {
            Column::Text(values) => key.push_str(values[row].as_deref()?),
            Column::Number(values) if values[row].is_nan() => return None,
            Column::Number(values) => key.push_str(&values[row].to_string()),
            Column::Timestamp(values) => key.push_str(&format_timestamp(values[row]?)),
        }
    }
    Some(Cow::Owned(key))
}

/// Means of the target per category, drawn towards the overall mean by `smoothing` rows of it
/// (Micci-Barreca 2001): `(sum + smoothing * prior) / (count + smoothing)`.
pub fn target_means(
    categories: &[Option<Cow<'_, str>>],
    target: &[f64],
    smoothing: f64,
    include: impl Fn(usize) -> bool,
) -> (f64, BTreeMap<String, f64>) {
    let mut sums: HashMap<&str, (f64, f64)> = HashMap::new();
    let (mut total, mut count) = (0.0, 0.0);
    for (row, category) in categories.iter().enumerate().filter(|(row, _)| include(*row)) {
        total += target[row];
        count += 1.0;
        if let Some(category) = category {
            let entry = sums.entry(category).or_default();
            entry.0 += target[row];
            entry.1 += 1.0;
        }
    }
    let prior = if count > 0.0 { total / count } else { 0.0 };
    let means = sums
        .into_iter()
        .map(|(category, (sum, count))| (category.to_owned(), (sum + smoothing * prior) / (count + smoothing)))
        .collect();
    (prior, means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_categories_are_drawn_to_the_mean() {
        let categories = [Some("a"), Some("a"), Some("b"), None].map(|text| text.map(Cow::Borrowed));
        let (prior, means) = target_means(&categories, &[1.0, 1.0, 9.0, 1.0], 1.0, |_| true);
        assert_eq!(prior, 3.0);
        assert_eq!(means["a"], (2.0 + 3.0) / 3.0);
        assert_eq!(means["b"], (9.0 + 3.0) / 2.0);
        assert_eq!(means.len(), 2);
    }

    #[test]
    fn combined_categories_do_not_run_together() {
        let text = |values: &[&str]| Column::Text(values.iter().map(|value| Some((*value).into())).collect());
        let rows = Rows::new(vec![text(&["ab", "a"]), text(&["c", "bc"])]);
        let keys = rows
            .as_ref()
            .map(|rows| (category(rows, &[0, 1], 0), category(rows, &[0, 1], 1)));
        assert!(keys.is_some_and(|(first, second)| first != second));
    }
}
