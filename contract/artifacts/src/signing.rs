//! Signatures over manifests and over entries of the promotion log: Ed25519 (RFC 8032).
//!
//! A signed document has one field more than an unsigned one, in a line of its own before the last brace:
//!
//! ```text
//!   "signature": "ed25519:<public key, 64 hexadecimal digits>:<signature, 128 hexadecimal digits>"
//! ```
//!
//! What is signed is `ratchet`, a line feed, the document's path in the bucket, a line feed, and the document's bytes as
//! they would be without that field. The path is part of it, so that no document can stand in another's place; the
//! bytes are those of the file, so that no two programs can disagree on how JSON is written.
//!
//! A [`Bucket`](crate::Bucket) that was [given a key](crate::Bucket::signing_with) signs whatever is registered or
//! promoted through it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer, VerifyingKey};

/// What stands before the signature, and what after it.
const BEFORE: &[u8] = b",\n  \"signature\": \"";
const AFTER: &[u8] = b"\"\n}\n";
/// How a document without a signature ends.
const END: &[u8] = b"\n}\n";
/// The one kind of signature there is.
const ALGORITHM: &str = "ed25519";

/// Signs documents. Shows nothing of itself but its public half.
#[derive(Clone)]
pub struct SigningKey(Arc<ed25519_dalek::SigningKey>);

/// The public half of a key: who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// The keys whose signatures count.
#[derive(Clone, Debug)]
pub struct TrustedKeys(Vec<PublicKey>);

/// A document and who signed it.
#[derive(Clone, Debug)]
pub struct Signed<T> {
    /// As it was read.
    pub document: T,
    /// Where it lies in the bucket.
    pub path: String,
    /// The key whose signature holds; none if there is no signature.
    pub signer: Result<Option<PublicKey>, SignatureError>,
}

/// A file that holds no key.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} holds no usable {what}: {reason}; make a pair with `openssl genpkey -algorithm ed25519 -out signing.pem` and \
     `openssl pkey -in signing.pem -pubout -out trusted.pem`",
    path.display()
)]
pub struct KeyError {
    path: PathBuf,
    what: &'static str,
    reason: String,
}

/// Why a document is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has no signature.
    #[error("'{path}' is not signed; register or promote it again with RATCHET_SIGNING_KEY set")]
    Unsigned {
        /// Where it lies in the bucket.
        path: String,
    },
    /// Its signature does not match its bytes.
    #[error("the signature of '{path}' does not hold: {detail}; restore it from a copy of the bucket")]
    Altered {
        /// Where it lies in the bucket.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// Nobody trusts the key.
    #[error(
        "'{path}' is signed by {key}, which is none of the trusted keys; if it is right, add its public half to the file \
         that RATCHET_TRUSTED_KEYS names"
    )]
    Unknown {
        /// Where it lies in the bucket.
        path: String,
        /// The public key in hexadecimal digits.
        key: String,
    },
}

impl SigningKey {
    /// Reads a private key in PEM (PKCS#8), as OpenSSL writes it.
    ///
    /// # Errors
    /// If the file cannot be read or holds no Ed25519 key.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let failed = |reason: String| KeyError {
            path: path.to_owned(),
            what: "private key",
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let keys = blocks(&text, "PRIVATE KEY").map_err(failed)?;
        let [der] = keys.as_slice() else {
            return Err(failed(format!("it has {} blocks `PRIVATE KEY`, not one", keys.len())));
        };
        ed25519_dalek::SigningKey::from_pkcs8_der(der)
            .map(|key| Self(Arc::new(key)))
            .map_err(|error| failed(format!("it is no Ed25519 key in PKCS#8 ({error})")))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The document with a signature; `content` is JSON as this crate writes it.
    pub(crate) fn sign(&self, path: &str, content: &Bytes) -> Bytes {
        let signature = self.0.sign(&message(path, content));
        let body = content.strip_suffix(END).unwrap_or(content);
        let value = format!("{ALGORITHM}:{}:{}", self.public(), hex::encode(signature.to_bytes()));
        [body, BEFORE, value.as_bytes(), AFTER].concat().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl TrustedKeys {
    /// Reads public keys in PEM (SubjectPublicKeyInfo), any number of them in one file.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no Ed25519 key or anything that is none.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let failed = |reason: String| KeyError {
            path: path.to_owned(),
            what: "public key",
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let keys = blocks(&text, "PUBLIC KEY").map_err(failed)?;
        if keys.is_empty() {
            return Err(failed("it has no block `PUBLIC KEY`".to_owned()));
        }
        let keys = keys.iter().enumerate().map(|(index, der)| {
            VerifyingKey::from_public_key_der(der)
                .map(PublicKey)
                .map_err(|error| failed(format!("block {} is no Ed25519 key ({error})", index + 1)))
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Who of these signed the document.
    ///
    /// # Errors
    /// If it is not signed, was altered, or was signed by somebody else.
    pub fn accept<T>(&self, signed: &Signed<T>) -> Result<PublicKey, SignatureError> {
        let path = signed.path.clone();
        match signed.signer.clone()? {
            None => Err(SignatureError::Unsigned { path }),
            Some(key) if self.0.contains(&key) => Ok(key),
            Some(key) => Err(SignatureError::Unknown {
                path,
                key: key.to_string(),
            }),
        }
    }
}

/// Who signed a document, by its own account and checked against its bytes; none if there is no signature.
pub(crate) fn signer(path: &str, content: &[u8]) -> Result<Option<PublicKey>, SignatureError> {
    let Some(at) = content.windows(BEFORE.len()).rposition(|part| part == BEFORE) else {
        return Ok(None);
    };
    let altered = |detail: &str| SignatureError::Altered {
        path: path.to_owned(),
        detail: detail.to_owned(),
    };
    let (body, rest) = content.split_at(at);
    let unreadable = || altered("it is not written as a signature is");
    let value = rest
        .strip_prefix(BEFORE)
        .and_then(|rest| rest.strip_suffix(AFTER))
        .and_then(|value| std::str::from_utf8(value).ok())
        .ok_or_else(unreadable)?;
    let mut parts = value.split(':');
    let (Some(ALGORITHM), Some(key), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(unreadable());
    };
    if value.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Err(unreadable());
    }
    let (mut key_bytes, mut signature_bytes) = ([0; 32], [0; 64]);
    hex::decode_to_slice(key, &mut key_bytes).map_err(|_| unreadable())?;
    hex::decode_to_slice(signature, &mut signature_bytes).map_err(|_| unreadable())?;
    let key = VerifyingKey::from_bytes(&key_bytes).map_err(|_| altered("its key is none"))?;
    let unsigned = [body, END].concat();
    key.verify_strict(&message(path, &unsigned), &Signature::from_bytes(&signature_bytes))
        .map_err(|_| altered("the document was altered after it was signed, or stood elsewhere"))?;
    Ok(Some(PublicKey(key)))
}

/// What is signed.
fn message(path: &str, content: &[u8]) -> Vec<u8> {
    [b"ratchet\n", path.as_bytes(), b"\n", content].concat()
}

/// The contents of the PEM blocks with this label.
fn blocks(text: &str, label: &str) -> Result<Vec<Vec<u8>>, String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    for part in text.split(&begin).skip(1) {
        let (inner, _) = part
            .split_once(&end)
            .ok_or_else(|| format!("a block `{label}` has no end"))?;
        let inner: String = inner.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(inner);
        found.push(der.map_err(|error| format!("a block `{label}` is not base64 ({error})"))?);
    }
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pair that RFC 8410, section 10, shows to the world.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    fn key() -> SigningKey {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signing.pem");
        std::fs::write(&path, PRIVATE).unwrap();
        SigningKey::open(&path).unwrap()
    }

    fn trusted(text: &str) -> Result<TrustedKeys, KeyError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trusted.pem");
        std::fs::write(&path, text).unwrap();
        TrustedKeys::open(&path)
    }

    const DOCUMENT: &str = "{\n  \"name\": \"a\",\n  \"version\": 1\n}\n";

    #[test]
    fn keys_are_read_as_openssl_writes_them() {
        let text = format!("who it is may stand here\n{PUBLIC}{PUBLIC}");
        assert_eq!(trusted(&text).unwrap().0, [key().public(), key().public()]);
        assert!(!format!("{:?}", key()).contains(PRIVATE.lines().nth(1).unwrap()));
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_file_and_the_remedy() {
        for (text, reason) in [
            ("", "it has no block `PUBLIC KEY`"),
            (PRIVATE, "it has no block `PUBLIC KEY`"),
            ("-----BEGIN PUBLIC KEY-----\nMCow", "has no end"),
            (
                "-----BEGIN PUBLIC KEY-----\n%\n-----END PUBLIC KEY-----",
                "is not base64",
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
                "block 1 is no Ed25519 key",
            ),
        ] {
            let message = trusted(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
            assert!(
                message.contains("trusted.pem") && message.contains("openssl genpkey"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_signed_document_is_the_same_json_with_one_field_more() {
        let signed = key().sign("models/a/1.json", &Bytes::from(DOCUMENT));
        let mut json: serde_json::Value = serde_json::from_slice(&signed).unwrap();
        let signature = json.as_object_mut().unwrap().remove("signature").unwrap();
        assert!(
            signature
                .as_str()
                .unwrap()
                .starts_with(&format!("ed25519:{}:", key().public()))
        );
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(DOCUMENT).unwrap());
        assert_eq!(signer("models/a/1.json", &signed).unwrap(), Some(key().public()));
    }

    #[test]
    fn a_document_in_anothers_place_is_found() {
        let signed = key().sign("models/a/1.json", &Bytes::from(DOCUMENT));
        assert!(matches!(
            signer("models/a/2.json", &signed),
            Err(SignatureError::Altered { .. })
        ));
        assert_eq!(signer("models/a/1.json", DOCUMENT.as_bytes()).unwrap(), None);
    }

    #[test]
    fn only_a_trusted_signature_is_accepted() {
        let path = "models/a/1.json".to_owned();
        let accepted = |content: &[u8], keys: &TrustedKeys| {
            keys.accept(&Signed {
                document: (),
                path: path.clone(),
                signer: signer(&path, content),
            })
        };
        let signed = key().sign(&path, &Bytes::from(DOCUMENT));
        assert_eq!(accepted(&signed, &trusted(PUBLIC).unwrap()), Ok(key().public()));
        let unsigned = accepted(DOCUMENT.as_bytes(), &trusted(PUBLIC).unwrap()).unwrap_err();
        assert!(
            unsigned.to_string().contains("'models/a/1.json' is not signed"),
            "{unsigned}"
        );
        let other = TrustedKeys(vec![PublicKey(
            ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key(),
        )]);
        let unknown = accepted(&signed, &other).unwrap_err();
        assert!(unknown.to_string().contains(&key().public().to_string()), "{unknown}");
    }

    proptest! {
        /// No byte of a signed document can be another: it is either found altered, or no signature is found at all.
        #[test]
        fn no_byte_can_be_changed(at in 0_usize..300, other in any::<u8>()) {
            let signed = key().sign("models/a/1.json", &Bytes::from(DOCUMENT));
            let at = at % signed.len();
            prop_assume!(signed[at] != other);
            let mut altered = signed.to_vec();
            altered[at] = other;
            prop_assert_ne!(signer("models/a/1.json", &altered), Ok(Some(key().public())));
        }
    }
}
