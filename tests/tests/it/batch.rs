//! A table is predicted by the program as it is shipped, in memory that does not grow with it.

use std::io::Write;

use serde_json::json;

use crate::support::{model, run_dag, task};
use crate::trips::Trips;

/// What the task may take. The engine ends one that takes more.
const MEMORY: &str = "128MiB";

const ROWS: usize = 3_000_000;

#[test]
fn a_table_of_any_length_is_predicted_in_constant_memory() {
    let trips = Trips::new("batch");
    let trained = trips.run(&[]);
    assert_eq!(model(&trained, "trip-time")["promoted"], json!(true), "{trained:#}");
    let rows = trips.home.join("rows.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&rows).unwrap());
    writeln!(file, "id,km,zone").unwrap();
    for row in 0..ROWS {
        writeln!(
            file,
            "t{row},{},{}",
            (row % 199) as f64 / 10.0,
            ["north", "south", "west"][row % 3]
        )
        .unwrap();
    }
    drop(file);
    let dag = trips.home.join("batch.yaml");
    let text = format!(
        "name: batch\ntasks:\n  rows:\n    uses: extract.file\n    with: {{ from: '{}' }}\n  predict:\n    uses: predict.batch\n    \
         resources: {{ memory: {MEMORY} }}\n    with: {{ table: '${{{{ tasks.rows.table }}}}', model: trip-time }}\n",
        rows.display()
    );
    std::fs::write(&dag, text).unwrap();
    let (status, document) = run_dag(trips.ratchet(), &dag, &[]);
    assert_eq!(status, 0, "{document:#}");
    let seconds = task(&document, "predict")["seconds"].as_f64().unwrap();
    let (_, dataset) = trips.ask(&["datasets", "show", "batch-predict"], &[]);
    assert_eq!(
        (&dataset["rows"], dataset["files"].as_array().unwrap().len()),
        (&json!(ROWS), 46),
        "{dataset:#}"
    );
    println!("{ROWS} rows in {seconds:.1} s, in less than {MEMORY}");
}
