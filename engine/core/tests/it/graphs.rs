//! Graphs as people and programs read them.

use crate::files::WHOLE;
use crate::plugins::registry;

#[test]
fn graphs_show_every_task_and_edge() {
    let dag = ratchet_core::load("dags/lfb.yaml", WHOLE, &registry()).unwrap();
    insta::assert_snapshot!("graph_text", dag.graph_text());
    insta::assert_snapshot!("graph_mermaid", dag.graph_mermaid());
    insta::assert_snapshot!("graph_dot", dag.graph_dot());
    insta::assert_snapshot!("graph_json", serde_json::to_string_pretty(&dag.graph_json()).unwrap());
}
