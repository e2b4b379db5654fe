//! From a key that OpenSSL made to an API that serves nothing unsigned.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Client, Server, failure, program, runtime, start_api, text};
use crate::trips::{Trips, table};
use serde_json::{Value, json};

/// A pair of keys, as the guide has them made.
fn pair(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (private, public) = (
        directory.join(format!("{name}.pem")),
        directory.join(format!("{name}.pub.pem")),
    );
    let openssl = |arguments: &[&str], file: &Path| {
        let done = Command::new("openssl").args(arguments).arg("-out").arg(file).status();
        assert!(done.unwrap().success(), "openssl {arguments:?}");
    };
    openssl(&["genpkey", "-algorithm", "ed25519"], &private);
    openssl(&["pkey", "-in", private.to_str().unwrap(), "-pubout"], &public);
    (private, public)
}

fn served(server: &Server) -> Value {
    runtime().block_on(async {
        let client = Client::log_in(server).await;
        for _ in 0..200 {
            let (_, health) = client.get("/health").await;
            let model = &health["models"][0];
            if health["status"] != "starting" && model["state"] != "loading" {
                return model.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("it starts for ever");
    })
}

#[test]
fn what_a_run_registers_and_promotes_is_signed_verified_and_served() {
    let trips = Trips::new("signatures");
    let (private, public) = pair(&trips.home, "ours");
    trips.run(&[("RATCHET_SIGNING_KEY", &private)]);
    let verify = ["models", "verify", "trip-time@1"];
    let trusting: [(&str, &Path); 1] = [("RATCHET_TRUSTED_KEYS", &public)];
    let (status, document) = trips.ask(&verify, &trusting);
    assert_eq!((status, &document["holds"]), (0, &json!(true)), "{document:#}");
    let checks: Vec<&str> = document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        checks,
        [
            "bundle",
            "structure",
            "golden rows",
            "manifest",
            "promotion log",
            "entry 1 (promote to champion)"
        ]
    );
    assert!(
        document["checks"][5]["detail"]
            .as_str()
            .unwrap()
            .ends_with("a trusted key"),
        "{document:#}"
    );

    // The second version is nobody's, and it is the champion by the log.
    trips.write(&table(2));
    trips.run(&[]);
    let by_hand = ["models", "promote", "trip-time@2", "--reason", "it is newer"];
    let (_, entry) = trips.ask(&by_hand, &[]);
    assert_eq!(entry["version"], 2, "{entry:#}");
    let (status, document) = trips.ask(&["models", "verify", "trip-time@2"], &trusting);
    assert_eq!((status, &document["holds"]), (1, &json!(false)));
    assert!(
        document["checks"][3]["detail"]
            .as_str()
            .unwrap()
            .contains("is not signed"),
        "{document:#}"
    );
    // Where nobody is trusted nobody can be missed.
    assert_eq!(trips.ask(&["models", "verify", "trip-time@2"], &[]).0, 0);

    let keys = public.display().to_string();
    let environment = [
        ("RATCHET_TRUSTED_KEYS", keys.as_str()),
        ("RATCHET_REQUIRE_SIGNATURES", "true"),
    ];
    let server = start_api(&trips.home, None, &environment);
    let model = served(&server);
    assert_eq!(
        (&model["promoted"]["version"], &model["served"]["version"]),
        (&json!(2), &json!(1)),
        "{model:#}"
    );
    assert_eq!(model["reason"]["code"], "signature");
}

#[test]
fn keys_that_are_none_are_refused_with_the_remedy() {
    let trips = Trips::new("bad-keys");
    std::fs::write(trips.home.join("nonsense.pem"), "nonsense").unwrap();
    let mut run = trips.ratchet();
    run.args(["models", "list"])
        .env("RATCHET_SIGNING_KEY", trips.home.join("nonsense.pem"));
    let (status, _, said) = failure(run);
    assert_eq!(status, 2);
    assert!(
        said.contains("nonsense.pem holds no usable private key") && said.contains("openssl genpkey"),
        "{said}"
    );

    let serve = Command::new(program("ratchet-api"))
        .args(["serve", "--listen", "127.0.0.1:0", "--require-signatures", "--home"])
        .arg(&trips.home)
        .output()
        .unwrap();
    assert_eq!(serve.status.code(), Some(2));
    assert!(
        text(&serve.stderr).contains("--trusted-keys"),
        "{}",
        text(&serve.stderr)
    );
}
