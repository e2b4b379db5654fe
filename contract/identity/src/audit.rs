//! The audit log: who changed what, when and from where.
//!
//! Each entry holds the SHA-256 of the one before it, so that an entry that was altered, removed or put in between shows
//! ([`Identity::verify_audit`]). What was cut off at the end shows only to who kept the newest hash: the check prints it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use crate::error::Error;
use crate::identity::Identity;

/// What stands as the hash before the first entry.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Longest text of a field, in bytes; the rest is cut.
const LONGEST: usize = 1024;

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Name of a user, `key:NAME`, or what the system calls the person at the command line.
    pub name: String,
    /// Address of the client, or `local`.
    pub origin: String,
}

impl Actor {
    /// Someone somewhere.
    pub fn new(name: impl Into<String>, origin: impl Into<String>) -> Actor {
        Actor {
            name: name.into(),
            origin: origin.into(),
        }
    }

    /// This program by itself, as when it adds the administrator whom its environment names.
    pub fn program() -> Actor {
        Actor::new("program", "local")
    }
}

/// Something that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What is done, such as `user.add` or `model.promote`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// `asked` before it is done, then `done` or `refused: ...`.
    pub outcome: String,
}

impl Act {
    /// An act that is about to be tried.
    pub fn asked(action: impl Into<String>, subject: impl Into<String>) -> Act {
        Act::with_outcome(action, subject, "asked")
    }

    /// An act that is done, in the same transaction or just before.
    pub fn done(action: impl Into<String>, subject: impl Into<String>) -> Act {
        Act::with_outcome(action, subject, "done")
    }

    /// An act and what came of it.
    pub fn with_outcome(action: impl Into<String>, subject: impl Into<String>, outcome: impl Into<String>) -> Act {
        Act {
            action: action.into(),
            subject: subject.into(),
            outcome: outcome.into(),
        }
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// From where.
    pub origin: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// `asked`, `done` or `refused: ...`.
    pub outcome: String,
    /// Hash of the entry before; zeros for the first.
    pub previous: String,
    /// SHA-256 over all of the above.
    pub hash: String,
}

impl AuditEntry {
    /// Every field with its length before it, so that no two entries read the same.
    fn computed_hash(&self) -> String {
        let number = self.number.to_string();
        let at = self.at.to_string();
        let fields = [
            &number,
            &at,
            &self.actor,
            &self.origin,
            &self.action,
            &self.subject,
            &self.outcome,
            &self.previous,
        ];
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hex::encode(hasher.finalize())
    }
}

/// What a check of the whole log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCheck {
    /// How many entries follow from each other.
    pub intact: i64,
    /// Hash of the last of them. Kept elsewhere, it shows later whether the log's end was cut off.
    pub head: String,
    /// The first entry that does not follow, if there is one, and why.
    pub broken: Option<String>,
}

impl Identity {
    /// Writes an act of this identity's actor into the log.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(&self, act: &Act) -> Result<(), Error> {
        let mut transaction = self.inner.store.write().await?;
        append(&mut transaction, &self.actor, act).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The newest entries, newest first; those before entry `before`, if it is given.
    ///
    /// # Errors
    /// The database's, or [`Error::AuditDamaged`].
    pub async fn audit_log(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let rows = sqlx::query("SELECT * FROM audit WHERE $1 IS NULL OR number < $1 ORDER BY number DESC LIMIT $2")
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(&self.inner.store.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Computes every hash again.
    ///
    /// # Errors
    /// The database's. A broken chain is no error: see [`AuditCheck::broken`].
    pub async fn verify_audit(&self) -> Result<AuditCheck, Error> {
        let mut check = AuditCheck {
            intact: 0,
            head: BEGINNING.to_owned(),
            broken: None,
        };
        let rows = sqlx::query("SELECT * FROM audit ORDER BY number")
            .fetch_all(&self.inner.store.pool)
            .await?;
        for row in &rows {
            let expected = check.intact + 1;
            let reason = match read(row) {
                Err(Error::AuditDamaged(number)) => format!("entry {number} cannot be read"),
                Err(other) => return Err(other),
                Ok(entry) if entry.number != expected => format!("entry {expected} is missing"),
                Ok(entry) if entry.previous != check.head => {
                    format!("entry {expected} does not follow from the one before it")
                }
                Ok(entry) if entry.computed_hash() != entry.hash => format!("entry {expected} was altered"),
                Ok(entry) => {
                    check.intact = expected;
                    check.head = entry.hash;
                    continue;
                }
            };
            check.broken = Some(reason);
            break;
        }
        Ok(check)
    }
}

/// Appends within a transaction that holds the write lock, so that no two entries have the same predecessor.
pub(crate) async fn append(transaction: &mut Transaction<'static, Any>, actor: &Actor, act: &Act) -> Result<(), Error> {
    let newest = sqlx::query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut **transaction)
        .await?;
    let (number, previous) = match newest {
        Some(row) => (row.try_get::<i64, _>("number")? + 1, row.try_get("hash")?),
        None => (1, BEGINNING.to_owned()),
    };
    let mut entry = AuditEntry {
        number,
        at: Timestamp::now(),
        actor: cut(&actor.name),
        origin: cut(&actor.origin),
        action: cut(&act.action),
        subject: cut(&act.subject),
        outcome: cut(&act.outcome),
        previous,
        hash: String::new(),
    };
    entry.hash = entry.computed_hash();
    sqlx::query(
        "INSERT INTO audit (number, at, actor, origin, action, subject, outcome, previous, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(entry.number)
    .bind(entry.at.to_string())
    .bind(&entry.actor)
    .bind(&entry.origin)
    .bind(&entry.action)
    .bind(&entry.subject)
    .bind(&entry.outcome)
    .bind(&entry.previous)
    .bind(&entry.hash)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// At most [`LONGEST`] bytes of a text, up to the end of a character.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

fn read(row: &AnyRow) -> Result<AuditEntry, Error> {
    let number: i64 = row.try_get("number")?;
    let at: String = row.try_get("at")?;
    Ok(AuditEntry {
        number,
        at: at.parse().map_err(|_| Error::AuditDamaged(number))?,
        actor: row.try_get("actor")?,
        origin: row.try_get("origin")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        outcome: row.try_get("outcome")?,
        previous: row.try_get("previous")?,
        hash: row.try_get("hash")?,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn written(count: usize) -> (tempfile::TempDir, Identity) {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
        for number in 1..=count {
            identity.audit(&Act::done("test", number.to_string())).await.unwrap();
        }
        (home, identity)
    }

    async fn change(identity: &Identity, statement: &'static str) -> AuditCheck {
        sqlx::query(statement)
            .execute(&identity.inner.store.pool)
            .await
            .unwrap();
        identity.verify_audit().await.unwrap()
    }

    #[tokio::test]
    async fn an_untouched_log_is_intact_and_its_head_is_the_newest_hash() {
        let (_home, identity) = written(3).await;
        let check = identity.verify_audit().await.unwrap();
        assert_eq!((check.intact, &check.broken), (3, &None));
        assert_eq!(check.head, identity.audit_log(None, 1).await.unwrap()[0].hash);
    }

    #[tokio::test]
    async fn an_altered_entry_shows() {
        let (_home, identity) = written(3).await;
        let check = change(&identity, "UPDATE audit SET actor = 'somebody else' WHERE number = 2").await;
        assert_eq!(check.broken.as_deref(), Some("entry 2 was altered"));
        assert_eq!(check.intact, 1);
    }

    #[tokio::test]
    async fn a_removed_entry_shows() {
        let (_home, identity) = written(3).await;
        let check = change(&identity, "DELETE FROM audit WHERE number = 2").await;
        assert_eq!(check.broken.as_deref(), Some("entry 2 is missing"));
    }

    #[tokio::test]
    async fn a_time_that_is_none_shows() {
        let (_home, identity) = written(2).await;
        let check = change(&identity, "UPDATE audit SET at = 'yesterday' WHERE number = 1").await;
        assert_eq!(check.broken.as_deref(), Some("entry 1 cannot be read"));
    }

    #[tokio::test]
    async fn writers_at_once_make_one_chain() {
        let (_home, identity) = written(0).await;
        let writers: Vec<_> = (0..16)
            .map(|number| {
                let identity = identity.clone();
                tokio::spawn(async move { identity.audit(&Act::done("test", number.to_string())).await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let check = identity.verify_audit().await.unwrap();
        assert_eq!((check.intact, check.broken), (16, None));
    }

    #[tokio::test]
    async fn pages_go_back_to_the_first_entry() {
        let (_home, identity) = written(5).await;
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = identity.audit_log(before, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.number);
            seen.extend(page.iter().map(|entry| entry.number));
        }
        assert_eq!(seen, [5, 4, 3, 2, 1]);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let text = "é".repeat(LONGEST);
        let kept = cut(&text);
        assert!(kept.len() <= LONGEST && text.starts_with(&kept) && kept.len() >= LONGEST - 1);
        assert_eq!(cut("short"), "short");
    }
}
