//! The one who asks, checked before any handler.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use ratchet_identity::{Actor, Role, User};

use super::bearer;
use super::rules::{Access, PREDICT, is_known, rule};
use crate::open_inference::routes::shaped;
use crate::problem::Problem;
use crate::service::Application;

/// A user who may use the route.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// Address that the connection comes from, if it is known.
    pub origin: Option<IpAddr>,
}

impl Caller {
    /// The same for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::new(&self.user.username, address(self.origin))
    }
}

/// An address as the audit log keeps it.
pub fn address(origin: Option<IpAddr>) -> String {
    origin.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}

/// Where a request comes from.
pub fn origin(extensions: &Extensions) -> Option<IpAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip())
}

/// Answers 401, 403 and 429; a handler behind it finds its [`Caller`] in the request.
pub async fn guard(State(application): State<Arc<Application>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    let role = match rule(request.method().as_str(), path) {
        Some(Access::From(role)) => role,
        Some(Access::Public) => return next.run(request).await,
        // Another method of a known path: behind this is only the answer that there is none.
        None if is_known(path) => return next.run(request).await,
        None => {
            tracing::error!(path, "this route has no rule that says who may use it");
            return shaped(request.uri().path(), Problem::internal());
        }
    };
    match admit(&application, request.headers(), request.extensions(), role).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => shaped(request.uri().path(), problem),
    }
}

/// The caller of a model at whatever path it declares.
///
/// # Errors
/// 401, 403, 429 or 503.
pub async fn of_prediction(
    application: &Application,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Problem> {
    match rule("POST", PREDICT) {
        Some(Access::From(role)) => admit(application, headers, extensions, role).await,
        _ => Err(Problem::internal()),
    }
}

async fn admit(
    application: &Application,
    headers: &HeaderMap,
    extensions: &Extensions,
    role: Role,
) -> Result<Caller, Problem> {
    let user = bearer::caller(headers, &application.identity).await?;
    if let Some(limits) = &application.access.limits {
        limits
            .take(user.id, Instant::now())
            .map_err(Problem::too_many_requests)?;
    }
    if user.role < role {
        return Err(Problem::forbidden(role, &user));
    }
    let origin = origin(extensions);
    Ok(Caller { user, origin })
}

/// A handler's caller, which [`guard`] has put there.
///
/// # Errors
/// 500 if the route has no guard.
pub fn required(extensions: &Extensions) -> Result<Caller, Problem> {
    extensions.get::<Caller>().cloned().ok_or_else(|| {
        tracing::error!("a route without a guard asks who its caller is");
        Problem::internal()
    })
}
