//! What signs tokens: a secret (`RATCHET_JWT_SECRET`, or a random one kept in the home), or a key pair kept in the home.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::Error;
use crate::token::Signer;

/// Fewest bytes that sign an HS256 token: as many as the hash has.
pub const SHORTEST: usize = 32;
/// Name of the environment variable.
pub const VARIABLE: &str = "RATCHET_JWT_SECRET";
/// Name of the environment variable that chooses between a secret and a key pair.
pub const ALGORITHM_VARIABLE: &str = "RATCHET_JWT_ALGORITHM";
/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// What signs by `algorithm`: `HS256` (also if empty) by [`load`]'s secret, `EdDSA` by the key in `<home>/jwt_ed25519.pem`, which is
/// made when it does not exist.
///
/// # Errors
/// [`Error::Algorithm`] for any other word, and those of [`load`].
pub fn signer(home: &Path, configured: Option<&str>, algorithm: &str) -> Result<Signer, Error> {
    match algorithm {
        "" | "HS256" => Ok(Signer::new(&load(home, configured)?)),
        "EdDSA" => Signer::ed25519(&key_pair(home)?),
        other => Err(Error::Algorithm(other.to_owned())),
    }
}

/// The private key in PKCS#8.
fn key_pair(home: &Path) -> Result<Vec<u8>, Error> {
    let path = home.join("jwt_ed25519.pem");
    let failed = |reason: String| Error::SecretFile {
        path: path.clone(),
        reason,
    };
    if !path.exists() {
        let der: Vec<u8> = PKCS8.into_iter().chain(rand::random::<[u8; 32]>()).collect();
        let text = format!("{PEM_BEGIN}\n{}\n{PEM_END}", BASE64_STANDARD.encode(der));
        create(home, &path, &text).map_err(|error| failed(error.to_string()))?;
    }
    let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let inner = text
        .trim()
        .strip_prefix(PEM_BEGIN)
        .and_then(|rest| rest.strip_suffix(PEM_END));
    let inner: String = inner.unwrap_or_default().split_whitespace().collect();
    match BASE64_STANDARD.decode(inner) {
        Ok(der) if !der.is_empty() => Ok(der),
        _ => Err(failed("it is no private key in PEM (PKCS#8)".to_owned())),
    }
}

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
        create(home, &path, &hex::encode(rand::random::<[u8; 32]>())).map_err(|error| failed(error.to_string()))?;
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
fn create(home: &Path, path: &Path, content: &str) -> std::io::Result<()> {
    let draft = home.join(format!(".jwt_secret.{}", uuid::Uuid::now_v7()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{content}")?;
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
    fn a_key_pair_is_made_once_and_openssl_would_read_it() {
        let home = tempfile::tempdir().unwrap();
        let first = key_pair(home.path()).unwrap();
        assert_eq!((first.len(), &first[..16]), (48, &PKCS8[..]));
        assert_eq!(key_pair(home.path()).unwrap(), first);
        let signer = |algorithm| signer(home.path(), None, algorithm).map(|signer| signer.public_keys().keys.len());
        assert_eq!((signer("EdDSA").unwrap(), signer("").unwrap()), (1, 0));
        assert!(matches!(signer("none"), Err(Error::Algorithm(_))));
        fs::write(home.path().join("jwt_ed25519.pem"), "nonsense").unwrap();
        assert!(matches!(signer("EdDSA"), Err(Error::SecretFile { .. })));
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
