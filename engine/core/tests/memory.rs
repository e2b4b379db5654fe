//! Files that are written to take memory, read in a process of their own: what it used at most is what they took.

#![expect(clippy::unwrap_used, reason = "tests")]

use ratchet_core::cases::read_cases;
use ratchet_core::plugin::Registry;

/// No file takes more than this beside what it is itself.
const MOST_MEBIBYTES: u64 = 400;

/// The most memory that this process has used so far.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() / 1024
}

/// Anchors of lists of aliases of lists: 10^9 items, if they were all made.
fn billion() -> String {
    let mut text = "name: a\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    text
}

/// A long text, many times: 3 GB, if each alias had its own copy.
fn text() -> String {
    let aliases = vec!["*a"; 3_000].join(", ");
    format!(
        "name: a\nx: &a {}\ntasks: {{ t: {{ uses: core.noop, with: {{ list: [{aliases}] }} }} }}\n",
        "x".repeat(1 << 20)
    )
}

/// The same, as what tasks inherit by merge keys.
fn merged() -> String {
    let tasks: String = (0..3_000).map(|task| format!("  t{task}: {{ <<: *a }}\n")).collect();
    format!("name: a\nbase: &a {{ uses: {} }}\ntasks:\n{tasks}", "x".repeat(1 << 20))
}

/// Every task is a problem, and each problem would show its line.
fn problems() -> String {
    let tasks: String = (0..40_000)
        .map(|task| format!("  {}{task}: {{}}\n", "k".repeat(100)))
        .collect();
    format!("name: a\ntasks:\n{tasks}")
}

/// The same on one line.
fn one_line() -> String {
    let tasks: Vec<String> = (0..20_000)
        .map(|task| format!("{}{task}: {{}}", "k".repeat(200)))
        .collect();
    format!("{{ name: a, tasks: {{ {} }} }}", tasks.join(", "))
}

/// Each expression is read by itself.
fn expressions() -> String {
    let text = "${{ params.x + 1 }} ".repeat(100_000);
    format!("name: a\ntasks: {{ t: {{ uses: core.noop, with: {{ list: \"{text}\" }} }} }}\n")
}

/// Y-007
#[test]
fn no_file_takes_much_memory() {
    let before = peak_mebibytes();
    for (name, text) in [
        ("billion", billion()),
        ("text", text()),
        ("merged", merged()),
        ("problems", problems()),
        ("one line", one_line()),
        ("expressions", expressions()),
        ("too long", "a".repeat(64 << 20)),
    ] {
        let (dag, diagnostics) = ratchet_core::check("f.yaml", &text, &Registry::default());
        assert!(dag.is_none(), "{name}");
        let shown = diagnostics.render(true, 80).len();
        assert!(shown > 0 && diagnostics.to_json().is_object());
        assert!(read_cases("f.yaml", &text).is_err(), "{name}");
        let peak = peak_mebibytes() - before;
        println!("{name}: {} bytes, {peak} MiB so far, {shown} bytes shown", text.len());
        assert!(peak < MOST_MEBIBYTES, "{name} took {peak} MiB");
    }
}
