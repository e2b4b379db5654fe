//! Edges -> order, or the cycles with their path.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::diagnostics::{Code, Finding};
use crate::yaml::Span;

/// A task and what it comes after, each with the place that says so.
pub(crate) struct Edges<'a> {
    pub(crate) task: &'a str,
    pub(crate) after: BTreeMap<&'a str, Span>,
}

/// The tasks' positions, each after all that it depends on, ties in the order given.
///
/// # Errors
///
/// One finding for each group of tasks that wait for each other.
pub(crate) fn order(tasks: &[Edges<'_>]) -> Result<Vec<usize>, Vec<Finding>> {
    let positions: BTreeMap<&str, usize> = tasks.iter().enumerate().map(|(at, edges)| (edges.task, at)).collect();
    let before = |at: usize| tasks[at].after.keys().filter_map(|name| positions.get(name).copied());
    let mut successors = vec![Vec::new(); tasks.len()];
    let mut waiting = vec![0_usize; tasks.len()];
    for (at, waits) in waiting.iter_mut().enumerate() {
        for earlier in before(at) {
            successors[earlier].push(at);
            *waits += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..tasks.len()).filter(|at| waiting[*at] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(tasks.len());
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for later in &successors[at] {
            waiting[*later] -= 1;
            if waiting[*later] == 0 {
                ready.push(Reverse(*later));
            }
        }
    }
    if order.len() == tasks.len() {
        return Ok(order);
    }
    Err(cycles(tasks, &positions))
}

fn cycles(tasks: &[Edges<'_>], positions: &BTreeMap<&str, usize>) -> Vec<Finding> {
    let mut graph = DiGraph::<(), ()>::with_capacity(tasks.len(), tasks.len());
    for _ in tasks {
        graph.add_node(());
    }
    for (at, edges) in tasks.iter().enumerate() {
        for earlier in edges.after.keys().filter_map(|name| positions.get(name)) {
            graph.add_edge(NodeIndex::new(at), NodeIndex::new(*earlier), ());
        }
    }
    let mut groups: Vec<Vec<usize>> = kosaraju_scc(&graph)
        .into_iter()
        .map(|group| {
            let mut group: Vec<usize> = group.into_iter().map(NodeIndex::index).collect();
            group.sort_unstable();
            group
        })
        .filter(|group| group.len() > 1 || group.iter().any(|at| tasks[*at].after.contains_key(tasks[*at].task)))
        .collect();
    groups.sort_unstable();
    groups.iter().map(|group| finding(tasks, positions, group)).collect()
}

/// The shortest cycle through the first task of the group.
fn finding(tasks: &[Edges<'_>], positions: &BTreeMap<&str, usize>, group: &[usize]) -> Finding {
    let start = group[0];
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    let mut last = start;
    'search: while let Some(at) = queue.pop_front() {
        for next in tasks[at].after.keys().filter_map(|name| positions.get(name).copied()) {
            if next == start {
                last = at;
                break 'search;
            }
            if group.binary_search(&next).is_ok() && !came_from.contains_key(&next) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    let mut path = vec![last];
    while let Some(previous) = path.last().and_then(|at| came_from.get(at)).copied() {
        path.push(previous);
    }
    path.reverse();
    let second = path.get(1).copied().unwrap_or(start);
    let place = tasks[start].after.get(tasks[second].task).copied().unwrap_or_default();
    if path.len() == 1 {
        return Finding::new(
            Code::Cycle,
            place,
            format!("task `{}` waits for itself", tasks[start].task),
        )
        .with_help("remove the reference or the entry of `needs`");
    }
    const MOST: usize = 12;
    let mut names: Vec<String> = path
        .iter()
        .take(MOST)
        .map(|at| format!("`{}`", tasks[*at].task))
        .collect();
    if path.len() > MOST {
        names.push(format!("... {} more ...", path.len() - MOST));
    }
    names.push(format!("`{}`", tasks[start].task));
    Finding::new(
        Code::Cycle,
        place,
        format!("these tasks wait for each other: {}", names.join(" after ")),
    )
    .with_help("remove one of these references or entries of `needs`")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn edges<'a>(graph: &[(&'a str, &[&'a str])]) -> Vec<Edges<'a>> {
        graph
            .iter()
            .map(|(task, after)| Edges {
                task,
                after: after.iter().map(|name| (*name, Span::default())).collect(),
            })
            .collect()
    }

    /// Y-037
    #[test]
    fn order_respects_edges_and_keeps_the_file_where_it_may() {
        let graph = edges(&[("c", &["b"]), ("a", &[]), ("b", &["a"]), ("z", &[])]);
        assert_eq!(order(&graph).unwrap(), [1, 2, 0, 3]);
        assert_eq!(order(&[]).unwrap(), Vec::<usize>::new());
    }

    /// Y-053
    #[test]
    fn each_group_is_reported_once_with_its_path() {
        let graph = edges(&[
            ("a", &["c"]),
            ("b", &["a"]),
            ("c", &["b", "x"]),
            ("x", &["y"]),
            ("y", &["x"]),
            ("s", &["s"]),
            ("t", &["a"]),
        ]);
        let messages: Vec<String> = order(&graph)
            .unwrap_err()
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(
            messages,
            [
                "these tasks wait for each other: `a` after `c` after `b` after `a`",
                "these tasks wait for each other: `x` after `y` after `x`",
                "task `s` waits for itself",
            ]
        );
    }

    #[test]
    fn long_chains_and_long_cycles_do_not_overflow() {
        let names: Vec<String> = (0..20_000).map(|number| format!("t{number}")).collect();
        let chain = |first: &[usize]| -> Vec<Edges<'_>> {
            names
                .iter()
                .enumerate()
                .map(|(at, task)| {
                    let after = if at == 0 { first.to_vec() } else { vec![at - 1] };
                    Edges {
                        task,
                        after: after
                            .into_iter()
                            .map(|at| (names[at].as_str(), Span::default()))
                            .collect(),
                    }
                })
                .collect()
        };
        assert_eq!(order(&chain(&[])).unwrap().len(), names.len());
        assert_eq!(order(&chain(&[names.len() - 1])).unwrap_err().len(), 1);
    }
}
