//! One rule for each route. What has no rule is not answered.

use ratchet_identity::Role;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Public,
    /// Users of this role and those above it.
    From(Role),
}

use Access::{From, Public};
use Role::{Admin, Operator, User};

/// Method, path, who may. Reading is for every user, moving runs and models is for operators, people are for administrators.
pub(crate) const RULES: &[(&str, &str, Access)] = &[
    ("GET", "/", Public),
    ("GET", "/health", Public),
    ("POST", "/api/v1/token", Public),
    ("GET", "/api/v1/openapi.json", From(User)),
    ("GET", "/api/v1/dags", From(User)),
    ("GET", "/api/v1/dags/{name}", From(User)),
    ("GET", "/api/v1/dags/{name}/next", From(User)),
    ("POST", "/api/v1/dags/{name}/runs", From(Operator)),
    ("POST", "/api/v1/dags/{name}/pause", From(Operator)),
    ("POST", "/api/v1/dags/{name}/unpause", From(Operator)),
    ("GET", "/api/v1/dags/{name}/config", From(User)),
    ("POST", "/api/v1/dags/{name}/config", From(Operator)),
    ("POST", "/api/v1/dags/{name}/backfills", From(Operator)),
    // The token of the trigger says who may.
    ("POST", "/api/v1/hooks/{dag}", Public),
    ("GET", "/api/v1/backfills", From(User)),
    ("GET", "/api/v1/backfills/{id}", From(User)),
    ("POST", "/api/v1/backfills/{id}/stop", From(Operator)),
    ("GET", "/api/v1/runs", From(User)),
    ("GET", "/api/v1/runs/{id}", From(User)),
    ("GET", "/api/v1/runs/{id}/tasks", From(User)),
    ("GET", "/api/v1/runs/{id}/attempts", From(User)),
    ("GET", "/api/v1/runs/{id}/logs", From(User)),
    ("GET", "/api/v1/runs/{id}/logs/text", From(User)),
    ("GET", "/api/v1/runs/{id}/artifacts", From(User)),
    ("GET", "/api/v1/runs/{id}/artifacts/{task}/{attempt}/{name}", From(User)),
    ("GET", "/api/v1/runs/{id}/events", From(User)),
    ("POST", "/api/v1/runs/{id}/cancel", From(Operator)),
    ("POST", "/api/v1/runs/{id}/retry", From(Operator)),
    ("POST", "/api/v1/runs/{id}/clear", From(Operator)),
    ("POST", "/api/v1/runs/{id}/tasks/{task}/mark", From(Operator)),
    ("POST", "/api/v1/runs/{id}/tasks/{task}/approve", From(Operator)),
    ("GET", "/api/v1/pools", From(User)),
    ("GET", "/api/v1/datasets", From(User)),
    ("GET", "/api/v1/datasets/{name}", From(User)),
    ("GET", "/api/v1/datasets/{name}/versions/{version}", From(User)),
    ("GET", "/api/v1/lookups", From(User)),
    ("GET", "/api/v1/models", From(User)),
    ("GET", "/api/v1/models/{name}", From(User)),
    ("GET", "/api/v1/models/{name}/versions/{version}", From(User)),
    ("GET", "/api/v1/models/{name}/aliases/{alias}", From(User)),
    ("POST", "/api/v1/models/{name}/promote", From(Operator)),
    ("POST", "/api/v1/models/{name}/rollback", From(Operator)),
    ("POST", "/api/v1/models/{name}/route", From(Operator)),
    ("GET", "/api/v1/promotions", From(User)),
    ("GET", "/api/v1/users", From(Admin)),
    ("POST", "/api/v1/users", From(Admin)),
    ("DELETE", "/api/v1/users/{name}", From(Admin)),
    ("GET", "/api/v1/keys", From(Admin)),
    ("POST", "/api/v1/keys", From(Admin)),
    ("DELETE", "/api/v1/keys/{name}", From(Admin)),
    ("GET", "/api/v1/audit", From(Admin)),
    ("GET", "/api/v1/audit/check", From(Admin)),
];

/// The rule of a route, if it has one.
pub(super) fn rule(method: &str, path: &str) -> Option<Access> {
    // Whoever may read may ask how long the answer would be.
    let method = if method == "HEAD" { "GET" } else { method };
    RULES
        .iter()
        .find(|(known, pattern, _)| *known == method && *pattern == path)
        .map(|(_, _, access)| *access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_without_a_rule_has_no_access() {
        assert_eq!(rule("GET", "/health"), Some(Public));
        assert_eq!(rule("HEAD", "/api/v1/users"), Some(From(Admin)));
        assert_eq!(rule("PUT", "/api/v1/users"), None);
        assert_eq!(rule("GET", "/elsewhere"), None);
    }
}
