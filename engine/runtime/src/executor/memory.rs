//! How much memory the processes of an attempt use.

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

use super::group::{marked, processes};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until the processes of the group, and those that left it and carry the mark, use more than `limit` bytes
/// together; returns how many they used. Memory that several share counts once among them (PSS), so that a task that
/// forks is not charged twice.
pub(super) async fn exceeded(limit: u64, leader: Option<u32>, mark: String) -> u64 {
    loop {
        tokio::time::sleep(LOOK).await;
        let mark = mark.clone();
        // Reading the maps of a large process takes milliseconds.
        let used = tokio::task::spawn_blocking(move || used(leader, &mark)).await;
        if let Ok(used) = used
            && used > limit
        {
            return used;
        }
    }
}

fn used(leader: Option<u32>, mark: &str) -> u64 {
    let mut members = marked(mark);
    let in_group = processes().filter(|process| leader.is_some() && group_of(*process) == leader);
    members.extend(in_group);
    members.sort_unstable();
    members.dedup();
    members.into_iter().filter_map(proportional_set_size).sum()
}

/// The fifth field of `stat`; the second may hold spaces and parentheses.
fn group_of(process: Pid) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok()
}

fn proportional_set_size(process: Pid) -> Option<u64> {
    // One that ended meanwhile uses nothing.
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// `812.5 MiB`.
pub(super) fn show(bytes: u64) -> String {
    const GIBIBYTE: u64 = 1 << 30;
    if bytes >= GIBIBYTE {
        format!("{:.2} GiB", bytes as f64 / GIBIBYTE as f64)
    } else {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_belongs_to_a_group() {
        let own = nix::unistd::getpid();
        assert!(proportional_set_size(own) > Some(1 << 16));
        let group = nix::unistd::getpgrp().as_raw();
        assert_eq!(group_of(own).map(i64::from), Some(i64::from(group)));
    }

    #[test]
    fn sizes_are_shown_in_binary_units() {
        assert_eq!(show(512 << 20), "512.0 MiB");
        assert_eq!(show(3 << 29), "1.50 GiB");
    }
}
