//! `POST /api/v1/token`: OAuth2's password grant (RFC 6749, section 4.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_identity::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::server::State;

/// The form. Other fields that OAuth2 clients send are not looked at.
#[derive(Deserialize, ToSchema)]
pub(super) struct PasswordGrant {
    /// `password`, or left out.
    #[schema(example = "password")]
    grant_type: Option<String>,
    /// Name of the user.
    username: Option<String>,
    /// Password of the user.
    #[schema(format = "password")]
    password: Option<String>,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenAnswer {
    /// Goes into `Authorization: Bearer ...`.
    access_token: String,
    /// `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// How long the token lasts, in seconds.
    #[schema(example = 3600)]
    expires_in: u64,
    /// Role of the user: `user`, `operator` or `admin`.
    role: String,
}

/// Why there is no token, in OAuth2's shape.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenError {
    /// OAuth2's word for it.
    #[schema(example = "invalid_grant")]
    error: &'static str,
    /// The same in a sentence.
    error_description: String,
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: u64,
}

impl TokenError {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            error,
            error_description: description.into(),
            status: StatusCode::BAD_REQUEST,
            retry_after: 0,
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let mut response = (status, Json(self)).into_response();
        if retry_after > 0 {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
        }
        response
    }
}

/// A bearer token for a name and a password. It is for the engine alone: the prediction API has its own.
#[utoipa::path(
    post,
    path = "/api/v1/token",
    tag = "access",
    request_body(content = PasswordGrant, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A token", body = TokenAnswer),
        (status = 400, description = "Wrong name or password (`invalid_grant`), or a form that is not OAuth2's", body = TokenError),
        (status = 429, description = "Too many wrong passwords for this name; see Retry-After", body = TokenError),
        (status = 503, description = "The users cannot be read", body = TokenError),
    )
)]
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    form: Result<Form<PasswordGrant>, FormRejection>,
) -> Result<Json<TokenAnswer>, TokenError> {
    let needed = "send a form (Content-Type: application/x-www-form-urlencoded) with 'username' and 'password'";
    let Form(grant) = form.map_err(|_| TokenError::new("invalid_request", needed))?;
    if grant.grant_type.is_some_and(|kind| kind != "password") {
        let only = "the only grant type here is 'password'";
        return Err(TokenError::new("unsupported_grant_type", only));
    }
    let (Some(username), Some(password)) = (grant.username, grant.password) else {
        return Err(TokenError::new("invalid_request", needed));
    };
    let user = state
        .identity
        .verify_password(&username, &password)
        .await
        .map_err(|error| refused(&error))?;
    let issued = state.identity.issue_token(&user).map_err(|error| refused(&error))?;
    tracing::info!(user = user.username, role = %user.role, "issued a token");
    Ok(Json(TokenAnswer {
        access_token: issued.token,
        token_type: "bearer",
        expires_in: issued.expires_in.as_secs(),
        role: issued.role.to_string(),
    }))
}

fn refused(error: &Error) -> TokenError {
    match error {
        Error::WrongCredentials => TokenError::new("invalid_grant", error.to_string()),
        Error::Throttled { retry_after } => TokenError {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: retry_after.as_secs(),
            ..TokenError::new("slow_down", error.to_string())
        },
        other => {
            tracing::error!(error = %other, "cannot issue a token");
            TokenError {
                status: StatusCode::SERVICE_UNAVAILABLE,
                retry_after: 1,
                ..TokenError::new("server_error", "the users cannot be read; the service's log says more")
            }
        }
    }
}
