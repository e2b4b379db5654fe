//! `ratchet serve` on a port of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Server, free_port, ratchet};

/// Starts it over a directory of DAGs and waits until it listens.
pub fn start_engine(home: &Path, dags: &Path) -> Server {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = ratchet(home);
    command.args(["serve", "--listen", &address, "--dags"]).arg(dags);
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let server = Server { process, address };
    let begun = Instant::now();
    while std::net::TcpStream::connect(&server.address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the engine does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}
