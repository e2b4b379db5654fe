//! Users, passwords and tokens through the door of the crate.

use std::time::Duration;

use super::*;
use crate::memory::CALLER_MEMORY;

async fn opened() -> (tempfile::TempDir, Identity) {
    let home = tempfile::tempdir().unwrap();
    let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
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
async fn what_is_changed_stands_in_the_audit_log_with_who_did_it() {
    let (_home, identity) = opened().await;
    let by_root = identity.acting(Actor::new("root", "192.0.2.7"));
    by_root.add_user("ada", "correct horse", Role::User).await.unwrap();
    by_root.set_disabled("ada", true).await.unwrap();
    identity.remove("ada").await.unwrap();
    assert!(
        by_root.remove("ada").await.is_err(),
        "what did not happen is not written"
    );
    let entries = identity.audit_log(None, 10).await.unwrap();
    let seen: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| (entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str()))
        .collect();
    let expected = [
        ("root", "user.add", "ada as user"),
        ("root", "user.disable", "ada"),
        (Actor::program().name.as_str(), "user.remove", "ada"),
    ]
    .map(|(actor, action, subject)| (actor.to_owned(), action, subject));
    let expected: Vec<_> = expected
        .iter()
        .map(|(actor, action, subject)| (actor.as_str(), *action, *subject))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_token_for_the_engine_is_refused_by_the_prediction_api() {
    let (_home, identity) = opened().await;
    let engine = identity.for_audience(Audience::Engine);
    let user = identity.add_user("ada", "correct horse", Role::Admin).await.unwrap();
    let token = engine.issue_token(&user).unwrap().token;
    assert_eq!(engine.verify_token(&token).await.unwrap(), user);
    assert!(matches!(identity.verify_token(&token).await, Err(Error::Token(_))));
}

#[tokio::test]
async fn users_survive_a_restart_and_so_do_their_tokens() {
    let (home, identity) = opened().await;
    let user = identity.add_user("ada", "correct horse", Role::User).await.unwrap();
    let token = identity.issue_token(&user).unwrap().token;
    identity.close().await;
    let again = Identity::open_with_secret(home.path(), None, None).await.unwrap();
    assert_eq!(again.verify_token(&token).await.unwrap(), user);
    let other_secret = Identity::open_with_secret(home.path(), None, Some(&"x".repeat(32)))
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
    Identity::open_with_secret(home.path(), None, None)
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
            let identity = Identity::open_with_secret(&path, None, None).await.unwrap();
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
    let problem = Identity::open_with_secret(home.path(), None, None)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        problem.contains("identity.sqlite") && problem.contains("RATCHET_HOME"),
        "{problem}"
    );
}

#[tokio::test]
async fn while_the_database_is_away_who_was_known_is_let_in_and_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let identity = Identity::open_with_secret(home.path(), None, None).await.unwrap();
    let ada = identity.add_user("ada", "correct horse", Role::User).await.unwrap();
    let bob = identity.add_user("bob", "correct horse", Role::User).await.unwrap();
    let token = |user| identity.issue_token(user).unwrap().token;
    let (known, unknown) = (token(&ada), token(&bob));
    let key = identity.add_key("nightly", Role::User, 1).await.unwrap().secret;
    let other = identity.add_key("other", Role::User, 1).await.unwrap().secret;
    for bearer in [&known, &key] {
        identity.verify_token(bearer).await.unwrap();
    }
    identity.close().await;
    tokio::time::sleep(CALLER_MEMORY + Duration::from_millis(100)).await;
    for bearer in [&known, &key] {
        assert!(identity.verify_token(bearer).await.is_ok());
    }
    for bearer in [&unknown, &other] {
        assert!(matches!(identity.verify_token(bearer).await, Err(Error::Database(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Postgres; `make test` runs it where there is one"]
async fn postgres_keeps_users_for_homes_that_share_it() {
    let mut server = ratchet_database::test_server::PostgresServer::start().await;
    let url = server.database("people").await;
    let secret = "s".repeat(32);
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let open = |home: &tempfile::TempDir| {
        let (path, url, secret) = (home.path().to_owned(), url.clone(), secret.clone());
        async move {
            Identity::open_with_secret(path, Some(&url), Some(&secret))
                .await
                .unwrap()
        }
    };
    let (one, other) = tokio::join!(open(&homes[0]), open(&homes[1]));
    assert!(!homes[0].path().join("identity.sqlite").exists());

    let starts = (0..8).map(|number| {
        let identity = if number % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move {
            let administrator = identity
                .ensure_administrator(&format!("root{number}"), "correct horse")
                .await;
            identity
                .add_user(&format!("user{number}"), "correct horse", Role::User)
                .await
                .unwrap();
            administrator.unwrap()
        })
    });
    let mut added = 0;
    for start in starts.collect::<Vec<_>>() {
        added += usize::from(matches!(start.await.unwrap(), Administrator::Added(_)));
    }
    assert_eq!(added, 1);
    let check = one.verify_audit().await.unwrap();
    assert_eq!((check.intact, check.broken), (9, None), "writers took turns");
    assert_eq!(other.audit_log(Some(4), 2).await.unwrap().len(), 2);
    assert_eq!(other.audit_log(None, 100).await.unwrap().len(), 9);

    let user = other.verify_password("user0", "correct horse").await.unwrap();
    let token = other.issue_token(&user).unwrap().token;
    let first = other.issue_refresh(&user).await.unwrap().secret;
    let (_, next) = one.rotate_refresh(&first).await.unwrap();
    assert!(
        matches!(other.rotate_refresh(&first).await, Err(Error::Token(_))),
        "used twice"
    );
    assert!(
        matches!(one.rotate_refresh(&next.secret).await, Err(Error::Token(_))),
        "the family ended"
    );
    let key = one.add_key("nightly", Role::User, 1).await.unwrap().secret;
    assert!(matches!(
        other.add_key("nightly", Role::User, 1).await,
        Err(Error::KeyExists(_))
    ));
    for bearer in [&token, &key] {
        one.verify_token(bearer).await.unwrap();
    }
    let stranger = one.verify_password("user1", "correct horse").await.unwrap();
    let unknown = one.issue_token(&stranger).unwrap().token;

    server.stop();
    tokio::time::sleep(CALLER_MEMORY + Duration::from_millis(100)).await;
    let asked = Instant::now();
    for bearer in [&token, &key, &token, &key] {
        assert!(one.verify_token(bearer).await.is_ok());
    }
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert!(matches!(one.verify_token(&unknown).await, Err(Error::Database(_))));

    server.start_again().await;
    other.remove("user0").await.unwrap();
    other.revoke_key("nightly").await.unwrap();
    let removed = Instant::now();
    for bearer in [&token, &key] {
        while !matches!(one.verify_token(bearer).await, Err(Error::Token(_))) {
            assert!(removed.elapsed() < Duration::from_secs(5), "gone within five seconds");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
