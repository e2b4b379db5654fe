//! A small table of made-up trips and a DAG that learns from it, for tests that look at what a run leaves.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{directory, ratchet, run_dag};

/// Trains a boosted model on the table and promotes it.
const DAG: &str = r#"
name: trips
params:
  trips: { type: string, description: where the trips are }
tasks:
  trips:
    uses: extract.file
    with:
      from: "${{ params.trips }}"
      types: { at: timestamp }
      known: { call: [id, at, km, zone], after: [minutes] }
      dataset: trips
  gate:
    uses: quality.gate
    with:
      table: "${{ tasks.trips.table }}"
      expect: [{ row_count: { min: 1000 } }]
  profile:
    uses: profile.report
    with: { table: "${{ tasks.trips.table }}" }
  train:
    uses: train.model
    with:
      model: trip-time
      table: "${{ tasks.gate.table }}"
      target: { regression: { column: minutes, answer: minutes } }
      predict_at: call
      time: at
      train_until: "2024-03-01"
      holdout_until: "2024-04-01"
      features:
        - number: { fields: [km] }
        - one_hot: { field: zone }
      candidates: [{ linear: {} }, { boosting: { trees: 30, learning_rate: 0.2, leaves: 8, leaf_weight: 20 } }]
  compare:
    uses: compare.champion
    with: { challenger: "${{ tasks.train.model }}", table: "${{ tasks.gate.table }}" }
  promote:
    uses: promote.model
    when: "${{ tasks.compare.better }}"
    with: { model: "${{ tasks.train.model }}", comparison: "${{ tasks.compare.comparison }}" }
"#;

/// Forty trips a day in the first quarter of 2024. Another `seed` makes other trips.
pub fn table(seed: u64) -> String {
    let mut state = seed;
    let mut next = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = "id,at,km,zone,minutes\n".to_owned();
    for day in 0..91_u64 {
        let (month, day_of_month) = match day {
            0..31 => (1, day + 1),
            31..60 => (2, day - 30),
            _ => (3, day - 59),
        };
        for trip in 0..40 {
            let (km, zone) = (next(200) as f64 / 10.0, ["north", "south", "west"][next(3) as usize]);
            let slow = if zone == "north" { 6.0 } else { 0.0 };
            let minutes = 4.0 + 2.5 * km + slow + next(50) as f64 / 10.0;
            let (hour, minute) = (next(24), next(60));
            text.push_str(&format!(
                "t{}-{trip},2024-{month:02}-{day_of_month:02} {hour:02}:{minute:02}:00,{km},{zone},{minutes}\n",
                day + 1
            ));
        }
    }
    text
}

/// A home with the table, the DAG, and what runs of it leave.
pub struct Trips {
    pub home: PathBuf,
}

impl Trips {
    pub fn new(name: &str) -> Trips {
        let home = directory(name);
        let trips = Trips { home };
        trips.write(&table(1));
        std::fs::write(trips.home.join("trips.yaml"), DAG).unwrap();
        trips
    }

    pub fn write(&self, table: &str) {
        std::fs::write(self.source(), table).unwrap();
    }

    pub fn source(&self) -> PathBuf {
        self.home.join("trips.csv")
    }

    pub fn dag(&self) -> PathBuf {
        self.home.join("trips.yaml")
    }

    /// `ratchet` in this home.
    pub fn ratchet(&self) -> Command {
        ratchet(&self.home)
    }

    /// Runs the DAG and returns its document; it has to succeed.
    pub fn run(&self, environment: &[(&str, &Path)]) -> Value {
        let mut command = self.ratchet();
        command.envs(environment.iter().copied());
        let parameters = [("trips", self.source().display().to_string())];
        let (status, document) = run_dag(command, &self.dag(), &parameters);
        assert_eq!(status, 0, "{document:#}");
        document
    }

    /// Calls `ratchet` with `--format json`; status and document.
    pub fn ask(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> (i32, Value) {
        let mut command = self.ratchet();
        command
            .args(arguments)
            .args(["--format", "json"])
            .envs(environment.iter().copied());
        let output = command.output().unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}\n{}", String::from_utf8_lossy(&output.stderr));
        });
        (output.status.code().unwrap(), document)
    }
}
