//! The users of one home, and everything that is asked about them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::error::Error;
use crate::password;
use crate::role::Role;
use crate::secret;
use crate::store::{Store, StoredUser};
use crate::throttle::Throttle;
use crate::token::{IssuedToken, LIFETIME, Signer};
use crate::user::{User, check_username};

/// How long a token's user is remembered before the database is asked again: a removed user gets in for this long at most.
pub const CALLER_MEMORY: Duration = Duration::from_secs(2);
/// Users remembered at once.
const CALLERS_KEPT: usize = 4096;

/// What [`Identity::ensure_administrator`] found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Administrator {
    /// There was none, and this one was added.
    Added(User),
    /// There is one already; nothing was changed.
    Present,
}

/// Users, passwords and tokens of one home. A clone shares everything.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    signer: Signer,
    throttle: Throttle,
    /// Each hash takes 19 MiB and a core: a burst of logins waits here instead of taking the machine.
    hashing: Semaphore,
    callers: Mutex<HashMap<Uuid, (Instant, User)>>,
}

impl Identity {
    /// Opens `<home>/identity.sqlite`, creating home and file on first use. Tokens are signed with `RATCHET_JWT_SECRET` if it is set
    /// and not empty, else with `<home>/jwt_secret`, which is created too.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Newer`], [`Error::SecretTooShort`] or [`Error::SecretFile`], each with the remedy.
    pub async fn open(home: impl AsRef<Path>) -> Result<Identity, Error> {
        let configured = std::env::var(secret::VARIABLE).ok().filter(|secret| !secret.is_empty());
        Identity::open_with_secret(home, configured.as_deref()).await
    }

    /// [`Identity::open`] with the secret as an argument instead of the environment's.
    ///
    /// # Errors
    /// As [`Identity::open`].
    pub async fn open_with_secret(home: impl AsRef<Path>, configured: Option<&str>) -> Result<Identity, Error> {
        let home = home.as_ref();
        let path = home.join("identity.sqlite");
        tokio::fs::create_dir_all(home).await.map_err(|error| Error::Open {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let signer = Signer::new(&secret::load(home, configured)?);
        let store = Store::open(&path).await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Identity {
            inner: Arc::new(Inner {
                store,
                signer,
                throttle: Throttle::default(),
                hashing: Semaphore::new(cores),
                callers: Mutex::default(),
            }),
        })
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`Error::Username`], [`Error::PasswordRule`], [`Error::Exists`], or the database's.
    pub async fn add_user(&self, username: &str, password: &str, role: Role) -> Result<User, Error> {
        let stored = self.new_user(username, password, role).await?;
        let mut transaction = self.inner.store.write().await?;
        self.inner.store.insert(&mut transaction, &stored).await?;
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

    /// Removes a user; the user's tokens end within [`CALLER_MEMORY`].
    ///
    /// # Errors
    /// [`Error::Unknown`], or the database's.
    pub async fn remove(&self, username: &str) -> Result<(), Error> {
        self.inner.store.remove(username).await?;
        self.forget_callers();
        Ok(())
    }

    /// Disables or enables a user; a disabled user's tokens end within [`CALLER_MEMORY`].
    ///
    /// # Errors
    /// [`Error::Unknown`], or the database's.
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<(), Error> {
        self.inner.store.set_disabled(username, disabled).await?;
        self.forget_callers();
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
        self.inner.signer.issue(user, Timestamp::now(), LIFETIME)
    }

    /// The user that a bearer token names, as the user is now.
    ///
    /// # Errors
    /// [`Error::Token`] with the reason, or the database's.
    pub async fn verify_token(&self, token: &str) -> Result<User, Error> {
        let claims = self.inner.signer.verify(token)?;
        let user = match self.remembered(claims.sub) {
            Some(user) => user,
            None => {
                let found = self.inner.store.by_id(claims.sub).await?;
                let user = found.ok_or(Error::Token("its user does not exist any more"))?;
                self.remember(&user);
                user
            }
        };
        if user.disabled {
            Err(Error::Token("its user is disabled"))
        } else {
            Ok(user)
        }
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

    fn remembered(&self, id: Uuid) -> Option<User> {
        let callers = self.inner.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers
            .get(&id)
            .filter(|(since, _)| since.elapsed() < CALLER_MEMORY)
            .map(|(_, user)| user.clone())
    }

    fn remember(&self, user: &User) {
        let mut callers = self.inner.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CALLERS_KEPT {
            callers.clear();
        }
        callers.insert(user.id, (Instant::now(), user.clone()));
    }

    fn forget_callers(&self) {
        self.inner
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn opened() -> (tempfile::TempDir, Identity) {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::open_with_secret(home.path(), None).await.unwrap();
        (home, identity)
    }

    #[tokio::test]
    async fn a_user_logs_in_and_the_token_names_the_user() {
        let (_home, identity) = opened().await;
        let added = identity.add_user("ada", "correct horse", Role::Operator).await.unwrap();
        let user = identity.verify_password("ada", "correct horse").await.unwrap();
        assert_eq!(user, added);
        let issued = identity.issue_token(&user).unwrap();
        assert_eq!(issued.expires_in, Duration::from_secs(3600));
        assert_eq!(identity.verify_token(&issued.token).await.unwrap(), added);
    }

    #[tokio::test]
    async fn users_survive_a_restart_and_so_do_their_tokens() {
        let (home, identity) = opened().await;
        let user = identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        let token = identity.issue_token(&user).unwrap().token;
        identity.close().await;
        let again = Identity::open_with_secret(home.path(), None).await.unwrap();
        assert_eq!(again.verify_token(&token).await.unwrap(), user);
        let other_secret = Identity::open_with_secret(home.path(), Some(&"x".repeat(32)))
            .await
            .unwrap();
        assert!(matches!(other_secret.verify_token(&token).await, Err(Error::Token(_))));
    }

    #[tokio::test]
    async fn wrong_unknown_and_disabled_are_told_in_the_same_words() {
        let (_home, identity) = opened().await;
        identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        identity.add_user("bob", "correct horse", Role::User).await.unwrap();
        identity.set_disabled("bob", true).await.unwrap();
        for (username, password) in [
            ("ada", "wrong horse"),
            ("eve", "correct horse"),
            ("bob", "correct horse"),
            ("no such\nname", "correct horse"),
            ("ada", &"x".repeat(5000)),
        ] {
            let problem = identity.verify_password(username, password).await.unwrap_err();
            assert_eq!(
                problem.to_string(),
                "the username or the password is wrong",
                "{username:?}"
            );
        }
    }

    #[tokio::test]
    async fn guesses_sent_at_once_are_throttled_like_guesses_in_a_row() {
        let (_home, identity) = opened().await;
        identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        let guesses = (0..12).map(|number| {
            let identity = identity.clone();
            tokio::spawn(async move { identity.verify_password("ada", &format!("guess {number}")).await })
        });
        let (mut wrong, mut throttled) = (0, 0);
        for guess in guesses.collect::<Vec<_>>() {
            match guess.await.unwrap() {
                Err(Error::WrongCredentials) => wrong += 1,
                Err(Error::Throttled { retry_after }) => {
                    assert!(retry_after <= Duration::from_secs(60) && retry_after >= Duration::from_secs(1));
                    throttled += 1;
                }
                other => assert!(other.is_err(), "a guess got in"),
            }
        }
        assert_eq!((wrong, throttled), (5, 7));
        assert!(matches!(
            identity.verify_password("ada", "correct horse").await,
            Err(Error::Throttled { .. })
        ));
    }

    #[tokio::test]
    async fn logins_of_one_user_at_once_all_succeed() {
        let (_home, identity) = opened().await;
        identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        let logins = (0..8).map(|_| {
            let identity = identity.clone();
            tokio::spawn(async move { identity.verify_password("ada", "correct horse").await.is_ok() })
        });
        for login in logins.collect::<Vec<_>>() {
            assert!(login.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_removed_user_is_out_and_a_namesake_does_not_inherit_the_token() {
        let (_home, identity) = opened().await;
        let first = identity.add_user("ada", "correct horse", Role::Admin).await.unwrap();
        let token = identity.issue_token(&first).unwrap().token;
        identity.verify_token(&token).await.unwrap();
        identity.remove("ada").await.unwrap();
        identity.add_user("ada", "battery staple", Role::User).await.unwrap();
        assert!(matches!(identity.verify_token(&token).await, Err(Error::Token(_))));
        assert!(matches!(identity.remove("eve").await, Err(Error::Unknown(_))));
    }

    #[tokio::test]
    async fn a_removal_by_another_process_ends_the_token_after_the_memory() {
        let (home, identity) = opened().await;
        let user = identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        let token = identity.issue_token(&user).unwrap().token;
        identity.verify_token(&token).await.unwrap();
        Identity::open_with_secret(home.path(), None)
            .await
            .unwrap()
            .remove("ada")
            .await
            .unwrap();
        tokio::time::sleep(CALLER_MEMORY + Duration::from_millis(50)).await;
        assert!(matches!(identity.verify_token(&token).await, Err(Error::Token(_))));
    }

    #[tokio::test]
    async fn names_are_unique_and_checked_and_listed_in_order() {
        let (_home, identity) = opened().await;
        for name in ["bob", "ada"] {
            identity.add_user(name, "correct horse", Role::User).await.unwrap();
        }
        assert!(matches!(
            identity.add_user("ada", "correct horse", Role::User).await,
            Err(Error::Exists(name)) if name == "ada"
        ));
        assert!(matches!(
            identity.add_user("no name", "correct horse", Role::User).await,
            Err(Error::Username(_))
        ));
        assert!(matches!(
            identity.add_user("eve", "short", Role::User).await,
            Err(Error::PasswordRule(_))
        ));
        let names: Vec<_> = identity
            .list()
            .await
            .unwrap()
            .into_iter()
            .map(|user| user.username)
            .collect();
        assert_eq!(names, ["ada", "bob"]);
    }

    #[tokio::test]
    async fn processes_that_start_together_make_one_administrator() {
        let home = tempfile::tempdir().unwrap();
        let starts = (0..4).map(|number| {
            let path = home.path().to_owned();
            tokio::spawn(async move {
                let identity = Identity::open_with_secret(&path, None).await.unwrap();
                identity
                    .ensure_administrator(&format!("root{number}"), "correct horse")
                    .await
                    .unwrap()
            })
        });
        let mut added = 0;
        for start in starts.collect::<Vec<_>>() {
            added += usize::from(matches!(start.await.unwrap(), Administrator::Added(_)));
        }
        assert_eq!(added, 1);
    }

    #[tokio::test]
    async fn an_ordinary_user_is_not_raised_by_the_environment() {
        let (_home, identity) = opened().await;
        identity.add_user("ada", "correct horse", Role::User).await.unwrap();
        assert!(matches!(
            identity.ensure_administrator("ada", "battery staple").await,
            Err(Error::Exists(_))
        ));
        assert_eq!(identity.list().await.unwrap()[0].role, Role::User);
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_the_remedy() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join("identity.sqlite"),
            "this is no database, it is a letter to a friend",
        )
        .unwrap();
        let problem = Identity::open_with_secret(home.path(), None)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            problem.contains("identity.sqlite") && problem.contains("RATCHET_HOME"),
            "{problem}"
        );
    }
}
