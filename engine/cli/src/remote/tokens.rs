//! Tokens of services, in `ratchet/tokens.json` of the user's configuration directory, which nobody else may read.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A token of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What is sent.
    pub token: String,
    /// Who it stands for.
    pub user: String,
    /// It is refused from here on.
    pub expires_at: Timestamp,
}

/// All of them, by the service's address.
#[derive(Debug, Default)]
pub struct Tokens {
    path: PathBuf,
    tokens: BTreeMap<String, Token>,
}

impl Tokens {
    /// Those of this user.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or there is no place for it.
    pub fn open() -> Result<Self, Failure> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let directory = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        let directory = directory.ok_or_else(|| {
            Failure::input("there is no configuration directory for the token").help("set HOME or XDG_CONFIG_HOME")
        })?;
        Self::read(directory.join("ratchet").join("tokens.json"))
    }

    fn read(path: PathBuf) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::input(format!("{} cannot be read: {error}", path.display()))
                .help("remove it and log in again with `ratchet login`")
        };
        let tokens = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| unusable(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(unusable(&error)),
        };
        Ok(Self { path, tokens })
    }

    /// The token of a service.
    pub fn get(&self, server: &str) -> Option<&Token> {
        self.tokens.get(server)
    }

    /// Where they are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a token; those that expired are forgotten.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn keep(&mut self, server: &str, token: Token) -> Result<(), Failure> {
        let now = Timestamp::now();
        self.tokens.retain(|_, token| token.expires_at > now);
        self.tokens.insert(server.to_owned(), token);
        self.write().map_err(|error| {
            Failure::service(format!("{} cannot be written: {error}", self.path.display()))
                .help("check the rights of the directory, or set XDG_CONFIG_HOME")
        })
    }

    /// Beside it first: a reader sees the old file or the new one, and neither is ever readable by others.
    fn write(&self) -> std::io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let draft = directory.join(format!(".tokens.{}", uuid::Uuid::now_v7()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(&self.tokens)?)?;
        file.sync_all()?;
        std::fs::rename(&draft, &self.path)
    }
}
