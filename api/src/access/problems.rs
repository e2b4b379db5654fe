//! What is refused because of who asks.

use axum::http::{StatusCode, header};
use ratchet_identity::{Error, Role, User};

use crate::problem::{FieldError, Problem};

impl Problem {
    /// 403: the role is too low.
    pub fn forbidden(role: Role, user: &User) -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "urn:ratchet:problem:forbidden",
            "the role is too low",
            format!(
                "this needs the role {role}, {} has {}; ask an administrator",
                user.username, user.role
            ),
        )
    }

    /// 403: nobody may register.
    pub fn registration_is_off() -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "urn:ratchet:problem:registration-is-off",
            "registration is off",
            "an administrator adds users with POST /user or `ratchet users add`; RATCHET_REGISTRATION=true lets everybody register",
        )
    }

    /// 404: no such user.
    pub fn unknown_user() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:ratchet:problem:unknown-user",
            "there is no such user",
            "no user has this name; GET /user lists all",
        )
    }

    /// 409: what is there does not allow it.
    pub fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::CONFLICT,
            "urn:ratchet:problem:conflict",
            "something is in the way",
            detail,
        )
    }

    /// 429: too often. `seconds` until the next request is answered.
    pub fn too_many_requests(seconds: u64) -> Problem {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "urn:ratchet:problem:too-many-requests",
            "too many requests",
            format!("this caller asked too often; ask again in {seconds} s, and send rows as a list or a stream"),
        )
        .with_header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// What the users' store says about a change.
    pub fn of_users(error: &Error) -> Problem {
        let fault = |pointer: &str, code| {
            let fault = FieldError {
                pointer: pointer.to_owned(),
                code,
                message: match error {
                    // Its words repeat the name that was sent.
                    Error::Username(_) => {
                        "write 1 to 64 letters, digits or . - _ @ +, and begin with a letter or digit".to_owned()
                    }
                    other => other.to_string(),
                },
            };
            Problem::invalid_fields(vec![fault], 1)
        };
        match error {
            Error::Username(_) => fault("/username", "bad_name"),
            Error::PasswordRule(_) => fault("/password", "bad_password"),
            Error::Exists(_) => Problem::conflict("a user of this name exists already; choose another name"),
            Error::Unknown(_) => Problem::unknown_user(),
            other => {
                tracing::error!(error = %other, "the users cannot be changed");
                Problem::users_unavailable()
            }
        }
    }
}
