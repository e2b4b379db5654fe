//! Slots of pools, as rows that are leased with their run: what is taken is what stands there, and no counter can be wrong.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::Any;

use super::open::{Store, query};
use super::read::{number, text};
use super::transaction::Transaction as Sql;
use crate::error::StoreError;

/// Who has not asked for so long waits no more. Whoever waits asks twice a second.
const ASKS_WITHIN: SignedDuration = SignedDuration::from_secs(3);

/// Rows of [`Claim`]s that nobody repeats are removed after this.
const FORGOTTEN: SignedDuration = SignedDuration::from_secs(600);

/// A slot counts while its owner holds the lease of its run.
const HELD: &str = "EXISTS (SELECT 1 FROM runs WHERE runs.id = pool_slots.run_id AND runs.owner = pool_slots.owner \
                    AND runs.status = 'running' AND runs.lease_until >= $1)";

/// Slots of a pool, asked for by an attempt that has not begun.
#[derive(Clone, Debug)]
pub(crate) struct Claim<'a> {
    pub pool: &'a str,
    /// How many the pool has.
    pub size: u32,
    /// How many are wanted.
    pub slots: u32,
    /// Higher comes first.
    pub priority: i32,
    pub run: &'a str,
    pub owner: &'a str,
    pub position: usize,
    pub attempt: u32,
    pub task: &'a str,
}

/// One slot that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotHolder {
    /// The pool.
    pub pool: String,
    /// From 1.
    pub slot: u32,
    /// The run.
    pub run: String,
    /// The task, or the instance.
    pub task: String,
    /// Its attempt.
    pub attempt: u32,
    /// Since when, as an instant.
    pub since: String,
}

/// A task that waits for slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotWaiter {
    /// The pool.
    pub pool: String,
    /// The run.
    pub run: String,
    /// The task, or the instance.
    pub task: String,
    /// How many it wants.
    pub slots: u32,
    /// Higher comes first.
    pub priority: i32,
}

impl Store {
    /// Takes slots of a pool for an attempt, all or none. False if not enough are free, or somebody comes first: then
    /// the wish stands for some seconds, and holds back those who come later.
    pub(crate) async fn claim_slots(&self, claim: &Claim<'_>) -> Result<bool, StoreError> {
        let failed = query("take slots of a pool");
        let mut transaction = self.begin("take slots of a pool").await?;
        // The row of the run first, as in every step: an engine that lost the run takes nothing for it.
        let held = sqlx::query("UPDATE runs SET version = version + 1 WHERE id = $1 AND owner = $2")
            .bind(claim.run)
            .bind(claim.owner)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        if held.rows_affected() != 1 {
            return Err(StoreError::Leased {
                run: claim.run.to_owned(),
            });
        }
        let now = Timestamp::now().as_millisecond();
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "DELETE FROM pool_slots WHERE pool = $2 AND NOT {HELD}"
        )))
        .bind(now)
        .bind(claim.pool)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let taken: Vec<i64> = sqlx::query_scalar("SELECT slot FROM pool_slots WHERE pool = $1")
            .bind(claim.pool)
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
        let enough = taken.len() + claim.slots as usize <= claim.size as usize;
        if !enough || comes_later(&mut transaction, claim, now).await? {
            wait(&mut transaction, claim, now).await?;
            transaction.commit().await.map_err(&failed)?;
            return Ok(false);
        }
        let free = (1..=i64::from(claim.size)).filter(|slot| !taken.contains(slot));
        // Rising, so that two who take several wait for each other in one direction only.
        for slot in free.take(claim.slots as usize) {
            let inserted = sqlx::query(
                "INSERT INTO pool_slots (pool, slot, run_id, position, attempt, task, owner, taken_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (pool, slot) DO NOTHING",
            )
            .bind(claim.pool)
            .bind(slot)
            .bind(claim.run)
            .bind(claim.position as i64)
            .bind(i64::from(claim.attempt))
            .bind(claim.task)
            .bind(claim.owner)
            .bind(Timestamp::now().to_string())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
            if inserted.rows_affected() != 1 {
                // Another engine was faster: nothing is taken, and the next try sees what it took.
                transaction.rollback().await.map_err(&failed)?;
                return Ok(false);
            }
        }
        sqlx::query("DELETE FROM pool_waiting WHERE run_id = $1 AND position = $2")
            .bind(claim.run)
            .bind(claim.position as i64)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }

    /// The slots that are taken, by pool and slot.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn slot_holders(&self) -> Result<Vec<SlotHolder>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT * FROM pool_slots WHERE {HELD} ORDER BY pool, slot"
        )))
        .bind(Timestamp::now().as_millisecond())
        .fetch_all(&self.pool)
        .await
        .map_err(query("list the slots of pools"))?;
        let what = "slot of a pool";
        rows.iter()
            .map(|row| {
                Ok(SlotHolder {
                    pool: text(row, what, "pool")?,
                    slot: number(row, what, "slot")?,
                    run: text(row, what, "run_id")?,
                    task: text(row, what, "task")?,
                    attempt: number(row, what, "attempt")?,
                    since: text(row, what, "taken_at")?,
                })
            })
            .collect()
    }

    /// Who waits for slots, those who come first first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn slot_waiters(&self) -> Result<Vec<SlotWaiter>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM pool_waiting WHERE asked >= $1 ORDER BY pool, priority DESC, since, run_id, position",
        )
        .bind((Timestamp::now() - ASKS_WITHIN).as_millisecond())
        .fetch_all(&self.pool)
        .await
        .map_err(query("list who waits for slots of pools"))?;
        let what = "wish for slots of a pool";
        rows.iter()
            .map(|row| {
                Ok(SlotWaiter {
                    pool: text(row, what, "pool")?,
                    run: text(row, what, "run_id")?,
                    task: text(row, what, "task")?,
                    slots: number(row, what, "slots")?,
                    priority: number(row, what, "priority")?,
                })
            })
            .collect()
    }
}

/// True if somebody else who still asks comes before: a higher priority, or the same and an older wish.
async fn comes_later(transaction: &mut Sql<'_, Any>, claim: &Claim<'_>, now: i64) -> Result<bool, StoreError> {
    let failed = query("look who waits for slots of a pool");
    let since: Option<i64> =
        sqlx::query_scalar("SELECT since FROM pool_waiting WHERE run_id = $1 AND position = $2 AND pool = $3")
            .bind(claim.run)
            .bind(claim.position as i64)
            .bind(claim.pool)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(&failed)?;
    let before: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM pool_waiting WHERE pool = $1 AND asked >= $2 AND NOT (run_id = $3 AND position = $4) \
         AND (priority > $5 OR (priority = $5 AND since < $6))",
    )
    .bind(claim.pool)
    .bind(now - ASKS_WITHIN.as_millis() as i64)
    .bind(claim.run)
    .bind(claim.position as i64)
    .bind(i64::from(claim.priority))
    .bind(since.unwrap_or(now))
    .fetch_one(&mut **transaction)
    .await
    .map_err(&failed)?;
    Ok(before > 0)
}

/// Notes the wish, or that it still stands.
async fn wait(transaction: &mut Sql<'_, Any>, claim: &Claim<'_>, now: i64) -> Result<(), StoreError> {
    let failed = query("wait for slots of a pool");
    sqlx::query("DELETE FROM pool_waiting WHERE pool = $1 AND asked < $2")
        .bind(claim.pool)
        .bind(now - FORGOTTEN.as_millis() as i64)
        .execute(&mut **transaction)
        .await
        .map_err(&failed)?;
    sqlx::query(
        "INSERT INTO pool_waiting (run_id, position, pool, task, slots, priority, since, asked) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) \
         ON CONFLICT (run_id, position) DO UPDATE SET asked = $7",
    )
    .bind(claim.run)
    .bind(claim.position as i64)
    .bind(claim.pool)
    .bind(claim.task)
    .bind(i64::from(claim.slots))
    .bind(i64::from(claim.priority))
    .bind(now)
    .execute(&mut **transaction)
    .await
    .map_err(&failed)?;
    Ok(())
}

/// Frees the slots of attempts that have ended.
pub(super) async fn free_slots(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    attempts: &[(usize, u32)],
) -> Result<(), StoreError> {
    for &(position, attempt) in attempts {
        sqlx::query("DELETE FROM pool_slots WHERE run_id = $1 AND position = $2 AND attempt = $3")
            .bind(run)
            .bind(position as i64)
            .bind(i64::from(attempt))
            .execute(&mut **transaction)
            .await
            .map_err(query("free slots of a pool"))?;
    }
    Ok(())
}

/// A run that nobody drives any more holds and wants nothing.
pub(super) async fn forget_slots(transaction: &mut Sql<'_, Any>, run: &str, owner: &str) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM pool_slots WHERE run_id = $1 AND owner = $2",
        "DELETE FROM pool_waiting WHERE run_id = $1 AND EXISTS (SELECT 1 FROM runs WHERE id = $1 AND owner = $2)",
    ] {
        sqlx::query(statement)
            .bind(run)
            .bind(owner)
            .execute(&mut **transaction)
            .await
            .map_err(query("free the slots of a run"))?;
    }
    Ok(())
}
