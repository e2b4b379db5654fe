//! `pool: gpu`, `slots: 2`: what attempts of a task take of something that all runs share.

/// Most slots of a pool.
pub const MAX_POOL_SLOTS: u32 = 10_000;

/// What an attempt takes of a pool for as long as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Name of the pool, declared in `ratchet.toml`.
    pub name: String,
    /// How many slots.
    pub slots: u32,
}
