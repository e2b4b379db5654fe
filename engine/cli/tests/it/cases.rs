//! `ratchet test`.

use std::path::Path;

use crate::program::{directory_with, ratchet};

const DAG: &str = r#"
name: trips
params:
  least: { type: integer, default: 0, minimum: 0 }
  city: { type: string }
tasks:
  raw: { uses: extract.file, with: { from: missing.csv } }
  extra: { uses: extract.file, with: { from: missing.csv } }
  cities:
    uses: transform.sql
    when: ${{ params.city != 'nowhere' }}
    with:
      tables: { trips: "${{ tasks.raw.table }}" }
      sql: |
        SELECT city, COUNT(*) AS trips, AVG(minutes) AS minutes FROM trips
        WHERE minutes >= ${{ params.least }} GROUP BY city
      sort: [city]
  checked:
    uses: quality.gate
    needs: [extra]
    with:
      table: ${{ tasks.cities.table }}
      expect: [{ row_count: { min: 2 } }]
"#;

const CASES: &str = r#"
dag: ../trips.yaml
cases:
  - name: trips are counted by city
    task: cities
    params: { city: Leeds }
    given:
      raw:
        table:
          csv: |
            city,minutes
            York,7
            Leeds,12
            Leeds,17
    expect:
      table:
        row_count: 2
        columns: [city, trips, minutes]
        rows:
          - { city: Leeds, trips: 2, minutes: 14.5 }
          - { city: York, minutes: 7 }

  - name: short trips do not count
    task: cities
    params: { city: Leeds, least: 10 }
    given:
      raw:
        table: { rows: [{ city: York, minutes: 7 }, { city: Leeds, minutes: 12 }] }
    expect:
      table: { rows: [{ city: Leeds, trips: 1 }] }

  - name: nowhere is left out
    task: cities
    params: { city: nowhere }
    given: { raw: { table: { from: small.csv } } }
    is_skipped: true

  - name: one city is too few
    task: checked
    params: { city: Leeds }
    given:
      cities:
        table: { from: small.csv }
    fails: row_count
"#;

fn directory(cases: &str) -> tempfile::TempDir {
    let directory = directory_with("trips.yaml", DAG);
    std::fs::create_dir(directory.path().join("cases")).unwrap();
    std::fs::write(directory.path().join("cases/trips.yaml"), cases).unwrap();
    std::fs::write(directory.path().join("cases/small.csv"), "city,minutes\nLeeds,12\n").unwrap();
    directory
}

#[test]
fn cases_that_hold_are_listed_and_leave_nothing_behind() {
    let directory = directory(CASES);
    let tried = ratchet(directory.path(), &["test", "cases"]);
    assert_eq!(
        tried.done().stdout,
        "cases/trips.yaml\n\
         \x20 ok   trips are counted by city (cities)\n\
         \x20 ok   short trips do not count (cities)\n\
         \x20 ok   nowhere is left out (cities)\n\
         \x20 ok   one city is too few (checked)\n\
         4 passed, 0 failed\n"
    );
    assert!(
        !directory.path().join(".ratchet").exists(),
        "the home of the cases is their own"
    );
}

#[test]
fn all_differences_are_shown_and_the_status_is_1() {
    let wrong = CASES
        .replace("row_count: 2", "row_count: 3")
        .replace("columns: [city, trips", "columns: [city, rides")
        .replace("minutes: 14.5", "minutes: 14")
        .replace("least: 10", "least: 5")
        .replace("city: nowhere", "city: Leeds")
        .replace("fails: row_count", "fails: unique");
    let directory = directory(&wrong);
    let tried = ratchet(directory.path(), &["test", "cases/trips.yaml"]);
    assert_eq!(tried.status, 1, "{tried:?}");
    for expected in [
        "table.row_count: expected 3, got 2",
        "- city, rides, minutes\n       + city, trips, minutes",
        "- 1: { city: \"Leeds\", minutes: 14, trips: 2 }\n       + 1: { city: \"Leeds\", minutes: 14.5, trips: 2 }",
        "+ 2: { city: \"York\", minutes: 7.0, trips: 1 }",
        "expected skipped, got succeeded",
        "message:\n       - ... unique ...\n       + ",
        "0 passed, 4 failed",
    ] {
        assert!(tried.stdout.contains(expected), "{expected}\n{}", tried.stdout);
    }
    let json = ratchet(directory.path(), &["test", "cases", "--format", "json"]);
    assert_eq!(json.status, 1);
    let json = json.json();
    assert_eq!((&json["passed"], &json["failed"]), (&0.into(), &4.into()));
    assert_eq!(json["cases"][0]["differences"].as_array().unwrap().len(), 3);
}

#[test]
fn a_file_that_is_wrong_is_shown_with_its_places_and_nothing_is_run() {
    let wrong = CASES
        .replacen("task: cities", "task: citys", 1)
        .replace("rows: [{ city: York", "row: [{ city: York");
    let directory = directory(&wrong);
    let refused = ratchet(directory.path(), &["test", "cases"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (2, ""), "{refused:?}");
    assert!(
        refused.stderr.contains("unknown key `row`") && refused.stderr.contains("trips.yaml:28:"),
        "{refused:?}"
    );
    std::fs::write(
        directory.path().join("cases/trips.yaml"),
        wrong.replace(" row: [{", " rows: [{"),
    )
    .unwrap();
    let refused = ratchet(directory.path(), &["test", "cases"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("`trips` has no task `citys`"), "{refused:?}");
    assert!(refused.stderr.contains("did you mean `cities`?"), "{refused:?}");
    // A table that cannot be read is the file's fault, too.
    std::fs::write(
        directory.path().join("cases/trips.yaml"),
        CASES.replace("small.csv", "other.csv"),
    )
    .unwrap();
    let refused = ratchet(directory.path(), &["test", "cases"]);
    assert!(
        refused.refused(2).stderr.contains("`given.raw.table` cannot be read"),
        "{refused:?}"
    );
    ratchet(directory.path(), &["test", "nowhere"]).refused(2);
}

#[test]
fn the_cases_of_the_dags_that_ship_hold() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tried = ratchet(&workspace, &["test"]);
    assert!(tried.done().stdout.contains("5 passed, 0 failed"), "{tried:?}");
}
