//! Bearer tokens: HS256 JWTs that name a user.
//!
//! Only HS256 is accepted, whatever a token's header says, and `aud`, `exp`, `iat`, `jti`, `sub` and `role` must all be there.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;
use crate::user::User;

/// The service that a token is for. A token for one is refused by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Signs and checks tokens with one secret.
#[derive(Clone)]
pub struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Signer {
    /// A signer for a secret of at least 32 bytes (see [`crate::secret::load`]).
    pub fn new(secret: &[u8]) -> Signer {
        Signer {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
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
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
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
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation(audience)) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(Error::Token(match error.kind() {
                ErrorKind::ExpiredSignature => audience.expired(),
                ErrorKind::InvalidAudience => "it is meant for another service",
                ErrorKind::InvalidSignature => "its signature does not match",
                ErrorKind::InvalidAlgorithm => "it is not signed with HS256",
                _ => "it cannot be read",
            })),
        }
    }
}

fn validation(audience: Audience) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
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
