//! Reads a file of cases, with a place for every problem.

use serde_json::Value;

use super::file::CaseFile;
use super::fit;
use crate::check::{At, Mode, Outcome, Shape, to_json};
use crate::diagnostics::{Code, Diagnostics, Finding, locate};
use crate::plugin::Registry;
use crate::spec::Dag;
use crate::yaml::{self, Node, NodeValue};

/// A file of cases that was read.
pub struct Cases {
    /// What stands in it.
    pub file: CaseFile,
    file_name: String,
    text: String,
    tree: Node,
}

/// Reads a file of cases.
///
/// # Errors
///
/// All problems of its shape at once.
pub fn read_cases(file_name: &str, text: &str) -> Result<Cases, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = |findings| Err(locate(file_name, text, findings));
    let tree = match yaml::parse(text) {
        Ok(tree) => tree,
        Err(finding) => return refused(vec![finding]),
    };
    if !matches!(tree.value, NodeValue::Mapping(_)) {
        let message = "a file of cases is a mapping with `dag` and `cases`";
        return refused(vec![Finding::new(Code::WrongType, tree.place(), message)]);
    }
    let schema = schemars::schema_for!(CaseFile).to_value();
    let shape = Shape {
        root: &schema,
        mode: Mode::Plain,
        text,
    };
    let mut outcome = Outcome::default();
    shape.check(&tree, &schema, &At::root("the file", tree.place()), &mut outcome);
    if !outcome.findings.is_empty() {
        return refused(outcome.findings);
    }
    let json: Value = to_json(&tree, &outcome.as_text);
    match serde_json::from_value(json) {
        Ok(file) => Ok(Cases {
            file,
            file_name: file_name.to_owned(),
            text: text.to_owned(),
            tree,
        }),
        Err(error) => refused(vec![Finding::new(Code::WrongType, tree.place(), error.to_string())]),
    }
}

impl Cases {
    /// Everything that does not fit the DAG: tasks, ports, parameters that it does not have, values of another kind, and
    /// what a task reads and is not given.
    pub fn check(&self, dag: &Dag, registry: &Registry) -> Diagnostics {
        let mut findings = Vec::new();
        for (number, case) in self.file.cases.iter().enumerate() {
            let fit = fit::Fit {
                dag,
                registry,
                case,
                tree: &self.tree,
                pointer: format!("/cases/{number}"),
            };
            fit.check(&mut findings);
            if self.file.cases[..number].iter().any(|other| other.name == case.name) {
                let place = self.tree.place_of(&format!("/cases/{number}/name"));
                findings.push(Finding::new(
                    Code::DuplicateKey,
                    place,
                    format!("another case is called `{}`", case.name),
                ));
            }
        }
        locate(&self.file_name, &self.text, findings)
    }
}
