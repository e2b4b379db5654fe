//! Refresh tokens: what a client trades for a new bearer token without asking for the password again (RFC 6749, section 6).
//!
//! Each is used once and answered by its successor. All that came from one login are a family. When one comes a second time, somebody
//! has a copy: nobody can tell who, so the whole family ends and the log keeps it (RFC 9700, section 4.14).

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use crate::audit::{self, Act};
use crate::error::Error;
use crate::identity::Identity;
use crate::user::User;

/// How long a refresh token lasts. Each successor lasts as long again.
pub const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// How every refresh token begins.
pub const PREFIX: &str = "ratchet_refresh_";

/// A refresh token and how long it lasts.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedRefresh {
    /// What its bearer sends, once.
    pub secret: String,
    /// How long it lasts.
    pub expires_in: Duration,
}

struct Kept {
    family: String,
    user: Uuid,
    audience: String,
    expires_at: i64,
    used: bool,
    revoked: bool,
}

impl Identity {
    /// The first refresh token after a login, for this service.
    ///
    /// # Errors
    /// The database's.
    pub async fn issue_refresh(&self, user: &User) -> Result<IssuedRefresh, Error> {
        let mut transaction = self.inner.store.write().await?;
        // What ended long ago proves nothing any more.
        sqlx::query("DELETE FROM refresh_tokens WHERE expires_at < $1")
            .bind(now())
            .execute(&mut *transaction)
            .await?;
        let issued = self
            .insert_refresh(&mut transaction, user.id, &Uuid::now_v7().to_string())
            .await?;
        transaction.commit().await?;
        Ok(issued)
    }

    /// The user of a refresh token, as the user is now, and the successor that takes its place.
    ///
    /// # Errors
    /// [`Error::Token`] if it is unknown, expired, revoked, for the other service, or its user is gone or disabled; also if it was used
    /// before, and then its whole family ends.
    pub async fn rotate_refresh(&self, secret: &str) -> Result<(User, IssuedRefresh), Error> {
        let sha256 = hash(secret);
        let mut transaction = self.inner.store.write().await?;
        let kept = find(&mut transaction, &sha256).await?;
        let kept = kept.ok_or(Error::Token("there is no such refresh token; log in again"))?;
        if kept.audience != self.audience.as_str() {
            return Err(Error::Token("the refresh token is meant for another service"));
        }
        if kept.revoked {
            return Err(Error::Token("the refresh token was revoked; log in again"));
        }
        if kept.used {
            end_family(&mut transaction, &kept.family).await?;
            let act = Act::with_outcome(
                "token.reuse",
                kept.user.to_string(),
                "done: all tokens of this login ended",
            );
            audit::append(&mut transaction, &self.actor, &act).await?;
            transaction.commit().await?;
            return Err(Error::Token(
                "the refresh token was used before; all tokens of this login ended, log in again",
            ));
        }
        if kept.expires_at <= now() {
            return Err(Error::Token("the refresh token has expired; log in again"));
        }
        let user = self.inner.store.by_id(kept.user).await?;
        let user = user.ok_or(Error::Token("its user does not exist any more"))?;
        if user.disabled {
            return Err(Error::Token("its user is disabled"));
        }
        sqlx::query("UPDATE refresh_tokens SET used = 1 WHERE sha256 = $1")
            .bind(&sha256)
            .execute(&mut *transaction)
            .await?;
        let issued = self.insert_refresh(&mut transaction, user.id, &kept.family).await?;
        transaction.commit().await?;
        Ok((user, issued))
    }

    /// Ends a refresh token and all that came from the same login; nothing happens if there is no such token (RFC 7009).
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke_refresh(&self, secret: &str) -> Result<(), Error> {
        let mut transaction = self.inner.store.write().await?;
        if let Some(kept) = find(&mut transaction, &hash(secret)).await? {
            end_family(&mut transaction, &kept.family).await?;
            audit::append(
                &mut transaction,
                &self.actor,
                &Act::done("token.revoke", kept.user.to_string()),
            )
            .await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn insert_refresh(
        &self,
        transaction: &mut Transaction<'static, Any>,
        user: Uuid,
        family: &str,
    ) -> Result<IssuedRefresh, Error> {
        let secret = format!("{PREFIX}{}", hex::encode(rand::random::<[u8; 32]>()));
        sqlx::query(
            "INSERT INTO refresh_tokens (sha256, family, user_id, audience, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash(&secret))
        .bind(family)
        .bind(user.to_string())
        .bind(self.audience.as_str())
        .bind(now() + LIFETIME.as_secs() as i64)
        .execute(&mut **transaction)
        .await?;
        Ok(IssuedRefresh {
            secret,
            expires_in: LIFETIME,
        })
    }
}

async fn find(transaction: &mut Transaction<'static, Any>, sha256: &str) -> Result<Option<Kept>, Error> {
    let row = sqlx::query("SELECT * FROM refresh_tokens WHERE sha256 = $1")
        .bind(sha256)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let user: String = row.try_get("user_id")?;
    Ok(Some(Kept {
        family: row.try_get("family")?,
        audience: row.try_get("audience")?,
        expires_at: row.try_get("expires_at")?,
        used: row.try_get::<i64, _>("used")? != 0,
        revoked: row.try_get::<i64, _>("revoked")? != 0,
        user: user.parse().map_err(|_| Error::Damaged {
            what: "refresh token",
            username: user,
        })?,
    }))
}

async fn end_family(transaction: &mut Transaction<'static, Any>, family: &str) -> Result<(), Error> {
    sqlx::query("UPDATE refresh_tokens SET revoked = 1 WHERE family = $1")
        .bind(family)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::role::Role;
    use crate::token::Audience;

    async fn with_ada() -> (tempfile::TempDir, Identity, User) {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
        let ada = identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        (home, identity, ada)
    }

    async fn refusal(identity: &Identity, secret: &str) -> String {
        identity
            .rotate_refresh(secret)
            .await
            .err()
            .map(|error| error.to_string())
            .unwrap()
    }

    #[tokio::test]
    async fn each_is_traded_once_and_a_copy_ends_the_family() {
        let (home, identity, ada) = with_ada().await;
        let first = identity.issue_refresh(&ada).await.unwrap();
        let elsewhere = identity.issue_refresh(&ada).await.unwrap();
        let (user, second) = identity.rotate_refresh(&first.secret).await.unwrap();
        assert_eq!(user.username, "ada");
        let (_, third) = identity.rotate_refresh(&second.secret).await.unwrap();
        assert!(refusal(&identity, &first.secret).await.contains("used before"));
        assert!(refusal(&identity, &third.secret).await.contains("revoked"));
        let other = identity.rotate_refresh(&elsewhere.secret).await.unwrap();
        assert_eq!(other.0.id, ada.id, "another login goes on");
        let entries = identity.audit_log(None, 1).await.unwrap();
        assert_eq!(entries[0].action, "token.reuse");
        identity.close().await;
        let kept = std::fs::read(home.path().join("identity.sqlite")).unwrap();
        let digits = &third.secret.as_bytes()[PREFIX.len()..];
        assert!(!kept.windows(digits.len()).any(|window| window == digits));
    }

    #[tokio::test]
    async fn of_two_that_trade_at_once_one_is_refused() {
        let (_home, identity, ada) = with_ada().await;
        let issued = identity.issue_refresh(&ada).await.unwrap();
        let (one, other) = tokio::join!(
            identity.rotate_refresh(&issued.secret),
            identity.rotate_refresh(&issued.secret)
        );
        assert!(one.is_ok() != other.is_ok());
    }

    #[tokio::test]
    async fn what_was_revoked_expired_or_is_elsewhere_is_refused() {
        let (_home, identity, ada) = with_ada().await;
        let issued = identity.issue_refresh(&ada).await.unwrap();
        let engine = identity.for_audience(Audience::Engine);
        assert!(refusal(&engine, &issued.secret).await.contains("another service"));
        identity.revoke_refresh(&issued.secret).await.unwrap();
        identity.revoke_refresh("unknown").await.unwrap();
        assert!(refusal(&identity, &issued.secret).await.contains("revoked"));
        let old = identity.issue_refresh(&ada).await.unwrap();
        sqlx::query("UPDATE refresh_tokens SET expires_at = 1 WHERE revoked = 0")
            .execute(&identity.inner.store.pool)
            .await
            .unwrap();
        assert!(refusal(&identity, &old.secret).await.contains("expired"));
        assert!(refusal(&identity, "").await.contains("no such"));
        let last = identity.issue_refresh(&ada).await.unwrap();
        identity.set_disabled("ada", true).await.unwrap();
        assert!(refusal(&identity, &last.secret).await.contains("disabled"));
        identity.remove("ada").await.unwrap();
        assert!(refusal(&identity, &last.secret).await.contains("no such"));
    }
}
