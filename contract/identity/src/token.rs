//! Bearer tokens: JWTs that name a user, signed with a shared secret (HS256) or with a key pair (EdDSA over Ed25519).
//!
//! Only the one algorithm that signs is accepted, whatever a token's header says, and `aud`, `exp`, `iat`, `jti`, `sub` and `role` must all be there.

use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;
use crate::user::User;

/// The service that a token is for. A token for one is refused by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// The prediction API.
    Api,
    /// The engine's REST.
    Engine,
}

impl Audience {
    /// What stands in `aud`.
    pub fn as_str(self) -> &'static str {
        match self {
            Audience::Api => "ratchet-api",
            Audience::Engine => "ratchet-engine",
        }
    }

    fn expired(self) -> &'static str {
        match self {
            Audience::Api => "it has expired; ask for a new one at /token",
            Audience::Engine => "it has expired; ask for a new one at /api/v1/token",
        }
    }
}

impl FromStr for Audience {
    type Err = ();

    /// Reads [`Audience::as_str`].
    fn from_str(text: &str) -> Result<Audience, ()> {
        let found = [Audience::Api, Audience::Engine];
        found.into_iter().find(|audience| audience.as_str() == text).ok_or(())
    }
}

/// How long a token lasts.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: Uuid,
    /// The user's role when the token was issued.
    pub role: Role,
    /// [`Audience::as_str`].
    pub aud: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
    /// This token's own id, for logs.
    pub jti: Uuid,
}

/// A token and what its bearer wants to know about it.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The JWT.
    pub token: String,
    /// How long it lasts.
    pub expires_in: Duration,
    /// The role it was issued for.
    pub role: Role,
}

/// Signs and checks tokens with one secret or one key pair.
#[derive(Clone)]
pub struct Signer {
    algorithm: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
    public: Option<PublicKey>,
}

/// The keys with which others check tokens: a JSON Web Key Set (RFC 7517).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PublicKeys {
    /// One, or none where a shared secret signs.
    pub keys: Vec<PublicKey>,
}

/// An Ed25519 key (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    /// SHA-256 of the key's canonical form (RFC 7638); tokens name it in their header.
    pub kid: String,
    /// The key itself, in base64 without padding.
    pub x: String,
}

impl PublicKey {
    fn new(key: &[u8; 32]) -> PublicKey {
        let x = BASE64_URL_SAFE_NO_PAD.encode(key);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            usage: "sig",
            kid: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes())),
            x,
        }
    }
}

impl Signer {
    /// A signer for a secret of at least 32 bytes (see [`crate::secret::load`]).
    pub fn new(secret: &[u8]) -> Signer {
        Signer {
            algorithm: Algorithm::HS256,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            public: None,
        }
    }

    /// A signer for an Ed25519 private key in PKCS#8 (DER).
    ///
    /// # Errors
    /// [`Error::Internal`] if it is none.
    pub fn ed25519(der: &[u8]) -> Result<Signer, Error> {
        let wrong = |reason: String| Error::Internal(format!("the signing key is no Ed25519 key in PKCS#8: {reason}"));
        let key = SigningKey::from_pkcs8_der(der).map_err(|error| wrong(error.to_string()))?;
        let public = PublicKey::new(&key.verifying_key().to_bytes());
        let decoding = DecodingKey::from_ed_components(&public.x).map_err(|error| wrong(error.to_string()))?;
        // Written anew: a key that came with its public half is read by fewer readers.
        let plain = key.to_pkcs8_der().map_err(|error| wrong(error.to_string()))?;
        Ok(Signer {
            algorithm: Algorithm::EdDSA,
            encoding: EncodingKey::from_ed_der(plain.as_bytes()),
            decoding,
            public: Some(public),
        })
    }

    /// With what others check what this signs.
    pub fn public_keys(&self) -> PublicKeys {
        PublicKeys {
            keys: self.public.iter().cloned().collect(),
        }
    }

    /// A token with which `user` asks `audience`; it lasts `lifetime` from `now`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the token cannot be signed.
    pub fn issue(
        &self,
        user: &User,
        audience: Audience,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedToken, Error> {
        let issued_at = now.as_second();
        let claims = Claims {
            sub: user.id,
            role: user.role,
            aud: audience.as_str().to_owned(),
            iat: issued_at,
            exp: issued_at.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
            jti: Uuid::now_v7(),
        };
        let header = Header {
            kid: self.public.as_ref().map(|key| key.kid.clone()),
            ..Header::new(self.algorithm)
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.encoding)
            .map_err(|error| Error::Internal(format!("a token could not be signed: {error}")))?;
        Ok(IssuedToken {
            token,
            expires_in: lifetime,
            role: user.role,
        })
    }

    /// What a token says, if it is ours, is for `audience` and has not expired.
    ///
    /// # Errors
    /// [`Error::Token`] with the reason in a few words.
    pub fn verify(&self, token: &str, audience: Audience) -> Result<Claims, Error> {
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation(audience, self.algorithm)) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(Error::Token(match error.kind() {
                ErrorKind::ExpiredSignature => audience.expired(),
                ErrorKind::InvalidAudience => "it is meant for another service",
                ErrorKind::InvalidSignature => "its signature does not match",
                ErrorKind::InvalidAlgorithm if self.algorithm == Algorithm::HS256 => "it is not signed with HS256",
                ErrorKind::InvalidAlgorithm => "it is not signed with EdDSA",
                _ => "it cannot be read",
            })),
        }
    }
}

fn validation(audience: Audience, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience.as_str()]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    // One clock issues and checks.
    validation.leeway = 0;
    validation
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn ada() -> User {
        User {
            id: Uuid::now_v7(),
            username: "ada".to_owned(),
            role: Role::Operator,
            created_at: Timestamp::now(),
            disabled: false,
        }
    }

    fn reason(result: Result<Claims, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_token_says_who_for_whom_and_how_long() {
        let signer = Signer::new(SECRET);
        let user = ada();
        let now = Timestamp::now();
        let issued = signer.issue(&user, Audience::Api, now, LIFETIME).unwrap();
        let claims = signer.verify(&issued.token, Audience::Api).unwrap();
        assert_eq!(
            (claims.sub, claims.role, claims.aud.as_str()),
            (user.id, Role::Operator, "ratchet-api")
        );
        assert_eq!((claims.iat, claims.exp), (now.as_second(), now.as_second() + 3600));
    }

    #[test]
    fn a_token_for_one_service_is_refused_by_the_other() {
        let signer = Signer::new(SECRET);
        for (for_whom, other) in [(Audience::Api, Audience::Engine), (Audience::Engine, Audience::Api)] {
            let token = signer
                .issue(&ada(), for_whom, Timestamp::now(), LIFETIME)
                .unwrap()
                .token;
            assert_eq!(signer.verify(&token, for_whom).unwrap().aud, for_whom.as_str());
            assert!(reason(signer.verify(&token, other)).contains("another service"));
        }
    }

    #[test]
    fn expired_forged_and_foreign_tokens_are_refused() {
        let signer = Signer::new(SECRET);
        let user = ada();
        let long_ago = Timestamp::from_second(Timestamp::now().as_second() - 7200).unwrap();
        let expired = signer.issue(&user, Audience::Api, long_ago, LIFETIME).unwrap().token;
        assert!(reason(signer.verify(&expired, Audience::Api)).contains("expired"));

        let forged = Signer::new(b"another secret of at least 32 bytes!").issue(
            &user,
            Audience::Api,
            Timestamp::now(),
            LIFETIME,
        );
        assert!(reason(signer.verify(&forged.unwrap().token, Audience::Api)).contains("signature"));

        assert!(reason(signer.verify("a.b.c", Audience::Api)).contains("cannot be read"));
        assert!(reason(signer.verify("", Audience::Api)).contains("cannot be read"));
    }

    #[test]
    fn another_algorithm_or_none_is_refused_even_with_the_right_key() {
        let signer = Signer::new(SECRET);
        let claims = signer
            .verify(
                &signer
                    .issue(&ada(), Audience::Api, Timestamp::now(), LIFETIME)
                    .unwrap()
                    .token,
                Audience::Api,
            )
            .unwrap();
        let hs512 = jsonwebtoken::encode(
            &Header::new(Algorithm::HS512),
            &claims,
            &EncodingKey::from_secret(SECRET),
        );
        assert!(reason(signer.verify(&hs512.unwrap(), Audience::Api)).contains("HS256"));
        // {"alg":"none","typ":"JWT"} with the payload of a good token and no signature.
        let good = signer
            .issue(&ada(), Audience::Api, Timestamp::now(), LIFETIME)
            .unwrap()
            .token;
        let payload = good.split('.').nth(1).unwrap().to_owned();
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert!(signer.verify(&unsigned, Audience::Api).is_err());
    }

    /// The key of RFC 8037, appendix A, in PKCS#8.
    fn published_key() -> Vec<u8> {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let prefix = hex::decode("302e020100300506032b657004220420").unwrap();
        prefix.into_iter().chain(seed).collect()
    }

    #[test]
    fn a_key_pair_signs_and_its_public_half_is_that_of_the_standard() {
        let signer = Signer::ed25519(&published_key()).unwrap();
        let keys = signer.public_keys().keys;
        assert_eq!(keys[0].x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(keys[0].kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let issued = signer.issue(&ada(), Audience::Api, Timestamp::now(), LIFETIME).unwrap();
        assert!(signer.verify(&issued.token, Audience::Api).is_ok());
        assert!(reason(signer.verify(&issued.token, Audience::Engine)).contains("another service"));
    }

    #[test]
    fn a_public_key_taken_for_a_secret_forges_nothing() {
        let signer = Signer::ed25519(&published_key()).unwrap();
        let claims = Signer::new(SECRET)
            .issue(&ada(), Audience::Api, Timestamp::now(), LIFETIME)
            .unwrap();
        assert!(reason(signer.verify(&claims.token, Audience::Api)).contains("EdDSA"));
        let public = signer.public_keys().keys[0].x.clone();
        let forger = Signer::new(public.as_bytes());
        let forged = forger.issue(&ada(), Audience::Api, Timestamp::now(), LIFETIME).unwrap();
        assert!(signer.verify(&forged.token, Audience::Api).is_err());
    }

    #[test]
    fn a_token_for_another_audience_or_without_one_is_refused() {
        let signer = Signer::new(SECRET);
        let claims = signer
            .verify(
                &signer
                    .issue(&ada(), Audience::Api, Timestamp::now(), LIFETIME)
                    .unwrap()
                    .token,
                Audience::Api,
            )
            .unwrap();
        let encode = |claims: &serde_json::Value| {
            jsonwebtoken::encode(
                &Header::new(Algorithm::HS256),
                claims,
                &EncodingKey::from_secret(SECRET),
            )
            .unwrap()
        };
        let mut other = serde_json::to_value(&claims).unwrap();
        other["aud"] = "elsewhere".into();
        assert!(reason(signer.verify(&encode(&other), Audience::Api)).contains("another service"));
        for missing in ["aud", "exp", "sub", "role", "jti", "iat"] {
            let mut without = serde_json::to_value(&claims).unwrap();
            without.as_object_mut().unwrap().remove(missing);
            assert!(
                signer.verify(&encode(&without), Audience::Api).is_err(),
                "{missing} may not be missing"
            );
        }
    }
}
