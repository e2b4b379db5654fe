//! Where secrets stand: environment variables, a file, a mounted directory. Nothing is kept: each look reads again, so
//! that a secret may be changed while the engine runs.

use std::path::{Path, PathBuf};

use ratchet_core::template::secret_places;

use crate::record::Failure;

/// What a variable with a secret begins with.
const PREFIX: &str = "RATCHET_SECRET_";

/// The variable that names a file with a line `NAME=value` for each secret.
const FILE: &str = "RATCHET_SECRETS_FILE";

/// The variable that names a directory with a file for each secret.
const DIRECTORY: &str = "RATCHET_SECRETS_DIRECTORY";

/// The three places, in the order in which they are looked at.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    file: Option<PathBuf>,
    directory: Option<PathBuf>,
}

impl Secrets {
    /// The places that the environment of this process names.
    pub fn from_environment() -> Self {
        let path = |variable: &str| {
            std::env::var_os(variable)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        Self {
            file: path(FILE),
            directory: path(DIRECTORY),
        }
    }

    /// The value of a secret; none if it is in none of the places.
    ///
    /// # Errors
    ///
    /// A place that is named and cannot be read: the secret may be there.
    pub fn get(&self, name: &str) -> Result<Option<String>, SecretError> {
        // Names come from expressions, which have letters, digits and `_` in them: no path leads out of the directory.
        let variable = format!("{PREFIX}{name}");
        match std::env::var(&variable) {
            Ok(value) => return Ok(Some(value)),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(SecretError::new(name, format!("{variable} is not UTF-8")));
            }
            Err(std::env::VarError::NotPresent) => {}
        }
        if let Some(value) = self.in_file(name)? {
            return Ok(Some(value));
        }
        self.in_directory(name)
    }

    fn in_file(&self, name: &str) -> Result<Option<String>, SecretError> {
        let Some(path) = &self.file else { return Ok(None) };
        let text = read(path).map_err(|error| unreadable(name, FILE, path, &error))?;
        let value = text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            // `# NAME=...` is a comment, because `# NAME` is no name.
            (key.trim() == name).then(|| value.trim().to_owned())
        });
        Ok(value)
    }

    fn in_directory(&self, name: &str) -> Result<Option<String>, SecretError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let path = directory.join(name);
        match read(&path) {
            // Editors and `echo` end a file with a line break that is no part of the secret.
            Ok(text) => {
                let value = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Some(value.strip_suffix('\r').unwrap_or(value).to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(name, DIRECTORY, &path, &error)),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

fn unreadable(name: &str, variable: &str, path: &Path, error: &std::io::Error) -> SecretError {
    SecretError::new(
        name,
        format!("{} of {variable} cannot be read: {error}", path.display()),
    )
}

/// The variables by which a worker would find secrets that are not its own.
pub(crate) fn variables_of_secrets() -> Vec<std::ffi::OsString> {
    let own = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.starts_with(PREFIX) || name == FILE || name == DIRECTORY
    };
    std::env::vars_os().map(|(name, _)| name).filter(own).collect()
}

/// A secret whose place cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{name}` cannot be looked up: {message}")]
pub struct SecretError {
    name: String,
    message: String,
}

impl SecretError {
    fn new(name: &str, message: String) -> Self {
        Self {
            name: name.to_owned(),
            message,
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self {
            message: error.to_string(),
            help: Some(secret_places(&error.name)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_before_the_directory_and_each_is_read_again() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secrets");
        std::fs::write(&file, "# comment\nA = from=file \r\nEMPTY=\n").unwrap();
        std::fs::write(home.path().join("A"), "from directory\n").unwrap();
        std::fs::write(home.path().join("B"), "two\nlines\r\n").unwrap();
        let secrets = Secrets {
            file: Some(file.clone()),
            directory: Some(home.path().to_owned()),
        };
        let get = |name: &str| secrets.get(name).unwrap();
        assert_eq!(get("A").as_deref(), Some("from=file"));
        assert_eq!(get("EMPTY").as_deref(), Some(""));
        assert_eq!(get("B").as_deref(), Some("two\nlines"));
        assert_eq!(get("C"), None);
        std::fs::write(&file, "B=changed\n").unwrap();
        assert_eq!(get("A").as_deref(), Some("from directory"));
        assert_eq!(get("B").as_deref(), Some("changed"));
        std::fs::remove_file(&file).unwrap();
        let error = secrets.get("A").unwrap_err().to_string();
        assert!(
            error.contains(FILE) && error.contains(&file.display().to_string()),
            "{error}"
        );
    }
}
