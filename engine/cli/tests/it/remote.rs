//! `--server`: the same commands over the REST of `ratchet serve`.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{Called, called, command};

const DAG: &str = "name: good\nparams:\n  city: { type: string, default: York }\ntasks:\n  first: { uses: core.noop }\n  \
                   second: { uses: core.noop, needs: [first] }\n";

const SLOW: &str = "name: slow\ntasks:\n  wait: { uses: core.sleep, with: { seconds: 600 } }\n";

/// `ratchet serve` over a directory of its own; ended with the value.
struct Served {
    directory: tempfile::TempDir,
    child: Child,
    server: String,
}

impl Served {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("dags")).unwrap();
        std::fs::write(directory.path().join("dags/good.yaml"), DAG).unwrap();
        std::fs::write(directory.path().join("dags/slow.yaml"), SLOW).unwrap();
        for (name, role) in [("ada", "user"), ("olga", "operator")] {
            let mut add = command(directory.path(), &["users", "add", name, "--role", role]);
            called(add.env("RATCHET_PASSWORD", "correct horse")).done();
        }
        let mut serve = command(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines
            .find_map(|line| line.ok().filter(|line| line.starts_with("http://")))
            .unwrap();
        // Whoever writes into a pipe that nobody reads stops one day.
        std::thread::spawn(move || lines.for_each(drop));
        let server = line.split_whitespace().next().unwrap().to_owned();
        Self {
            directory,
            child,
            server,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn tokens(&self) -> PathBuf {
        self.path().join("config/ratchet/tokens.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.path(), arguments);
        command.env("XDG_CONFIG_HOME", self.path().join("config"));
        command
    }

    /// Asks the service.
    fn there(&self, arguments: &[&str]) -> Called {
        let arguments = [arguments, &["--server", &self.server]].concat();
        called(&mut self.command(&arguments))
    }

    /// Asks the home directory.
    fn here(&self, arguments: &[&str]) -> Called {
        called(&mut self.command(arguments))
    }

    fn log_in(&self, user: &str) -> Called {
        let mut login = self.command(&["login", "--server", &self.server, "--user", user]);
        called(login.env("RATCHET_PASSWORD", "correct horse"))
    }

    /// Starts a run and waits for its end.
    fn run(&self, arguments: &[&str]) -> String {
        let trigger = [&["dags", "trigger", "good", "--format", "json"], arguments].concat();
        let run = self.there(&trigger).done().json()["run"].as_str().unwrap().to_owned();
        let began = Instant::now();
        while self.there(&["runs", "show", &run, "--format", "json"]).done().json()["status"] == json!("running") {
            assert!(began.elapsed() < Duration::from_secs(30), "{run} does not end");
            std::thread::sleep(Duration::from_millis(100));
        }
        run
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_service_tells_the_same_as_the_home_directory() {
    let served = Served::start();
    served.log_in("olga").done();
    let run = served.run(&["-p", "city=Leeds"]);
    for arguments in [
        &["dags", "list"][..],
        &["dags", "list", "--format", "json"],
        &["dags", "show", "good", "--format", "json"],
        &["runs", "list"],
        &["runs", "list", "--format", "json"],
        &["runs", "list", "--dag", "other"],
        &["runs", "show", &run],
        &["runs", "show", &run, "--format", "json"],
        &["runs", "logs", &run],
        &["runs", "logs", &run, "first", "--format", "json"],
        &["models", "list"],
        &["models", "list", "--format", "json"],
    ] {
        let (here, there) = (served.here(arguments), served.there(arguments));
        assert_eq!(here.done().stdout, there.done().stdout, "{arguments:?}");
    }
    let document = served.there(&["runs", "show", &run, "--format", "json"]).json();
    assert_eq!(document["params"], json!({ "city": "Leeds" }));
    let listed = served.there(&["runs", "list", "--format", "json"]).json();
    assert_eq!(listed[0]["actor"], json!("olga"));
}

#[test]
fn the_token_is_kept_where_nobody_else_reads_it_and_the_role_holds() {
    let served = Served::start();
    let refused = served.there(&["runs", "list"]);
    assert!(
        refused.refused(2).stderr.contains("ratchet login --server"),
        "{refused:?}"
    );
    let said = served.log_in("ada");
    assert!(said.done().stdout.contains("as ada with the role user"), "{said:?}");
    let mode = std::fs::metadata(served.tokens()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    served.there(&["runs", "list"]).done();
    let refused = served.there(&["dags", "trigger", "good"]);
    assert!(
        refused.refused(2).stderr.contains("needs the role operator"),
        "{refused:?}"
    );
    let mut wrong = served.command(&["login", "--server", &served.server, "--user", "ada"]);
    called(wrong.env("RATCHET_PASSWORD", "wrong horse")).refused(2);
}

#[test]
fn a_key_does_for_a_program_until_it_is_revoked() {
    let served = Served::start();
    let made = served.here(&["keys", "add", "nightly", "--role", "operator", "--format", "json"]);
    let secret = made.done().json()["secret"].as_str().unwrap().to_owned();
    let trigger = [
        "dags",
        "trigger",
        "good",
        "--idempotency-key",
        "monday",
        "--format",
        "json",
        "--server",
    ];
    let ask = || {
        let arguments = [&trigger[..], &[&served.server]].concat();
        called(served.command(&arguments).env("RATCHET_TOKEN", &secret))
    };
    let first: Value = ask().done().json();
    assert_eq!(first["actor"], json!("key:nightly"));
    assert_eq!(ask().done().json()["run"], first["run"], "the same key is the same run");
    served.here(&["keys", "revoke", "nightly"]).done();
    std::thread::sleep(Duration::from_millis(2100));
    assert!(ask().refused(2).stderr.contains("revoked"));
    let listed = served.here(&["keys", "list"]);
    assert!(
        listed.done().stdout.contains("revoked") && !listed.stdout.contains(&secret),
        "{listed:?}"
    );
}

#[test]
fn runs_are_operated_on_as_at_home() {
    let served = Served::start();
    served.log_in("olga").done();
    let run = served.run(&[]);
    let nothing = served.there(&["runs", "retry", &run]);
    assert!(
        nothing.refused(2).stderr.contains("nothing to run again"),
        "{nothing:?}"
    );

    // Both say the same about the same state.
    for arguments in [
        &["runs", "mark", &run, "second", "failed"][..],
        &["runs", "mark", &run, "third", "failed"],
        &["runs", "cancel", &run],
        &["runs", "clear", &run, "third"],
        &["runs", "retry", &run, "--from", "third"],
        &["runs", "retry", &run, "-p", "town=Leeds"],
    ] {
        let (here, there) = (served.here(arguments), served.there(arguments));
        assert_eq!(
            (here.status, &here.stdout),
            (there.status, &there.stdout),
            "{arguments:?}"
        );
        if here.status != 0 {
            let message = |called: &Called| {
                let line = called.stderr.lines().next().unwrap();
                line.replace("params: ", "")
                    .replace("from: ", "")
                    .replace("tasks: ", "")
            };
            assert_eq!(message(&here), message(&there), "{arguments:?}");
        }
    }

    let retried = served.there(&["runs", "retry", &run, "--format", "json"]);
    let retried = retried.done().json();
    assert_eq!(
        (
            &retried["status"],
            &retried["tasks"][0]["attempts"],
            &retried["tasks"][1]["attempts"]
        ),
        (&json!("succeeded"), &json!(0), &json!(1))
    );
    let text = served.there(&["runs", "retry", &run, "--from", "first", "-p", "city=Leeds"]);
    assert!(text.done().stdout.contains("succeeded after"), "{text:?}");
    assert!(
        text.stderr.contains("of good"),
        "the id is told before the end: {text:?}"
    );

    let cleared = served.there(&["runs", "clear", &run, "first", "--only-task"]);
    let made = cleared.done().stdout.split_whitespace().nth(1).unwrap().to_owned();
    let began = Instant::now();
    loop {
        let shown = served.there(&["runs", "show", &made, "--format", "json"]).done().json();
        if shown["status"] == json!("succeeded") {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the service takes it: {shown}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }

    let slow = served
        .there(&["dags", "trigger", "slow", "--format", "json"])
        .done()
        .json();
    let slow = slow["run"].as_str().unwrap();
    let cancelled = served.there(&["runs", "cancel", slow]);
    assert_eq!(cancelled.done().stdout, format!("run {slow} of slow cancelled\n"));
    served.log_in("ada").done();
    let refused = served.there(&["runs", "mark", &run, "first", "failed"]);
    assert!(
        refused.refused(2).stderr.contains("needs the role operator"),
        "{refused:?}"
    );
}

#[test]
fn what_is_wrong_is_said_as_at_home() {
    let served = Served::start();
    served.log_in("olga").done();
    for arguments in [
        &["dags", "trigger", "none"][..],
        &["dags", "trigger", "good", "-p", "town=York"],
        &["dags", "trigger", "good", "-p", "city=York", "-p", "city=Leeds"],
        &["runs", "show", "ffffffff"],
        &["runs", "logs", "ffffffff"],
        &["models", "show", "trips"],
        &["models", "promote", "trips@3", "--reason", "because"],
        &["models", "rollback", "trips", "--reason", "because"],
        &["models", "rollback", "trips", "--reason", " "],
    ] {
        served.there(arguments).refused(2);
    }
    let route = [
        "models",
        "route",
        "trips",
        "champion=100",
        "--sticky",
        "kind",
        "--reason",
        "because",
    ];
    for called in [served.here(&route), served.there(&route)] {
        assert!(called.refused(2).stderr.contains("it has no champion"), "{called:?}");
    }
    let nobody = served.here(&["runs", "list", "--server", "127.0.0.1:8080"]);
    nobody.refused(2);
    let mut away = served.command(&["runs", "list", "--server", "http://127.0.0.1:1"]);
    called(away.env("RATCHET_TOKEN", "x")).refused(3);
}

#[test]
fn who_did_what_stands_in_the_audit_log_and_an_alteration_would_show() {
    let served = Served::start();
    served.log_in("olga").done();
    served.run(&[]);
    let entries = served.here(&["audit", "list", "--format", "json"]).done().json();
    let seen: Vec<(&str, &str, &str)> = entries
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().unwrap();
            (text("actor"), text("origin"), text("action"))
        })
        .collect();
    let expected = [
        ("ada", "local", "user.add"),
        ("ada", "local", "user.add"),
        ("olga", "127.0.0.1", "run.trigger"),
        ("olga", "127.0.0.1", "run.trigger"),
    ];
    assert_eq!(seen, expected);
    let check = served.here(&["audit", "verify"]);
    assert!(check.done().stdout.starts_with("4 entries"), "{check:?}");
}
