//! What the rest of the file declares, for whoever looks at one task.

use std::collections::{BTreeMap, BTreeSet};

use crate::plugin::{PluginEntry, PortKind};
use crate::spec::ParamType;
use crate::template::Reference;

/// Tasks and parameters by name. None where the declaration itself is wrong: nothing follows from it then.
pub(crate) struct Known<'a> {
    pub(crate) tasks: BTreeMap<&'a str, Option<&'a PluginEntry>>,
    /// The tasks with `foreach`: their ports are lists.
    pub(crate) fans: BTreeSet<&'a str>,
    /// The tasks that ask a person, with their ports.
    pub(crate) approvals: BTreeMap<&'a str, BTreeSet<&'a str>>,
    pub(crate) params: BTreeMap<&'a str, Option<ParamType>>,
}

impl<'a> Known<'a> {
    /// The plugin of a task, if both are known.
    pub(crate) fn plugin(&self, task: &str) -> Option<&'a PluginEntry> {
        self.tasks.get(task).copied().flatten()
    }

    /// The kind of a reference to a port, if task, plugin and port are known. A list of any kind is a value.
    pub(crate) fn kind(&self, reference: &Reference) -> Option<PortKind> {
        let Reference::Port { task, port } = reference else {
            return None;
        };
        if self.is_list(reference) || self.approvals.contains_key(task.as_str()) {
            return Some(PortKind::Value);
        }
        self.plugin(task)?
            .outputs
            .iter()
            .find(|output| output.name == port)
            .map(|output| output.kind)
    }

    /// True for a port of a task with `foreach`, which is a list with an entry for each instance.
    pub(crate) fn is_list(&self, reference: &Reference) -> bool {
        matches!(reference, Reference::Port { task, .. } if self.fans.contains(task.as_str()))
    }

    /// True for a reference to a task.
    pub(crate) fn is_port(&self, reference: &Reference) -> bool {
        matches!(reference, Reference::Port { .. })
    }

    /// The type of a reference to a parameter, if it is known.
    pub(crate) fn param(&self, reference: &Reference) -> Option<ParamType> {
        let Reference::Param(name) = reference else { return None };
        self.params.get(name.as_str()).copied().flatten()
    }

    /// `tasks.<id>.<port>` of every port of a kind.
    pub(crate) fn ports_of(&self, kind: PortKind) -> Vec<String> {
        let plugins = self
            .tasks
            .iter()
            .filter_map(|(id, plugin)| plugin.map(|plugin| (id, plugin)));
        plugins
            .flat_map(|(id, plugin)| plugin.outputs.iter().map(move |output| (id, output)))
            .filter(|(id, output)| output.kind == kind && !self.fans.contains(**id))
            .map(|(id, output)| format!("tasks.{id}.{}", output.name))
            .collect()
    }
}

/// The word for a kind.
pub(crate) fn word(kind: PortKind) -> &'static str {
    match kind {
        PortKind::Table => "table",
        PortKind::Model => "model",
        PortKind::Lookup => "lookup",
        PortKind::Report => "report",
        PortKind::Value | PortKind::Any => "value",
    }
}
