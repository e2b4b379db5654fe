//! The users of one home, and everything that is asked about them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use ratchet_database::{Address, Kind};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::api_key::{self, ApiKey};
use crate::audit::{self, Act, Actor};
use crate::error::Error;
use crate::memory::Memory;
use crate::password;
use crate::role::Role;
use crate::secret;
use crate::store::{Store, StoredUser};
use crate::throttle::Throttle;
use crate::token::{Audience, IssuedToken, LIFETIME, PublicKeys, Signer};
use crate::user::{User, check_username};
use crate::verified::VerifiedTokens;

/// What [`Identity::ensure_administrator`] found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Administrator {
    /// There was none, and this one was added.
    Added(User),
    /// There is one already; nothing was changed.
    Present,
}

/// Users, passwords, tokens, keys and the audit log of one home. A clone shares everything.
#[derive(Clone)]
pub struct Identity {
    pub(crate) inner: Arc<Inner>,
    pub(crate) audience: Audience,
    pub(crate) actor: Arc<Actor>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) signer: Signer,
    throttle: Throttle,
    /// Each hash takes 19 MiB and a core: a burst of logins waits here instead of taking the machine.
    hashing: Semaphore,
    callers: Memory<Uuid, User>,
    pub(crate) keys: Memory<String, ApiKey>,
    tokens: VerifiedTokens,
}

impl Identity {
    /// Opens the users' database: the Postgres at `database_url` if it is one, where it has the schema `ratchet_identity`, else
    /// `<home>/identity.sqlite`; both are created on first use. Tokens are signed with `RATCHET_JWT_SECRET` if it is set
    /// and not empty, else with `<home>/jwt_secret`, which is created too; with `RATCHET_JWT_ALGORITHM=EdDSA`, with a key pair whose
    /// private half is `<home>/jwt_ed25519.pem`. Homes that share a Postgres need one `RATCHET_JWT_SECRET`, or one copy of that file.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Address`], [`Error::Home`], [`Error::SecretTooShort`], [`Error::SecretFile`] or [`Error::Algorithm`],
    /// each with the remedy.
    pub async fn open(home: impl AsRef<Path>, database_url: Option<&str>) -> Result<Identity, Error> {
        let configured = std::env::var(secret::VARIABLE).ok().filter(|secret| !secret.is_empty());
        Identity::open_with_secret(home, database_url, configured.as_deref()).await
    }

    /// [`Identity::open`] with the secret as an argument instead of the environment's.
    ///
    /// # Errors
    /// As [`Identity::open`].
    pub async fn open_with_secret(
        home: impl AsRef<Path>,
        database_url: Option<&str>,
        configured: Option<&str>,
    ) -> Result<Identity, Error> {
        let algorithm = std::env::var(secret::ALGORITHM_VARIABLE).unwrap_or_default();
        Identity::open_signing(home, database_url, configured, &algorithm).await
    }

    /// [`Identity::open`] with secret and algorithm (`HS256`, also if empty, or `EdDSA`) as arguments.
    ///
    /// # Errors
    /// As [`Identity::open`].
    pub async fn open_signing(
        home: impl AsRef<Path>,
        database_url: Option<&str>,
        configured: Option<&str>,
        algorithm: &str,
    ) -> Result<Identity, Error> {
        let home = home.as_ref();
        tokio::fs::create_dir_all(home).await.map_err(|error| Error::Home {
            path: home.to_owned(),
            reason: error.to_string(),
        })?;
        let signer = secret::signer(home, configured, algorithm)?;
        let named = database_url.map(Address::parse).transpose()?;
        let address = named
            .filter(|address| address.kind() == Kind::Postgres)
            .unwrap_or_else(|| Address::file(&home.join("identity.sqlite")));
        let store = Store::open(&address).await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Identity {
            inner: Arc::new(Inner {
                store,
                signer,
                throttle: Throttle::default(),
                hashing: Semaphore::new(cores),
                callers: Memory::default(),
                keys: Memory::default(),
                tokens: VerifiedTokens::default(),
            }),
            audience: Audience::Api,
            actor: Arc::new(Actor::program()),
        })
    }

    /// The same, issuing and accepting tokens for another service than the prediction API.
    #[must_use]
    pub fn for_audience(&self, audience: Audience) -> Identity {
        Identity {
            audience,
            ..self.clone()
        }
    }

    /// The same, naming `actor` in the audit log for whatever it changes.
    #[must_use]
    pub fn acting(&self, actor: Actor) -> Identity {
        Identity {
            actor: Arc::new(actor),
            ..self.clone()
        }
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`Error::Username`], [`Error::PasswordRule`], [`Error::Exists`], or the database's.
    pub async fn add_user(&self, username: &str, password: &str, role: Role) -> Result<User, Error> {
        let stored = self.new_user(username, password, role).await?;
        let mut transaction = self.inner.store.write().await?;
        self.inner.store.insert(&mut transaction, &stored).await?;
        let act = Act::done("user.add", format!("{username} as {role}"));
        audit::append(&mut transaction, &self.actor, &act).await?;
        transaction.commit().await?;
        Ok(stored.user)
    }

    /// Adds this user as administrator if there is no administrator who may log in yet. Of several processes that start together one adds.
    ///
    /// # Errors
    /// As [`Identity::add_user`]; [`Error::Exists`] if the name belongs to someone who is no administrator.
    pub async fn ensure_administrator(&self, username: &str, password: &str) -> Result<Administrator, Error> {
        let stored = self.new_user(username, password, Role::Admin).await?;
        let mut transaction = self.inner.store.write().await?;
        if self.inner.store.has_admin(&mut transaction).await? {
            return Ok(Administrator::Present);
        }
        self.inner.store.insert(&mut transaction, &stored).await?;
        let act = Act::done("user.add", format!("{username} as {}", Role::Admin));
        audit::append(&mut transaction, &self.actor, &act).await?;
        transaction.commit().await?;
        Ok(Administrator::Added(stored.user))
    }

    /// All users by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self) -> Result<Vec<User>, Error> {
        self.inner.store.list().await
    }

    /// Removes a user; the user's tokens end within [`CALLER_MEMORY`](crate::memory::CALLER_MEMORY).
    ///
    /// # Errors
    /// [`Error::Unknown`], or the database's.
    pub async fn remove(&self, username: &str) -> Result<(), Error> {
        let mut transaction = self.inner.store.write().await?;
        self.inner.store.remove(&mut transaction, username).await?;
        audit::append(&mut transaction, &self.actor, &Act::done("user.remove", username)).await?;
        transaction.commit().await?;
        self.inner.callers.forget();
        Ok(())
    }

    /// Disables or enables a user; a disabled user's tokens end within [`CALLER_MEMORY`](crate::memory::CALLER_MEMORY).
    ///
    /// # Errors
    /// [`Error::Unknown`], or the database's.
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<(), Error> {
        let mut transaction = self.inner.store.write().await?;
        self.inner
            .store
            .set_disabled(&mut transaction, username, disabled)
            .await?;
        let action = if disabled { "user.disable" } else { "user.enable" };
        audit::append(&mut transaction, &self.actor, &Act::done(action, username)).await?;
        transaction.commit().await?;
        self.inner.callers.forget();
        Ok(())
    }

    /// The user with this name and password.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] for an unknown name, a wrong password and a disabled user alike, [`Error::Throttled`] after five of
    /// them within a minute, or the database's.
    pub async fn verify_password(&self, username: &str, password: &str) -> Result<User, Error> {
        let throttle = &self.inner.throttle;
        // A name that no user can have is refused below like any other, but does not become a key of ours.
        let key = if check_username(username).is_ok() { username } else { "" };
        let _turn = throttle.turn(key, Instant::now()).await;
        throttle
            .check(key, Instant::now())
            .map_err(|retry_after| Error::Throttled { retry_after })?;

        let stored = self.inner.store.by_username(username).await?;
        let (user, hash) = stored.map(|stored| (stored.user, stored.password_hash)).unzip();
        let password = password.to_owned();
        let matches = self
            .hashing(move || match hash {
                _ if password.len() > password::LONGEST => password::verify_nobody(""),
                Some(hash) => password::verify(&password, &hash),
                None => password::verify_nobody(&password),
            })
            .await?;
        match user.filter(|user| matches && !user.disabled) {
            Some(user) => {
                throttle.succeeded(key, Instant::now());
                Ok(user)
            }
            None => {
                throttle.failed(key, Instant::now());
                Err(Error::WrongCredentials)
            }
        }
    }

    /// A bearer token for a user, good for [`LIFETIME`].
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be signed.
    pub fn issue_token(&self, user: &User) -> Result<IssuedToken, Error> {
        self.inner.signer.issue(user, self.audience, Timestamp::now(), LIFETIME)
    }

    /// The user that a bearer token names, as the user is now; for an API key, a user of the key's role named `key:NAME`.
    ///
    /// # Errors
    /// [`Error::Token`] with the reason, or the database's.
    pub async fn verify_token(&self, token: &str) -> Result<User, Error> {
        if token.starts_with(api_key::PREFIX) {
            return self.verify_key(token).await;
        }
        let now = Timestamp::now().as_second();
        let id = match self.inner.tokens.user(token, self.audience, now) {
            Some(id) => id,
            None => {
                let claims = self.inner.signer.verify(token, self.audience)?;
                self.inner.tokens.remember(token, self.audience, &claims, now);
                claims.sub
            }
        };
        let user = self.inner.callers.get(id, self.inner.store.by_id(id)).await?;
        let user = user.ok_or(Error::Token("its user does not exist any more"))?;
        if user.disabled {
            Err(Error::Token("its user is disabled"))
        } else {
            Ok(user)
        }
    }

    /// The public keys that check tokens, as a JSON Web Key Set (RFC 7517); empty where a shared secret signs.
    pub fn public_keys(&self) -> PublicKeys {
        self.inner.signer.public_keys()
    }

    /// Closes the database: its write-ahead log is folded in.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    async fn new_user(&self, username: &str, password: &str, role: Role) -> Result<StoredUser, Error> {
        check_username(username)?;
        password::check_rules(password)?;
        let password = password.to_owned();
        let password_hash = self.hashing(move || password::hash(&password)).await??;
        let user = User {
            id: Uuid::now_v7(),
            username: username.to_owned(),
            role,
            created_at: Timestamp::now(),
            disabled: false,
        };
        Ok(StoredUser { user, password_hash })
    }

    /// Runs argon2 away from the threads that answer requests, a few at a time.
    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let failed = |reason: String| Error::Internal(format!("hashing a password stopped: {reason}"));
        let _permit = self
            .inner
            .hashing
            .acquire()
            .await
            .map_err(|error| failed(error.to_string()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
