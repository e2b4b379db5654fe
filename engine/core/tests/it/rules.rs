//! Every rule of the specification has its test, and no test names a rule that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `Y-017` and the like in a text.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    text.match_indices("Y-").filter_map(|(at, _)| {
        let digits: String = text[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        let whole = !text[..at].ends_with(|before: char| before.is_alphanumeric());
        (digits.len() == 3 && whole).then(|| format!("Y-{digits}"))
    })
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rules that stand in doc comments of tests: a comment, attributes among which one makes a test, a function.
fn named_by_tests(text: &str) -> BTreeSet<String> {
    let (mut all, mut pending, mut is_test) = (BTreeSet::new(), Vec::new(), false);
    for line in text.lines().map(str::trim_start) {
        if let Some(comment) = line.strip_prefix("///") {
            pending.extend(numbers(comment));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            let is_function = line.starts_with("fn ") || line.starts_with("async fn ");
            if is_test && is_function {
                all.extend(pending.iter().cloned());
            }
            pending.clear();
            is_test = false;
        }
    }
    all
}

#[test]
fn every_rule_has_its_test_and_every_number_its_rule() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    let mut order = Vec::new();
    for entry in std::fs::read_dir(workspace.join("docs/specs")).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let Some((number, rule)) = line.strip_prefix("- **").and_then(|rest| rest.split_once("** ")) else {
                continue;
            };
            assert!(
                rule.len() > 10 && numbers(number).next().as_deref() == Some(number),
                "{line}"
            );
            assert_eq!(
                rules.insert(number.to_owned(), rule.to_owned()),
                None,
                "{number} stands twice"
            );
            order.push(number.to_owned());
        }
    }
    assert!(rules.len() > 50, "only {} rules were found", rules.len());
    assert!(order.is_sorted(), "rules stand in the order of their numbers");

    let mut sources = Vec::new();
    for directory in ["engine", "tasks", "tests"] {
        files(&workspace.join(directory), &mut sources);
    }
    let mut tested: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        tested.extend(named_by_tests(&text).into_iter().map(|number| (number, path.clone())));
    }
    let unknown: Vec<_> = tested
        .iter()
        .filter(|(number, _)| !rules.contains_key(*number))
        .collect();
    // The example of this file's own comments is no rule under test.
    assert_eq!(
        unknown,
        Vec::<(&String, &PathBuf)>::new(),
        "tests name rules that are not there"
    );
    let untested: Vec<_> = rules
        .iter()
        .filter(|(number, _)| !tested.contains_key(*number))
        .collect();
    assert_eq!(untested, Vec::<(&String, &String)>::new(), "rules without a test");
}

#[test]
fn only_comments_of_tests_count() {
    let text = "/// Y-001, Y-002: both.\n#[test]\nfn one() {}\n/// Y-003\nfn helper() {}\n// Y-004\n#[test]\nfn two() {}\n    \
                /// Y-005\n    #[tokio::test(flavor = \"multi_thread\")]\n    async fn three() {}\n/// XY-006, Y-07\n#[test]\nfn four() {}\n";
    let expected = ["Y-001", "Y-002", "Y-005"].map(str::to_owned);
    assert_eq!(named_by_tests(text), BTreeSet::from(expected));
}
