//! Tokens whose signature held: it is checked once and not at each request.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use uuid::Uuid;

use crate::token::{Audience, Claims};

/// Tokens remembered at once.
const KEPT: usize = 4096;

/// For whom a token is, whose it is, and when it ends, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Known {
    audience: Audience,
    user: Uuid,
    ends: i64,
}

/// By the token itself: who does not send it letter for letter finds nothing.
#[derive(Default)]
pub(crate) struct VerifiedTokens {
    known: RwLock<HashMap<Box<str>, Known>>,
}

impl VerifiedTokens {
    /// The user of a token that held before and still does. Whatever else may be wrong with it is found by checking it again.
    pub(crate) fn user(&self, token: &str, audience: Audience, now: i64) -> Option<Uuid> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(token)?;
        (found.audience == audience && found.ends > now).then_some(found.user)
    }

    /// Remembers a token that held.
    pub(crate) fn remember(&self, token: &str, audience: Audience, claims: &Claims, now: i64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.retain(|_, known| known.ends > now);
        }
        if known.len() >= KEPT {
            known.clear();
        }
        let found = Known {
            audience,
            user: claims.sub,
            ends: claims.exp,
        };
        known.insert(token.into(), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    fn claims(ends: i64) -> Claims {
        Claims {
            sub: Uuid::now_v7(),
            role: Role::User,
            aud: "ratchet-api".to_owned(),
            iat: 0,
            exp: ends,
            jti: Uuid::now_v7(),
        }
    }

    #[test]
    fn a_token_is_known_to_its_service_until_it_ends() {
        let tokens = VerifiedTokens::default();
        let claims = claims(100);
        tokens.remember("a.b.c", Audience::Api, &claims, 0);
        assert_eq!(tokens.user("a.b.c", Audience::Api, 99), Some(claims.sub));
        assert_eq!(tokens.user("a.b.c", Audience::Api, 100), None);
        assert_eq!(tokens.user("a.b.c", Audience::Engine, 99), None);
        assert_eq!(tokens.user("a.b.d", Audience::Api, 99), None);
    }

    #[test]
    fn tokens_that_ended_make_room() {
        let tokens = VerifiedTokens::default();
        let (brief, long) = (claims(100), claims(1000));
        for number in 0..KEPT {
            tokens.remember(&number.to_string(), Audience::Api, &brief, 0);
        }
        tokens.remember("long", Audience::Api, &long, 200);
        assert_eq!(tokens.user("long", Audience::Api, 300), Some(long.sub));
        assert_eq!(tokens.known.read().map(|known| known.len()).unwrap_or_default(), 1);
    }
}
