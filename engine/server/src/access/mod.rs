//! Who may ask for what.

mod audited;
mod caller;
mod rules;

pub(crate) use audited::audited;
pub(crate) use caller::{Caller, guard};
pub(crate) use rules::{Access, RULES};
