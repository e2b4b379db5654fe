//! API keys: what programs send instead of a user's token.
//!
//! A key is `ratchet_` and 64 hexadecimal digits, 256 random bits. Only its SHA-256 is kept: there is no word list to
//! try against that many bits, so that no slow hash is needed.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::audit::{self, Act};
use crate::error::Error;
use crate::identity::Identity;
use crate::role::Role;
use crate::token::Audience;
use crate::user::{User, check_username};

/// How every key begins.
pub const PREFIX: &str = "ratchet_";
/// The longest life of a key, in days.
pub const LONGEST_DAYS: u32 = 3650;

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// UUIDv7.
    pub id: Uuid,
    /// Unique among the keys that are in use.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// The one service that takes it; none: both do.
    #[serde(default)]
    pub audience: Option<Audience>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// It is refused from here on.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// A new key with its secret, which nobody sees again.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The key as it is kept.
    pub key: ApiKey,
    /// What its bearer sends.
    pub secret: String,
}

impl Identity {
    /// Makes a key for both services that lasts `days`.
    ///
    /// # Errors
    /// As [`Identity::add_key_for`].
    pub async fn add_key(&self, name: &str, role: Role, days: u32) -> Result<NewKey, Error> {
        self.add_key_for(name, role, days, None).await
    }

    /// Makes a key that lasts `days`, for one service or (none) for both.
    ///
    /// # Errors
    /// [`Error::KeyName`], [`Error::KeyLifetime`], [`Error::KeyExists`], or the database's.
    pub async fn add_key_for(
        &self,
        name: &str,
        role: Role,
        days: u32,
        audience: Option<Audience>,
    ) -> Result<NewKey, Error> {
        check_username(name).map_err(|_| Error::KeyName(name.to_owned()))?;
        if !(1..=LONGEST_DAYS).contains(&days) {
            return Err(Error::KeyLifetime(days));
        }
        let secret = format!("{PREFIX}{}", hex::encode(rand::random::<[u8; 32]>()));
        let created_at = Timestamp::now();
        let key = ApiKey {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            role,
            audience,
            created_at,
            created_by: self.actor.name.clone(),
            expires_at: created_at + SignedDuration::from_hours(24 * i64::from(days)),
            revoked_at: None,
        };
        let mut transaction = self.inner.store.write().await?;
        let inserted = sqlx::query(
            "INSERT INTO api_keys (id, name, role, sha256, created_at, created_by, expires_at, audience)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
        )
        .bind(key.id.to_string())
        .bind(&key.name)
        .bind(role.as_str())
        .bind(hash(&secret))
        .bind(key.created_at.to_string())
        .bind(&key.created_by)
        .bind(key.expires_at.to_string())
        .bind(audience.map(Audience::as_str))
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(Error::KeyExists(name.to_owned()));
        }
        let act = Act::done("key.add", format!("{name} as {role} until {}", key.expires_at));
        audit::append(&mut transaction, &self.actor, &act).await?;
        transaction.commit().await?;
        Ok(NewKey { key, secret })
    }

    /// All keys, also those that ended, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_keys(&self) -> Result<Vec<ApiKey>, Error> {
        let rows = sqlx::query("SELECT * FROM api_keys ORDER BY id DESC")
            .fetch_all(&self.inner.store.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Ends a key; who still sends it is refused at most [`CALLER_MEMORY`](crate::memory::CALLER_MEMORY) later.
    ///
    /// # Errors
    /// [`Error::KeyUnknown`], or the database's.
    pub async fn revoke_key(&self, name: &str) -> Result<(), Error> {
        let mut transaction = self.inner.store.write().await?;
        let revoked = sqlx::query("UPDATE api_keys SET revoked_at = $1 WHERE name = $2 AND revoked_at IS NULL")
            .bind(Timestamp::now().to_string())
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        if revoked.rows_affected() == 0 {
            return Err(Error::KeyUnknown(name.to_owned()));
        }
        audit::append(&mut transaction, &self.actor, &Act::done("key.revoke", name)).await?;
        transaction.commit().await?;
        self.inner.keys.forget();
        Ok(())
    }

    /// The bearer of a key, as a user of the key's role.
    pub(crate) async fn verify_key(&self, secret: &str) -> Result<User, Error> {
        let hash = hash(secret);
        let look_up = async {
            let row = sqlx::query("SELECT * FROM api_keys WHERE sha256 = $1")
                .bind(&hash)
                .fetch_optional(&self.inner.store.pool)
                .await?;
            row.as_ref().map(read).transpose()
        };
        let key = self.inner.keys.get(hash.clone(), look_up).await?;
        let key = key.ok_or(Error::Token("there is no such key"))?;
        if key.revoked_at.is_some() {
            return Err(Error::Token("the key was revoked"));
        }
        if key.audience.is_some_and(|audience| audience != self.audience) {
            return Err(Error::Token("the key is meant for another service"));
        }
        if key.expires_at <= Timestamp::now() {
            return Err(Error::Token("the key has expired; an administrator makes a new one"));
        }
        Ok(User {
            id: key.id,
            username: format!("key:{}", key.name),
            role: key.role,
            created_at: key.created_at,
            disabled: false,
        })
    }
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn read(row: &AnyRow) -> Result<ApiKey, Error> {
    let name: String = row.try_get("name")?;
    let damaged = |what: &'static str| Error::Damaged {
        what,
        username: format!("key:{name}"),
    };
    let instant = |column: &'static str| -> Result<Timestamp, Error> {
        row.try_get::<String, _>(column)?.parse().map_err(|_| damaged(column))
    };
    let revoked: Option<String> = row.try_get("revoked_at")?;
    let audience: Option<String> = row.try_get("audience")?;
    Ok(ApiKey {
        id: row.try_get::<String, _>("id")?.parse().map_err(|_| damaged("id"))?,
        role: row.try_get::<String, _>("role")?.parse().map_err(|_| damaged("role"))?,
        audience: audience
            .map(|text| text.parse().map_err(|()| damaged("service")))
            .transpose()?,
        created_at: instant("created_at")?,
        created_by: row.try_get("created_by")?,
        expires_at: instant("expires_at")?,
        revoked_at: revoked
            .map(|text| text.parse().map_err(|_| damaged("revoked_at")))
            .transpose()?,
        name: name.clone(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn opened() -> (tempfile::TempDir, Identity) {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
        (home, identity)
    }

    #[tokio::test]
    async fn both_services_take_a_key_and_neither_keeps_its_secret() {
        let (home, identity) = opened().await;
        let made = identity.add_key("nightly", Role::Operator, 30).await.unwrap();
        assert_eq!(made.secret.len(), PREFIX.len() + 64);
        for service in [identity.clone(), identity.for_audience(Audience::Engine)] {
            let user = service.verify_token(&made.secret).await.unwrap();
            assert_eq!((user.username.as_str(), user.role), ("key:nightly", Role::Operator));
        }
        identity.close().await;
        let kept = std::fs::read(home.path().join("identity.sqlite")).unwrap();
        let digits = &made.secret.as_bytes()[PREFIX.len()..];
        assert!(!kept.windows(digits.len()).any(|window| window == digits));
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_at_once_and_its_name_is_free() {
        let (_home, identity) = opened().await;
        let first = identity.add_key("nightly", Role::User, 1).await.unwrap();
        identity.verify_token(&first.secret).await.unwrap();
        assert!(matches!(
            identity.add_key("nightly", Role::User, 1).await,
            Err(Error::KeyExists(_))
        ));
        identity.revoke_key("nightly").await.unwrap();
        let problem = identity.verify_token(&first.secret).await.unwrap_err().to_string();
        assert!(problem.contains("revoked"), "{problem}");
        assert!(matches!(
            identity.revoke_key("nightly").await,
            Err(Error::KeyUnknown(_))
        ));
        let second = identity.add_key("nightly", Role::Admin, 1).await.unwrap();
        assert_eq!(identity.verify_token(&second.secret).await.unwrap().role, Role::Admin);
        assert_eq!(identity.list_keys().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn an_expired_key_and_one_that_never_was_are_refused() {
        let (_home, identity) = opened().await;
        let made = identity.add_key("nightly", Role::User, 1).await.unwrap();
        sqlx::query("UPDATE api_keys SET expires_at = '2020-01-01T00:00:00Z'")
            .execute(&identity.inner.store.pool)
            .await
            .unwrap();
        let problem = identity.verify_token(&made.secret).await.unwrap_err().to_string();
        assert!(problem.contains("expired"), "{problem}");
        let made_up = format!("{PREFIX}{}", "0".repeat(64));
        assert!(matches!(identity.verify_token(&made_up).await, Err(Error::Token(_))));
    }

    #[tokio::test]
    async fn a_key_for_one_service_is_refused_by_the_other() {
        let (_home, identity) = opened().await;
        let for_engine = Some(Audience::Engine);
        let made = identity
            .add_key_for("retrain", Role::Operator, 1, for_engine)
            .await
            .unwrap();
        assert_eq!(identity.list_keys().await.unwrap()[0].audience, for_engine);
        assert!(identity.verify_token(&made.secret).await.is_err());
        let engine = identity.for_audience(Audience::Engine);
        assert_eq!(engine.verify_token(&made.secret).await.unwrap().role, Role::Operator);
    }

    #[tokio::test]
    async fn names_and_lifetimes_are_checked() {
        let (_home, identity) = opened().await;
        assert!(matches!(
            identity.add_key("no name", Role::User, 1).await,
            Err(Error::KeyName(_))
        ));
        for days in [0, LONGEST_DAYS + 1] {
            assert!(matches!(
                identity.add_key("nightly", Role::User, days).await,
                Err(Error::KeyLifetime(_))
            ));
        }
    }
}
