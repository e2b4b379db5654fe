//! Promotions and rollbacks while predictions are asked for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratchet_artifacts::{Bucket, models};
use ratchet_model::features::LookupTables;
use ratchet_model::predictor::{Forest, Predictor};
use ratchet_model::{Bundle, Content};
use serde_json::Value;

use crate::support::{Client, bundle, copy_of, ratchet, real_run, runtime, start_api, text};

const MODEL: &str = "lfb-response-time";
const COPIES: usize = 39;

/// The same trees many times over, each with its share of the value: a bundle of nearly 20 MB that answers alike.
fn large(content: &Content) -> Content {
    let mut content = content.clone();
    let Predictor::Forest(forest) = &content.outputs[0].predictor else {
        panic!("the champion is a forest")
    };
    let small = forest.to_arrays();
    let mut arrays = small.clone();
    arrays.numbers.clear();
    arrays.features.clear();
    arrays.rights.clear();
    arrays.roots.clear();
    // Without them it answers alike and explains nothing.
    arrays.covers = None;
    for copy in 0..COPIES {
        let offset = u32::try_from(copy * small.numbers.len()).unwrap();
        arrays.roots.extend(small.roots.iter().map(|root| root + offset));
        for node in 0..small.numbers.len() {
            let leaf = small.features[node] == u32::MAX;
            arrays.numbers.push(if leaf {
                small.numbers[node] / COPIES as f64
            } else {
                small.numbers[node]
            });
            arrays.features.push(small.features[node]);
            // The top bit of a right child says where missing values go; it stays.
            arrays.rights.push(if leaf { 0 } else { small.rights[node] + offset });
        }
    }
    content.outputs[0].predictor = Predictor::Forest(Forest::from_arrays(arrays).unwrap());
    content
}

async fn register_large(home: &Path) -> u64 {
    let small = bundle(home, MODEL, 1).await;
    let bytes = Bundle::write(large(small.content()), small.golden_rows(), &LookupTables::new()).unwrap();
    println!("bundle of {:.1} MB", bytes.len() as f64 / 1e6);
    assert!(
        (18_000_000..=20_000_000).contains(&bytes.len()),
        "{} bytes",
        bytes.len()
    );
    let bucket = Bucket::open(&home.join("bucket").display().to_string()).await.unwrap();
    let first = models::get(&bucket, MODEL, 1).await.unwrap().unwrap();
    let new = models::NewModel {
        name: MODEL.to_owned(),
        bundle: bucket.put_blob(bytes.into()).await.unwrap(),
        metrics: first.metrics,
        rows: first.rows,
        parameters: first.parameters,
        report: Value::Null,
        lineage: first.lineage,
        key: "hot-load/large".to_owned(),
    };
    models::register(&bucket, new).await.unwrap().version
}

/// Changes production by the command line and returns the moment when the entry stood in the log.
fn change(home: &Path, arguments: &[&str]) -> Instant {
    let output = ratchet(home).args(["models"]).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Instant::now()
}

async fn served(client: &Client, example: &Value) -> u64 {
    let (status, answer) = client.post("/predict/time_pump", example).await;
    assert_eq!(status, 200, "{answer:#}");
    answer["model"]["version"].as_u64().unwrap()
}

#[test]
fn two_replicas_swap_within_two_seconds_and_no_request_fails() {
    let Some(run) = real_run() else { return };
    let home = copy_of(&run.home, "hot");
    let store = home.join("bucket").display().to_string();
    let replicas = ["one", "two"].map(|name| start_api(&crate::support::directory(name), Some(&store), &[]));
    runtime().block_on(async {
        let second = register_large(&home).await;
        let example = Value::Object(bundle(&home, MODEL, 1).await.example());
        let mut clients = Vec::new();
        for replica in &replicas {
            clients.push(Client::log_in(replica).await);
        }
        // Four loops of requests against the two replicas, until told to stop.
        let stop = Arc::new(AtomicBool::new(false));
        let mut loops = Vec::new();
        for client in clients.iter().chain(&clients) {
            let (client, stop, example) = (client.clone(), stop.clone(), example.clone());
            loops.push(tokio::spawn(async move {
                let (mut count, mut versions) = (0_u64, std::collections::BTreeSet::new());
                while !stop.load(Ordering::Relaxed) {
                    versions.insert(served(&client, &example).await);
                    count += 1;
                }
                (count, versions)
            }));
        }
        let mut slowest = Duration::ZERO;
        for round in 0..4 {
            let (version, entered) = if round % 2 == 0 {
                // A rollback bars the digest from unattended promotion; a person may promote it again.
                (
                    second,
                    change(&home, &["promote", &format!("{MODEL}@{second}"), "--reason", "round"]),
                )
            } else {
                (1, change(&home, &["rollback", MODEL, "--reason", "round"]))
            };
            for (replica, client) in clients.iter().enumerate() {
                while served(client, &example).await != version {
                    assert!(
                        entered.elapsed() < Duration::from_secs(2),
                        "replica {replica} is late in round {round}"
                    );
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                slowest = slowest.max(entered.elapsed());
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut total = 0;
        for requests in loops {
            let (count, versions) = requests.await.unwrap();
            assert!(versions.iter().all(|version| *version == 1 || *version == second));
            assert_eq!(versions.len(), 2, "each loop met both versions");
            total += count;
        }
        println!(
            "{total} requests during 4 changes, none failed; slowest change {:.2} s after its entry",
            slowest.as_secs_f64()
        );
    });
}
