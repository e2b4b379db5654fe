//! Debian's browser, driven by Python's Playwright.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{text, workspace};

/// Where Chromium is; `None`, with one line said, where it is not: such a test is skipped, not passed.
pub fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("RATCHET_TEST_CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].map(PathBuf::from);
    let found = named.into_iter().chain(usual).find(|path| path.exists());
    if found.is_none() {
        eprintln!(
            "SKIPPED: pages in a browser; install Chromium (Debian: apt install chromium) or set RATCHET_TEST_CHROMIUM to its path"
        );
    }
    found
}

/// Runs a client of `tests/clients` with a document on its input and returns the one that it prints.
pub fn python(client: &str, input: &Value) -> Value {
    let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
    let python = tools.map_or_else(|| PathBuf::from("python3"), |tools| tools.join("python"));
    let mut running = Command::new(&python)
        .arg(workspace().join("tests/clients").join(client))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", python.display()));
    running
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = running.wait_with_output().unwrap();
    let (said, wrong) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{client}: {said}{wrong}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{client} prints no document ({error}): {said}"))
}
