//! The secret that signs tokens: `RATCHET_JWT_SECRET`, or a random one kept in the home.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::Error;

/// Fewest bytes that sign an HS256 token: as many as the hash has.
pub const SHORTEST: usize = 32;
/// Name of the environment variable.
pub const VARIABLE: &str = "RATCHET_JWT_SECRET";

/// Takes `configured` if there is one, else `<home>/jwt_secret`, which is made (mode 0600, 256 random bits in hexadecimal) when it
/// does not exist. Processes that start at the same moment agree on one.
///
/// # Errors
/// [`Error::SecretTooShort`] for a configured secret below 32 bytes, [`Error::SecretFile`] if the file cannot be used.
pub fn load(home: &Path, configured: Option<&str>) -> Result<Vec<u8>, Error> {
    if let Some(secret) = configured {
        return if secret.len() < SHORTEST {
            Err(Error::SecretTooShort(secret.len()))
        } else {
            Ok(secret.as_bytes().to_vec())
        };
    }
    let path = home.join("jwt_secret");
    let failed = |reason: String| Error::SecretFile {
        path: path.clone(),
        reason,
    };
    if !path.exists() {
        create(home, &path).map_err(|error| failed(error.to_string()))?;
    }
    let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let secret = text.trim();
    if secret.len() < SHORTEST {
        return Err(failed(format!(
            "it has {} bytes, at least {SHORTEST} are needed",
            secret.len()
        )));
    }
    Ok(secret.as_bytes().to_vec())
}

/// Writes a whole file beside the place and links it there: whoever links first wins, and no one reads half a secret.
fn create(home: &Path, path: &Path) -> std::io::Result<()> {
    let draft = home.join(format!(".jwt_secret.{}", uuid::Uuid::now_v7()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{}", hex::encode(rand::random::<[u8; 32]>()))?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn without_a_configured_secret_one_is_made_private_and_stays() {
        let home = tempfile::tempdir().unwrap();
        let first = load(home.path(), None).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(load(home.path(), None).unwrap(), first);
        let mode = fs::metadata(home.path().join("jwt_secret"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn racing_starts_agree_on_one_secret() {
        let home = tempfile::tempdir().unwrap();
        let secrets: BTreeSet<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| load(home.path(), None).unwrap()))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(secrets.len(), 1);
    }

    #[test]
    fn a_short_secret_is_refused_wherever_it_stands() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(
            load(home.path(), Some("short")),
            Err(Error::SecretTooShort(5))
        ));
        fs::write(home.path().join("jwt_secret"), "short\n").unwrap();
        assert!(matches!(load(home.path(), None), Err(Error::SecretFile { .. })));
        assert_eq!(load(home.path(), Some(&"s".repeat(32))).unwrap(), vec![b's'; 32]);
    }
}
