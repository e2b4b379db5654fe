//! The token that a request carries.

use axum::http::{HeaderMap, header};
use ratchet_identity::{Error, Identity, User};

use crate::problem::Problem;

/// The user whose bearer token stands in `Authorization`. Any role may ask for predictions.
///
/// # Errors
/// 401 without a token or with one that does not hold, 503 if the users cannot be read.
pub async fn caller(headers: &HeaderMap, identity: &Identity) -> Result<User, Problem> {
    let token = token(headers).ok_or_else(|| Problem::unauthorized(None))?;
    match identity.verify_token(token).await {
        Ok(user) => Ok(user),
        Err(error @ Error::Token(_)) => Err(Problem::unauthorized(Some(&error.to_string()))),
        Err(error) => {
            tracing::error!(%error, "cannot check a token");
            Err(Problem::users_unavailable())
        }
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(token(&headers("Bearer abc")), Some("abc"));
        assert_eq!(token(&headers("bearer  abc ")), Some("abc"));
        assert_eq!(token(&headers("Basic abc")), None);
        assert_eq!(token(&headers("abc")), None);
        assert_eq!(token(&HeaderMap::new()), None);
    }
}
