//! Files of cases: read, and held against their DAG.

use ratchet_core::cases::read_cases;

use crate::plugins::registry;

const DAG: &str = "\
name: small
params:
  target: { type: integer, default: 360, minimum: 60 }
  source: { type: string }
tasks:
  raw:
    uses: extract.file
    with: { from: \"${{ params.source }}\" }
  gate:
    uses: quality.gate
    with: { table: \"${{ tasks.raw.table }}\" }
  train:
    uses: train.model
    when: ${{ params.target > 60 }}
    with: { table: \"${{ tasks.gate.table }}\", target: minutes }
";

/// Codes, lines and messages of all problems.
fn problems(cases: &str) -> Vec<(String, usize, String)> {
    let dag = ratchet_core::load("small.yaml", DAG, &registry()).unwrap();
    let diagnostics = match read_cases("cases.yaml", cases) {
        Ok(cases) => cases.check(&dag, &registry()),
        Err(diagnostics) => diagnostics,
    };
    let found = diagnostics.problems.into_iter();
    found
        .map(|problem| (problem.code.to_string(), problem.line, problem.message))
        .collect()
}

fn expected(problems: &[(&str, usize, &str)]) -> Vec<(String, usize, String)> {
    let texts = problems.iter();
    texts
        .map(|(code, line, message)| ((*code).to_owned(), *line, (*message).to_owned()))
        .collect()
}

const GOOD: &str = "\
dag: small.yaml
cases:
  - name: 7
    task: gate
    params: { source: x, target: 60 }
    given: { raw: { table: { rows: [{ a: 1 }] } } }
    expect: { table: { row_count: 1 } }
  - name: other
    task: train
    params: { source: x }
    skipped: [gate]
    is_skipped: true
";

#[test]
fn a_file_that_fits_has_no_problem_and_numbers_may_be_names() {
    assert_eq!(problems(GOOD), []);
    assert_eq!(read_cases("cases.yaml", GOOD).ok().unwrap().file.cases[0].name, "7");
}

/// Y-300
#[test]
fn a_file_of_another_shape_is_refused_with_all_its_problems() {
    let text =
        "dag: small.yaml\ncase: []\ncases:\n  - nam: a\n    task: [gate]\n    given: { raw: { table: { row: [] } } }\n";
    assert_eq!(
        problems(text),
        expected(&[
            ("R0003", 2, "unknown key `case`"),
            ("R0003", 4, "unknown key `nam`"),
            ("R0005", 5, "`task` takes text, found a list"),
            ("R0003", 6, "unknown key `row`"),
        ])
    );
    assert_eq!(
        problems("- 1\n")[0].2,
        "a file of cases is a mapping with `dag` and `cases`"
    );
    assert_eq!(problems("dag: [")[0].0, "R0001");
}

/// Y-300, Y-301, Y-302
#[test]
fn what_does_not_fit_the_dag_is_named_at_its_place() {
    let text = GOOD
        .replacen("task: gate", "task: gat", 1)
        .replace("source: x }\n    skipped", "sorce: x, target: 5 }\n    skipped")
        .replace("skipped: [gate]", "skipped: [raw]")
        .replace("name: other", "name: 7");
    assert_eq!(
        problems(&text),
        expected(&[
            ("R0011", 4, "`small` has no task `gat`"),
            ("R0002", 8, "another case is called `7`"),
            ("R0004", 8, "`train` reads `tasks.gate.table`, which is not given"),
            ("R0004", 8, "parameter `source` has no default and is not given"),
            ("R0014", 10, "unknown parameter `sorce`"),
            ("R0005", 10, "parameter `target` is 5; it is at least 60"),
            ("R0011", 11, "`train` does not come after `raw`"),
        ])
    );
}

/// Y-301, Y-303
#[test]
fn ports_and_outcomes_have_to_fit() {
    let text = GOOD
        .replace(
            "table: { rows: [{ a: 1 }] }",
            "table: { rows: [], csv: a }, tabel: { value: 1 }",
        )
        .replace(
            "expect: { table: { row_count: 1 } }",
            "expect: { table: { summary: x }, rejected: {} }\n    fails: x",
        )
        .replace("is_skipped: true", "logical_date: yesterday");
    let found = problems(&text);
    let messages: Vec<&str> = found.iter().map(|(_, _, message)| message.as_str()).collect();
    for message in [
        "`tasks.raw.table` is a table",
        "`raw` has no port `tabel`",
        "the case says more than one thing that has to come of it",
        "port `table` is a table and has no `summary`",
        "the case does not say what has to come of it",
        "`yesterday` is not an instant",
    ] {
        assert!(messages.contains(&message), "{message}: {found:#?}");
    }
}
