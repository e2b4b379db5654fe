//! A Postgres server that a test starts for itself and that ends with it.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

/// What root becomes: Postgres refuses to run as root. `nobody` on Linux.
const UNPRIVILEGED: u32 = 65534;
const PASSWORD: &str = "a secret/of @tests";
const PASSWORD_IN_ADDRESS: &str = "a%20secret%2Fof%20%40tests";

/// A server of its own; its databases are gone with it.
pub struct PostgresServer {
    directory: TempDir,
    process: Child,
    port: u16,
}

impl PostgresServer {
    /// Makes a new cluster in a temporary directory and serves it on a free port of 127.0.0.1.
    pub async fn start() -> PostgresServer {
        sqlx::any::install_default_drivers();
        let programs = programs();
        let directory = tempfile::tempdir().unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if is_root() {
            for path in [directory.path(), &password] {
                chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
            }
        }
        let data = directory.path().join("data");
        let made = command(&programs.join("initdb"), directory.path())
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username=ada"])
            .arg("--auth=scram-sha-256")
            .arg(format!("--pwfile={}", password.display()))
            .arg("--pgdata")
            .arg(&data)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = PostgresServer {
            process: launch(directory.path(), port),
            directory,
            port,
        };
        server.answers().await;
        server
    }

    /// Ends the server: connections are ended, and every process of it with them.
    pub fn stop(&mut self) {
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGINT);
        let _ = self.process.wait();
    }

    /// Serves the same databases on the same port again.
    pub async fn start_again(&mut self) {
        self.process = launch(self.directory.path(), self.port);
        self.answers().await;
    }

    async fn answers(&self) {
        let start = Instant::now();
        while let Err(error) = AnyConnection::connect(&self.url("postgres")).await {
            assert!(start.elapsed() < Duration::from_secs(60), "Postgres: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The address of a new, empty database.
    pub async fn database(&self, name: &str) -> String {
        let mut connection = AnyConnection::connect(&self.url("postgres")).await.unwrap();
        let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        self.url(name)
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://ada:{PASSWORD_IN_ADDRESS}@127.0.0.1:{}/{database}",
            self.port
        )
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(directory: &Path, port: u16) -> Child {
    command(&programs().join("postgres"), directory)
        .args([
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            "fsync=off",
            "-c",
            "log_min_messages=panic",
        ])
        // The level that nobody wants, so that the tests see that we ask for our own.
        .args(["-c", "default_transaction_isolation=serializable"])
        .args(["-p", &port.to_string(), "-D"])
        .arg(directory.join("data"))
        .spawn()
        .unwrap()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The directory of `initdb` and `postgres`: `tests/find_postgres.sh` of this repository looks in more places.
fn programs() -> PathBuf {
    let named = std::env::var_os("RATCHET_TEST_POSTGRES").map(PathBuf::from);
    let debian = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        versions.flatten().map(|entry| entry.path().join("bin")).max()
    };
    named
        .or_else(debian)
        .filter(|programs| programs.join("initdb").is_file())
        .unwrap_or_else(|| {
            panic!("there is no Postgres: install it (Debian: apt install postgresql) or set RATCHET_TEST_POSTGRES")
        })
}

fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if is_root() {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    command
}
