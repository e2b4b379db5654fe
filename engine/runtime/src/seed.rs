//! The seed of a task.

use sha2::{Digest, Sha256};

/// The same for the same task of the same DAG in every run and every attempt, so that the same rows give the same
/// bundle. Below 2^53: JSON readers that know only floating point keep it exact.
pub(crate) fn seed(dag: &str, task: &str) -> u64 {
    let digest = Sha256::digest(format!("ratchet seed\n{dag}\n{task}"));
    let first = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    first >> 11
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn seeds_are_fixed_by_dag_and_task() {
        assert_eq!(seed("lfb-response-time", "train"), seed("lfb-response-time", "train"));
        assert_ne!(seed("lfb-response-time", "train"), seed("lfb-response-time", "compare"));
        assert_ne!(seed("a", "b"), seed("b", "a"));
        assert!(seed("a", "b") < 1 << 53);
    }
}
