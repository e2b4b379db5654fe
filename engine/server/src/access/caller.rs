//! The one who asks, checked before any handler.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use ratchet_identity::{Actor, User};

use super::rules::{Access, rule};
use crate::problem::Problem;

/// A user who may use the route.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) user: User,
    /// Address that the connection comes from.
    pub(crate) origin: String,
}

impl Caller {
    /// The name that logs keep.
    pub(crate) fn name(&self) -> &str {
        &self.user.username
    }

    /// The same for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(self.name(), &self.origin)
    }
}

/// Answers 401 and 403; a handler behind it finds its [`Caller`] in the request.
pub(crate) async fn guard(
    State(state): State<Arc<crate::server::State>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let access = path.and_then(|path| rule(request.method().as_str(), path.as_str()));
    let role = match access {
        Some(Access::Public) => return Ok(next.run(request).await),
        Some(Access::From(role)) => role,
        None => return Err(Problem::internal("this route has no rule that says who may use it")),
    };
    let token = token(request.headers()).ok_or_else(|| Problem::unauthorized(None))?;
    let user = state.identity.verify_token(token).await?;
    if user.role < role {
        return Err(Problem::forbidden(format!(
            "this needs the role {role}, {} has {}; ask an administrator",
            user.username, user.role
        )));
    }
    let origin = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "unknown".to_owned(), |ConnectInfo(address)| address.ip().to_string());
    request.extensions_mut().insert(Caller { user, origin });
    Ok(next.run(request).await)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
