//! The binary: exit status and the one message.

use std::process::{Command, Output};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratchet-api"));
    for name in [
        "RATCHET_HOME",
        "RATCHET_STORE",
        "RATCHET_JWT_SECRET",
        "RATCHET_ADMIN_USERNAME",
        "RATCHET_ADMIN_PASSWORD",
    ] {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .env("RUST_LOG", "off")
        .output()
        .unwrap()
}

fn outcome(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_document_is_printed() {
    let output = run(&["openapi"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/token"].is_object());
}

#[test]
fn wrong_input_ends_with_status_2_and_one_message() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 12] = [
        (&["serve", "--store", "ftp://example.org/x"], &[], "ftp"),
        (&["serve", "--listen", "nowhere"], &[], "--listen"),
        (&["serve", "--listen", "127.0.0.1:99999"], &[], "--listen"),
        (&["serve"], &[("RATCHET_JWT_SECRET", "short")], "at least 32"),
        (
            &["serve"],
            &[("RATCHET_ADMIN_USERNAME", "root")],
            "RATCHET_ADMIN_PASSWORD",
        ),
        (
            &["serve"],
            &[("RATCHET_ADMIN_USERNAME", "root"), ("RATCHET_ADMIN_PASSWORD", "short")],
            "at least 8 characters",
        ),
        (&["serve", "--memory-limit", "much"], &[], "--memory-limit"),
        (&["serve"], &[("RATCHET_JWT_ALGORITHM", "none")], "HS256 or EdDSA"),
        (&["serve"], &[("RATCHET_CORS_ORIGINS", "*")], "RATCHET_CORS_ORIGINS"),
        (&["serve"], &[("RATCHET_RATE_LIMIT", "0")], "above 0"),
        (&["serve"], &[("RATCHET_TLS_CERT", "/nowhere.pem")], "--tls-key"),
        (
            &["serve", "--listen", "127.0.0.1:0"],
            &[
                ("RATCHET_TLS_CERT", "/nowhere.pem"),
                ("RATCHET_TLS_KEY", "/nowhere.pem"),
            ],
            "RATCHET_TLS_CERT",
        ),
    ];
    for (arguments, environment, said) in cases {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--home", home]).collect();
        let (status, message) = outcome(&run(&arguments, environment));
        assert_eq!(status, Some(2), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {message}");
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn a_store_that_cannot_be_reached_ends_with_status_3() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "serve",
        "--home",
        home.path().to_str().unwrap(),
        "--store",
        "/dev/null/bucket",
    ];
    let (status, message) = outcome(&run(&arguments, &[]));
    assert_eq!(status, Some(3), "{message}");
    assert!(
        message.contains("/dev/null/bucket") && message.lines().count() == 1,
        "{message}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--home", home.path().to_str().unwrap(), "--listen", &address];
    let (status, message) = outcome(&run(&arguments, &[]));
    assert_eq!(status, Some(2), "{message}");
    assert!(message.contains(&address), "{message}");
}
