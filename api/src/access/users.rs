//! `GET`, `POST` and `DELETE /user`, and `POST /register`.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ratchet_identity::{Actor, Role, User};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller;
use crate::fields::Fields;
use crate::problem::Problem;
use crate::refusals::{BodyRefusals, UserRefusals};
use crate::service::Application;

/// All users.
#[derive(Serialize, ToSchema)]
pub struct UserList {
    /// By name.
    users: Vec<KnownUser>,
}

/// A user, without the password.
#[derive(Serialize, ToSchema)]
pub struct KnownUser {
    /// UUIDv7.
    id: String,
    /// Unique; upper and lower case differ.
    #[schema(example = "ada")]
    username: String,
    /// `user`, `operator` or `admin`.
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// When the user was added.
    created_at: String,
    /// A disabled user keeps the name and gets no token.
    disabled: bool,
}

impl From<User> for KnownUser {
    fn from(user: User) -> KnownUser {
        KnownUser {
            id: user.id.to_string(),
            username: user.username,
            role: user.role,
            created_at: user.created_at.to_string(),
            disabled: user.disabled,
        }
    }
}

/// A user to add.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub struct NewUser {
    /// 1 to 64 letters, digits or `. - _ @ +`, beginning with a letter or digit.
    #[schema(example = "ada", pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
    username: String,
    /// At least 8 characters.
    #[schema(format = "password", min_length = 8, max_length = 1024)]
    password: String,
    /// `user` (if left out), `operator` or `admin`.
    #[schema(required = false, example = "user")]
    role: Option<String>,
}

/// A user who registers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub struct Registration {
    /// 1 to 64 letters, digits or `. - _ @ +`, beginning with a letter or digit.
    #[schema(example = "ada", pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
    username: String,
    /// At least 8 characters.
    #[schema(format = "password", min_length = 8, max_length = 1024)]
    password: String,
}

/// Which user.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichUser {
    /// Name of the user.
    username: Option<String>,
}

/// All users by name.
#[utoipa::path(
    get, path = "/user", tag = "access", operation_id = "users",
    responses((status = 200, description = "All users", body = UserList))
)]
pub async fn list(State(application): State<Arc<Application>>) -> Result<Json<UserList>, Problem> {
    let users = application.identity.list().await;
    let users = users.map_err(|error| Problem::of_users(&error))?;
    Ok(Json(UserList {
        users: users.into_iter().map(KnownUser::from).collect(),
    }))
}

/// Adds a user.
#[utoipa::path(
    post, path = "/user", tag = "access", operation_id = "add_user",
    request_body(content = NewUser, content_type = "application/json"),
    responses(
        (status = 201, description = "The user", body = KnownUser),
        BodyRefusals,
        UserRefusals,
    )
)]
pub async fn add(State(application): State<Arc<Application>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller::required(&parts.extensions)?;
    let mut fields = Fields::read(&parts.headers, body).await?;
    let username = fields.text("username");
    let password = fields.text("password");
    let role = fields.word("role", "user, operator, admin").unwrap_or(Role::User);
    fields.finish()?;
    create(&application, caller.actor(), username, password, role).await
}

/// Removes a user. Tokens of the user end within two seconds.
#[utoipa::path(
    delete, path = "/user", tag = "access", operation_id = "remove_user",
    params(("username" = String, Query, description = "Name of the user")),
    responses(
        (status = 204, description = "The user is gone"),
        (status = 404, description = "No such user", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "This is the user who asks", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No name is given", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn remove(
    State(application): State<Arc<Application>>,
    which: Result<Query<WhichUser>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let caller = caller::required(request.extensions())?;
    let username = which.ok().and_then(|Query(which)| which.username);
    let username = username.ok_or_else(|| Problem::bad_parameter("the query names a user: /user?username=NAME"))?;
    if username == caller.user.username {
        return Err(Problem::conflict(
            "this is the user with whose token you ask; let another administrator do it",
        ));
    }
    let identity = application.identity.acting(caller.actor());
    to_its_end(async move { identity.remove(&username).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a user with the role `user`, where that is allowed.
#[utoipa::path(
    post, path = "/register", tag = "access", operation_id = "register",
    request_body(content = Registration, content_type = "application/json"),
    responses(
        (status = 201, description = "The user", body = KnownUser),
        BodyRefusals,
        (status = 403, description = "Registration is off", body = Problem, content_type = "application/problem+json"),
        UserRefusals,
        (status = 429, description = "Too many registrations from this address; see Retry-After", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The users cannot be written", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn register(State(application): State<Arc<Application>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if !application.access.registration {
        return Err(Problem::registration_is_off());
    }
    let mut fields = Fields::read(&parts.headers, body).await?;
    let username = fields.text("username");
    let password = fields.text("password");
    fields.finish()?;
    let origin = caller::origin(&parts.extensions);
    // A hash takes a core for a moment: strangers get few of them.
    let registrations = &application.access.registrations;
    registrations
        .take(origin, Instant::now())
        .map_err(Problem::too_many_requests)?;
    let actor = Actor::new("registration", caller::address(origin));
    create(&application, actor, username, password, Role::User).await
}

async fn create(
    application: &Application,
    actor: Actor,
    username: String,
    password: String,
    role: Role,
) -> Result<Response, Problem> {
    let identity = application.identity.acting(actor);
    let user = to_its_end(async move { identity.add_user(&username, &password, role).await }).await?;
    Ok((StatusCode::CREATED, Json(KnownUser::from(user))).into_response())
}

/// A client that leaves does not end a change halfway.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ratchet_identity::Error>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome.map_err(|error| Problem::of_users(&error)),
        Err(error) => {
            tracing::error!(%error, "a change of the users broke off");
            Err(Problem::internal())
        }
    }
}
