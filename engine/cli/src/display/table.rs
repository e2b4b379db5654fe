//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{Cell, ContentArrangement, Table, presets};

/// A table under a header, without lines; it fits the terminal, and is as wide as it needs where there is none.
pub struct Listing {
    table: Table,
}

impl Listing {
    /// A table with these columns.
    pub fn new(header: &[&str]) -> Self {
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
        let arrangement = if std::io::stdout().is_terminal() {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        };
        // Without colors in any case; the width comes from the terminal by itself.
        table.set_content_arrangement(arrangement);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { table }
    }

    /// Adds a row.
    pub fn row<Text: ToString>(&mut self, cells: impl IntoIterator<Item = Text>) {
        self.table.add_row(cells.into_iter().map(|cell| cell.to_string()));
    }

    /// True if it has no row.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl std::fmt::Display for Listing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.table.to_string();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

/// Prints a table, or a sentence where there is nothing to list.
pub fn print(listing: &Listing, nothing: &str) {
    if listing.is_empty() {
        super::output::line(nothing);
    } else {
        super::output::line(&listing.to_string());
    }
}

/// Names and values, one a line, the values in one column.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:width$}  {}", value.replace('\n', &format!("\n{:width$}  ", ""))))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_in_two_columns_and_empty_ones_are_left_out() {
        let seen = facts(&[
            ("a", "1".to_owned()),
            ("none", String::new()),
            ("long", "2\n3".to_owned()),
        ]);
        assert_eq!(seen, "a     1\nlong  2\n      3");
    }

    #[test]
    fn rows_stand_under_their_header_without_trailing_blanks() {
        let mut listing = Listing::new(&["name", "rows"]);
        listing.row(["a-long-name", "1"]);
        listing.row(["b", "12,345"]);
        assert_eq!(
            listing.to_string(),
            "NAME         ROWS\na-long-name  1\nb            12,345"
        );
    }
}
