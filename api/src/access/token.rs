//! `POST /token`: OAuth2's password grant (RFC 6749, sections 4.3 and 5).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_identity::{Error, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::service::Application;

/// Longest form that is read, in bytes.
pub const FORM_LIMIT: usize = 16 * 1024;

/// The form. Other fields that OAuth2 clients send (`scope`, `client_id`, `client_secret`) are not looked at.
#[derive(Deserialize, ToSchema)]
pub struct PasswordGrant {
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
pub struct TokenAnswer {
    /// Goes into `Authorization: Bearer ...`.
    access_token: String,
    /// `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// How long the token lasts, in seconds.
    #[schema(example = 3600)]
    expires_in: u64,
    /// Role of the user: `user`, `operator` or `admin`.
    #[schema(value_type = String, example = "user")]
    role: Role,
}

/// Why there is no token, in OAuth2's shape.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenError {
    /// OAuth2's word for it: `invalid_request`, `invalid_grant`, `unsupported_grant_type`, `slow_down`, `server_error`.
    error: &'static str,
    /// The same in a sentence.
    error_description: String,
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<u64>,
}

const UNCACHED: [(HeaderName, &str); 2] = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];

/// A bearer token for a name and a password.
#[utoipa::path(
    post,
    path = "/token",
    tag = "access",
    operation_id = "token",
    request_body(content = PasswordGrant, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A token", body = TokenAnswer),
        (status = 400, description = "Wrong name or password (`invalid_grant`), or a form that is not OAuth2's", body = TokenError),
        (status = 429, description = "Too many wrong passwords for this name; see Retry-After", body = TokenError),
        (status = 503, description = "The users cannot be read", body = TokenError),
    )
)]
pub async fn token(
    State(application): State<Arc<Application>>,
    form: Result<Form<PasswordGrant>, FormRejection>,
) -> Result<Response, TokenError> {
    let Form(grant) = form.map_err(|rejection| unreadable(&rejection))?;
    if grant.grant_type.is_some_and(|kind| kind != "password") {
        return Err(TokenError::new(
            "unsupported_grant_type",
            "the only grant type here is 'password'",
        ));
    }
    let (Some(username), Some(password)) = (grant.username, grant.password) else {
        return Err(TokenError::new(
            "invalid_request",
            "the form needs the fields 'username' and 'password'",
        ));
    };
    let identity = &application.identity;
    let user = identity
        .verify_password(&username, &password)
        .await
        .map_err(|error| refused(&error))?;
    let issued = identity.issue_token(&user).map_err(|error| refused(&error))?;
    tracing::info!(user = %user.id, role = %user.role, "issued a token");
    let answer = TokenAnswer {
        access_token: issued.token,
        token_type: "bearer",
        expires_in: issued.expires_in.as_secs(),
        role: issued.role,
    };
    Ok((UNCACHED, Json(answer)).into_response())
}

fn unreadable(rejection: &FormRejection) -> TokenError {
    let mut error = TokenError::new(
        "invalid_request",
        "send a form (Content-Type: application/x-www-form-urlencoded) with 'username' and 'password', each once",
    );
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        error.status = status;
    }
    error
}

fn refused(error: &Error) -> TokenError {
    match error {
        Error::WrongCredentials => TokenError::new("invalid_grant", error.to_string()),
        Error::Throttled { retry_after } => TokenError {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(retry_after.as_secs()),
            ..TokenError::new("slow_down", error.to_string())
        },
        other => {
            tracing::error!(error = %other, "cannot issue a token");
            TokenError {
                status: StatusCode::SERVICE_UNAVAILABLE,
                retry_after: Some(1),
                ..TokenError::new("server_error", "the users cannot be read; the service's log says more")
            }
        }
    }
}

impl TokenError {
    fn new(error: &'static str, description: impl Into<String>) -> TokenError {
        TokenError {
            error,
            error_description: description.into(),
            status: StatusCode::BAD_REQUEST,
            retry_after: None,
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let retry_after = self
            .retry_after
            .map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let status = self.status;
        match retry_after {
            Some(retry_after) => (status, UNCACHED, retry_after, Json(self)).into_response(),
            None => (status, UNCACHED, Json(self)).into_response(),
        }
    }
}
