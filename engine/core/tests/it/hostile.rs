//! Files that nobody wrote with good intent, or at all.

use proptest::prelude::*;
use ratchet_core::diagnostics::Code;

use crate::files::WHOLE;
use crate::plugins::registry;

/// The file is checked without a panic, and all that is said about it can be shown.
fn survives(text: &str) -> Vec<Code> {
    let (dag, diagnostics) = ratchet_core::check("f.yaml", text, &registry());
    assert_eq!(dag.is_none(), diagnostics.has_errors(), "{diagnostics}");
    for problem in &diagnostics.problems {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(
            diagnostics
                .text
                .get(problem.offset..problem.offset + problem.length)
                .is_some()
        );
    }
    let _ = (diagnostics.render(true, 80), diagnostics.to_json());
    diagnostics.problems.iter().map(|problem| problem.code).collect()
}

fn with(value: &str) -> String {
    format!("name: a\ntasks:\n  one:\n    uses: train.model\n    with:\n      notes: {value}\n")
}

/// Y-007
#[test]
fn deep_nesting_is_refused() {
    for depth in [65, 200, 1_000, 100_000] {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let text = with(&format!("{}1{}", open.repeat(depth), close.repeat(depth)));
            let codes = survives(&text);
            assert!(
                codes == [Code::TooLarge] || codes == [Code::Syntax],
                "{codes:?} at {depth}"
            );
        }
        let block: String = (0..depth.min(3_000))
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect();
        assert_eq!(survives(&block), [Code::TooLarge]);
    }
    assert!(!survives(&with(&format!("{}1{}", "[".repeat(50), "]".repeat(50)))).contains(&Code::TooLarge));
}

/// Y-007
#[test]
fn alias_bombs_are_refused() {
    let mut text = "name: a\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
    }
    assert_eq!(survives(&text), [Code::TooLarge]);
    assert!(survives("name: &a [*a]\n").len() == 1);
    survives("a: &a { <<: *a }\n");
}

/// Y-007
#[test]
fn large_files_are_refused_and_long_texts_are_not() {
    assert_eq!(survives(&"a".repeat(9 << 20)), [Code::TooLarge]);
    survives(&with(&format!("\"{}\"", "x".repeat(1 << 20))));
    survives(&with(&"${{".repeat(10_000)));
    survives(&with(&format!("'{}'", "${{ 1 }}".repeat(10_000))));
    survives(&with(&format!("${{{{ {} }}}}", "(".repeat(100_000))));
}

#[test]
fn ten_thousand_tasks_load() {
    let mut text = "name: a\ntasks:\n  t0: { uses: extract.file, with: { from: x } }\n".to_owned();
    for number in 1..10_000 {
        text.push_str(&format!(
            "  t{number}: {{ uses: quality.gate, with: {{ table: '${{{{ tasks.t{}.table }}}}' }} }}\n",
            number - 1
        ));
    }
    let dag = ratchet_core::load("f.yaml", &text, &registry()).unwrap();
    assert_eq!(dag.tasks.len(), 10_000);
}

#[test]
fn odd_yaml_survives() {
    for text in [
        "? [a, b]\n: c\n",
        "~: a\n",
        "1: a\n",
        "!!binary aGVsbG8=",
        "name: !!str 5",
        "name: !foo bar",
        "name: !!int x",
        "&a",
        "*a",
        "--- |\n",
        "name: >-\n  a\n  b\ntasks: |\n  x\n",
        "\u{0}",
        "name: \"\\x00\"",
        "%YAML 1.1\n---\nname: a\n",
        "name: a # ${{",
        "tasks: {one: {uses: {}}}",
        "tasks: {one: 5}",
        "tasks: [one]",
        "params: [x]",
        "params: {x: 5}",
        "schedule: daily",
        "tasks: {one: {uses: core.noop, with: {<<: {a: 1}}}}",
        "<<: [{name: a}, {tasks: {}}]",
        "name: é\ntasks: {ü: {uses: ß}}",
        "tasks: {\"\": {uses: \"\"}}",
        "name: '${{ params.x }}'",
        "a: b: c",
        "\r\nname: a\r\n",
        "name:\ttasks",
        "@",
        "`",
        "name: {{ x }}",
        "name: ${{ x }}",
        "- ${{ x }}: y",
        "tasks: {one: {when: ${{ x }} }}",
        "{",
        "}",
        "[",
        "]",
        ":",
        "?",
        "-",
        "|",
        ">",
        "!",
        "&",
        "*",
    ] {
        survives(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_survives(text in "[\\PC\\n\\t ]{0,200}") {
        survives(&text);
    }

    #[test]
    fn text_of_yaml_signs_survives(text in "[a-c0-9:{}\\[\\]\\-,&*!|>'\"%@`?#$<~\\n .]{0,120}") {
        survives(&text);
    }

    #[test]
    fn mutations_of_a_good_file_survive(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, "[\\PC\\n\\t ]{0,8}"), 1..6),
    ) {
        let mut characters: Vec<char> = WHOLE.chars().collect();
        for (place, what, text) in mutations {
            let at = place.index(characters.len());
            match what {
                0 => drop(characters.remove(at)),
                1 => { characters.splice(at..at, text.chars()); }
                2 => { let end = (at + 30).min(characters.len()); characters.drain(at..end); }
                _ => { let end = (at + 30).min(characters.len()); let copy: Vec<char> = characters[at..end].to_vec(); characters.splice(at..at, copy); }
            }
            if characters.is_empty() { break; }
        }
        survives(&characters.into_iter().collect::<String>());
    }

    /// Anchors and aliases anywhere, also of what does not exist, of themselves, and as merge keys.
    #[test]
    fn graphs_of_aliases_survive(
        nodes in prop::collection::vec(prop::collection::vec((0..14_usize, any::<bool>()), 0..9), 1..12),
    ) {
        let mut text = "name: a\n".to_owned();
        for (number, aliases) in nodes.iter().enumerate() {
            let items: Vec<String> = aliases
                .iter()
                .map(|(target, merged)| if *merged { format!("{{ <<: *a{target} }}") } else { format!("*a{target}") })
                .collect();
            text.push_str(&format!("k{number}: &a{number} [x, {}]\n", items.join(", ")));
        }
        survives(&text);
        survives(&with(&text.replace('\n', "\n      ")));
    }

    #[test]
    fn expressions_of_any_text_survive(text in "[a-z0-9_.|()\\[\\]{}'\"+*~<>=! -]{0,60}") {
        survives(&with(&format!("'${{{{ {} }}}}'", text.replace('\'', "''"))));
        let _ = ratchet_core::template::evaluate(&text, &ratchet_core::template::Scope::default());
    }
}
