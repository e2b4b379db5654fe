//! When columns are known, as people write it.

use std::collections::BTreeMap;

use ratchet_core::plugin::{ConfigProblem, Known, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Columns by the time at which their values are known.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownColumns {
    /// With the request itself.
    #[serde(default)]
    pub call: Vec<String>,
    /// When the answer is dispatched.
    #[serde(default)]
    pub dispatch: Vec<String>,
    /// Only afterwards. Nothing that predicts may use them.
    #[serde(default)]
    pub after: Vec<String>,
}

impl KnownColumns {
    /// All names with their time, in the order in which they stand.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Known)> {
        [
            (&self.call, Known::Call),
            (&self.dispatch, Known::Dispatch),
            (&self.after, Known::After),
        ]
        .into_iter()
        .flat_map(|(names, known)| names.iter().map(move |name| (name.as_str(), known)))
    }

    /// The time of each column.
    pub fn to_map(&self) -> BTreeMap<String, Known> {
        self.iter().map(|(name, known)| (name.to_owned(), known)).collect()
    }

    /// These times over those that the columns have from their tables.
    ///
    /// # Errors
    /// A column that would be known earlier than its table says.
    pub fn over(&self, inherited: BTreeMap<String, Known>) -> Result<BTreeMap<String, Known>, TaskError> {
        let mut times = inherited;
        for (name, time) in self.iter() {
            if let Some(before) = times.insert(name.to_owned(), time)
                && time < before
            {
                return Err(TaskError::permanent(format!(
                    "`known` calls column `{name}` {}, but its table says {}",
                    word(time),
                    word(before)
                ))
                .with_help("a task cannot make a value known earlier; if it is another value, give it another name"));
            }
        }
        Ok(times)
    }

    /// A column that stands twice.
    pub fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let mut seen: BTreeMap<&str, Known> = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, known) in self.iter() {
            if let Some(before) = seen.insert(name, known) {
                problems.push(ConfigProblem {
                    pointer: pointer.to_owned(),
                    message: format!(
                        "column `{name}` stands twice, as {} and as {}",
                        word(before),
                        word(known)
                    ),
                    help: Some("name each column once, at the time when its value is known".to_owned()),
                });
            }
        }
        problems
    }
}

/// The word as it stands in a DAG.
pub fn word(known: Known) -> &'static str {
    match known {
        Known::Call => "`call`",
        Known::Dispatch => "`dispatch`",
        Known::After => "`after`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_stands_twice_is_a_problem() {
        let columns = KnownColumns {
            call: vec!["a".into()],
            dispatch: vec![],
            after: vec!["b".into(), "a".into()],
        };
        let problems = columns.problems("/known");
        assert_eq!(problems.len(), 1);
        assert!(
            problems
                .iter()
                .all(|problem| problem.message == "column `a` stands twice, as `call` and as `after`")
        );
    }
}
