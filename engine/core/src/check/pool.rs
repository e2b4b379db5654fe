//! `pool` and `slots` of a task against the pools that are declared.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Finding, list, one_of};
use crate::spec::PoolUse;
use crate::yaml::Node;

/// Reads what a task takes of a pool. Without declared pools every name is fine: whoever runs the task knows them.
pub(crate) fn check(
    task: &Node,
    pools: Option<&BTreeMap<String, u32>>,
    findings: &mut Vec<Finding>,
) -> Option<PoolUse> {
    let slots = task.entry("slots");
    let Some((pool_key, pool)) = task.entry("pool") else {
        if let Some((key, _)) = slots {
            findings.push(
                Finding::new(
                    Code::NoEffect,
                    key.span,
                    "`slots` are slots of a pool, and the task names none",
                )
                .with_help("name it with `pool`, or remove `slots`"),
            );
        }
        return None;
    };
    let name = pool.text_of_scalar()?;
    let taken = slots
        .and_then(|(_, slots)| slots.as_u64())
        .and_then(|slots| u32::try_from(slots).ok());
    let taken = taken.unwrap_or(1);
    if let Some(pools) = pools {
        match pools.get(name) {
            None => {
                let names = || pools.keys().map(String::as_str);
                let help = match one_of(name, names()) {
                    Some(help) => help,
                    None if pools.is_empty() => {
                        format!("ratchet.toml declares no pools: write `{name} = 1` under `[pools]` there")
                    }
                    None => format!("the pools of ratchet.toml are {}", list(names())),
                };
                findings
                    .push(Finding::new(Code::UnknownPool, pool.span, format!("unknown pool `{name}`")).with_help(help));
            }
            Some(size) if taken > *size => {
                let place = slots.map_or(pool_key.span, |(_, slots)| slots.span);
                let message =
                    format!("an attempt takes {taken} slots of `{name}`, which has {size}: it would wait for ever");
                findings.push(
                    Finding::new(Code::UnknownPool, place, message)
                        .with_help("take fewer, or raise the pool in ratchet.toml"),
                );
            }
            Some(_) => {}
        }
    }
    Some(PoolUse {
        name: name.to_owned(),
        slots: taken,
    })
}
