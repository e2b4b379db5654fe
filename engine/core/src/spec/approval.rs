//! `approval: { message, fields, deadline, on_deadline, on_reject }`: a person says yes or no.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Param;
use crate::diagnostics::one_of;

/// What a task is called in listings that asks a person instead of running a plugin.
pub const APPROVAL: &str = "approval";

/// The ports that every approval has, beside those of its form.
pub const APPROVAL_PORTS: [&str; 3] = ["approved", "by", "reason"];

/// What happens when nobody has answered in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDeadline {
    /// It counts as no.
    #[default]
    Reject,
    /// It counts as yes, with the defaults of the form.
    Approve,
}

/// What a no makes of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// It fails, and what follows with it.
    #[default]
    Fail,
    /// It is skipped, and what follows as its trigger says.
    Skip,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// What is asked, its templates not yet rendered.
    pub message: String,
    /// The form by field; each is an output port.
    pub fields: BTreeMap<String, Param>,
    /// How long the question stands, from when it is asked; none: as long as the run.
    pub deadline: Option<Duration>,
    /// What happens then.
    pub on_deadline: OnDeadline,
    /// What a no makes of the task.
    pub on_reject: OnReject,
}

impl Approval {
    /// Gives each field of the form its value: the text given, or the default. A no may leave fields out.
    ///
    /// # Errors
    ///
    /// All problems, each a fragment with the field it belongs to: unknown fields, missing values, wrong types.
    pub fn read(
        &self,
        approved: bool,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Value>, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for name in given.keys().filter(|name| !self.fields.contains_key(*name)) {
            let help = one_of(name, self.fields.keys().map(String::as_str)).unwrap_or_else(|| "it has none".to_owned());
            problems.push((name.clone(), format!("is no field of the form: {help}")));
        }
        for (name, field) in &self.fields {
            match (given.get(name), &field.default) {
                (Some(text), _) => match field.read(text) {
                    Ok(value) => drop(values.insert(name.clone(), value)),
                    Err(problem) => problems.push((name.clone(), problem)),
                },
                (None, Some(default)) => drop(values.insert(name.clone(), default.clone())),
                (None, None) if approved => {
                    problems.push((name.clone(), "has no default: it has to be given".to_owned()))
                }
                (None, None) => {}
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::ParamType;

    fn field(kind: ParamType, default: Option<Value>) -> Param {
        Param {
            kind,
            description: String::new(),
            default,
            minimum: None,
            maximum: None,
            choices: None,
        }
    }

    #[test]
    fn a_yes_fills_the_form_and_a_no_may_leave_it() {
        let approval = Approval {
            message: String::new(),
            fields: BTreeMap::from([
                ("share".to_owned(), field(ParamType::Number, Some(json!(0.1)))),
                ("ticket".to_owned(), field(ParamType::Integer, None)),
            ]),
            deadline: None,
            on_deadline: OnDeadline::Reject,
            on_reject: OnReject::Fail,
        };
        let given = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let filled = approval.read(true, &given(&[("ticket", "7")])).unwrap();
        assert_eq!(
            filled,
            BTreeMap::from([("share".to_owned(), json!(0.1)), ("ticket".to_owned(), json!(7))])
        );
        assert_eq!(approval.read(false, &given(&[])).unwrap().len(), 1);
        let problems = approval
            .read(true, &given(&[("tickets", "7"), ("share", "x")]))
            .unwrap_err();
        let told: Vec<String> = problems
            .iter()
            .map(|(field, problem)| format!("{field} {problem}"))
            .collect();
        assert_eq!(
            told,
            [
                "tickets is no field of the form: did you mean `ticket`?",
                "share takes a number, not `x`",
                "ticket has no default: it has to be given"
            ]
        );
    }
}
