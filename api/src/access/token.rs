//! `POST /token`: OAuth2's password and refresh grants (RFC 6749, sections 4.3, 5 and 6); `POST /token/revoke` (RFC 7009).

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{Extensions, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_identity::{Actor, Error, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller;
use crate::refusals::FormRefusals;
use crate::service::Application;

/// Longest form that is read, in bytes.
pub const FORM_LIMIT: usize = 16 * 1024;

/// The form. Other fields that OAuth2 clients send (`scope`, `client_id`, `client_secret`) are not looked at.
#[derive(Deserialize, ToSchema)]
pub struct Grant {
    /// `password`, also if left out, or `refresh_token`.
    #[schema(example = "password")]
    grant_type: Option<String>,
    /// Name of the user.
    username: Option<String>,
    /// Password of the user.
    #[schema(format = "password")]
    password: Option<String>,
    /// What the last answer gave, in the place of name and password.
    #[schema(format = "password")]
    refresh_token: Option<String>,
}

/// The form of a token that nobody shall use any more.
#[derive(Deserialize, ToSchema)]
pub struct Revocation {
    /// A refresh token.
    #[schema(value_type = String, required = true, format = "password")]
    token: Option<String>,
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
    /// Gives the next pair of tokens, once. One that comes a second time ends all that came from the same login.
    refresh_token: String,
    /// How long that lasts, in seconds.
    #[schema(example = 1_209_600)]
    refresh_expires_in: u64,
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

/// A bearer token for a name and a password, or for a refresh token.
#[utoipa::path(
    post,
    path = "/token",
    tag = "access",
    operation_id = "token",
    request_body(content = Grant, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A token", body = TokenAnswer),
        (status = 400, description = "Wrong name, password or refresh token (`invalid_grant`), or a form that is not OAuth2's", body = TokenError),
        FormRefusals,
        (status = 429, description = "Too many wrong passwords for this name or from this address; see Retry-After", body = TokenError),
        (status = 503, description = "The users cannot be read", body = TokenError),
    )
)]
pub async fn token(
    State(application): State<Arc<Application>>,
    extensions: Extensions,
    form: Result<Form<Grant>, FormRejection>,
) -> Result<Response, TokenError> {
    let Form(grant) = form.map_err(|rejection| unreadable(&rejection))?;
    let origin = caller::origin(&extensions);
    let identity = application
        .identity
        .acting(Actor::new("client", caller::address(origin)));
    let (user, refresh) = match grant.grant_type.as_deref() {
        None | Some("password") => {
            let (Some(username), Some(password)) = (grant.username, grant.password) else {
                return Err(TokenError::new(
                    "invalid_request",
                    "the form needs the fields 'username' and 'password'",
                ));
            };
            let wrong_passwords = &application.access.wrong_passwords;
            wrong_passwords
                .look(origin, Instant::now())
                .map_err(TokenError::slow_down)?;
            let user = match identity.verify_password(&username, &password).await {
                Err(Error::WrongCredentials) => {
                    // Looked at before, and what is left when many come at once only means that the last few counted more.
                    let _ = wrong_passwords.take(origin, Instant::now());
                    return Err(refused(&Error::WrongCredentials));
                }
                outcome => outcome.map_err(|error| refused(&error))?,
            };
            let refresh = identity.issue_refresh(&user).await.map_err(|error| refused(&error))?;
            (user, refresh)
        }
        Some("refresh_token") => {
            let Some(secret) = grant.refresh_token else {
                return Err(TokenError::new(
                    "invalid_request",
                    "the form needs the field 'refresh_token'",
                ));
            };
            // A client that leaves does not keep what it sent from being used up.
            let trade = tokio::spawn(async move { identity.rotate_refresh(&secret).await });
            let traded = trade
                .await
                .map_err(|error| refused(&Error::Internal(error.to_string())))?;
            traded.map_err(|error| refused(&error))?
        }
        Some(_) => {
            return Err(TokenError::new(
                "unsupported_grant_type",
                "the grant types here are 'password' and 'refresh_token'",
            ));
        }
    };
    let issued = application
        .identity
        .issue_token(&user)
        .map_err(|error| refused(&error))?;
    tracing::info!(user = %user.id, role = %user.role, "issued a token");
    let answer = TokenAnswer {
        access_token: issued.token,
        token_type: "bearer",
        expires_in: issued.expires_in.as_secs(),
        refresh_token: refresh.secret,
        refresh_expires_in: refresh.expires_in.as_secs(),
        role: issued.role,
    };
    Ok((UNCACHED, Json(answer)).into_response())
}

/// Ends a refresh token and all that came from the same login. A token that is not known is no error.
#[utoipa::path(
    post,
    path = "/token/revoke",
    tag = "access",
    operation_id = "revoke_token",
    request_body(content = Revocation, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is not good any more", body = Object),
        (status = 400, description = "The form has no token", body = TokenError),
        FormRefusals,
        (status = 503, description = "The users cannot be written", body = TokenError),
    )
)]
pub async fn revoke(
    State(application): State<Arc<Application>>,
    extensions: Extensions,
    form: Result<Form<Revocation>, FormRejection>,
) -> Result<Response, TokenError> {
    let Form(form) = form.map_err(|rejection| unreadable(&rejection))?;
    let token = form
        .token
        .ok_or_else(|| TokenError::new("invalid_request", "the form needs the field 'token'"))?;
    let actor = Actor::new("client", caller::address(caller::origin(&extensions)));
    let identity = application.identity.acting(actor);
    identity.revoke_refresh(&token).await.map_err(|error| refused(&error))?;
    Ok((UNCACHED, Json(serde_json::json!({}))).into_response())
}

fn unreadable(rejection: &FormRejection) -> TokenError {
    let mut error = TokenError::new(
        "invalid_request",
        "send a form (Content-Type: application/x-www-form-urlencoded) with its fields, each once",
    );
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        error.status = status;
    }
    error
}

fn refused(error: &Error) -> TokenError {
    match error {
        Error::WrongCredentials | Error::Token(_) => TokenError::new("invalid_grant", error.to_string()),
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

    fn slow_down(seconds: u64) -> TokenError {
        TokenError {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(seconds),
            ..TokenError::new(
                "slow_down",
                format!("too many wrong passwords from this address; try again in {seconds} s"),
            )
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
