//! A DAG's graph for people and for other programs.

use serde_json::{Value, json};

use crate::spec::Dag;

impl Dag {
    /// A line for each task: id, plugin, what it comes after.
    pub fn graph_text(&self) -> String {
        let width = |text: fn(&crate::spec::TaskSpec) -> &str| {
            self.tasks
                .iter()
                .map(|task| text(task).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (ids, plugins) = (width(|task| &task.id), width(|task| &task.uses));
        let mut text = format!("{}\n", self.name);
        for task in &self.tasks {
            let after: Vec<&str> = task.dependencies.iter().map(String::as_str).collect();
            let after = if after.is_empty() {
                String::new()
            } else {
                format!("  after {}", after.join(", "))
            };
            let line = format!("  {:ids$}  {:plugins$}{after}", task.id, task.uses);
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// A Mermaid flowchart.
    pub fn graph_mermaid(&self) -> String {
        // Ids such as `end` and `a-b` are words of Mermaid's own; positions are not.
        let mut text = "flowchart LR\n".to_owned();
        for (at, task) in self.tasks.iter().enumerate() {
            text.push_str(&format!("  t{at}[\"{}<br/>{}\"]\n", task.id, task.uses));
        }
        for (earlier, later) in self.edges() {
            text.push_str(&format!("  t{earlier} --> t{later}\n"));
        }
        text
    }

    /// Graphviz.
    pub fn graph_dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", self.name);
        for task in &self.tasks {
            text.push_str(&format!("  \"{}\" [label=\"{}\\n{}\"];\n", task.id, task.id, task.uses));
        }
        for (earlier, later) in self.edges() {
            text.push_str(&format!(
                "  \"{}\" -> \"{}\";\n",
                self.tasks[earlier].id, self.tasks[later].id
            ));
        }
        text.push_str("}\n");
        text
    }

    /// `{dag, tasks: [{id, uses, depends_on, trigger, when}]}`, tasks in order.
    pub fn graph_json(&self) -> Value {
        let tasks: Vec<Value> = self
            .tasks
            .iter()
            .map(|task| {
                json!({
                    "id": task.id,
                    "uses": task.uses,
                    "depends_on": task.dependencies,
                    "trigger": task.trigger,
                    "when": task.when,
                })
            })
            .collect();
        json!({ "dag": self.name, "tasks": tasks })
    }

    /// Pairs of positions: earlier, later.
    fn edges(&self) -> Vec<(usize, usize)> {
        let positions: std::collections::BTreeMap<&str, usize> = self
            .tasks
            .iter()
            .enumerate()
            .map(|(at, task)| (task.id.as_str(), at))
            .collect();
        self.tasks
            .iter()
            .enumerate()
            .flat_map(|(later, task)| task.dependencies.iter().map(move |earlier| (earlier, later)))
            .filter_map(|(earlier, later)| Some((*positions.get(earlier.as_str())?, later)))
            .collect()
    }
}
