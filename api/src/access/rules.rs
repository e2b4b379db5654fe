//! One rule for each route: the guard, the OpenAPI document, the guide and the tests read this table. What has no rule is not answered.

use ratchet_identity::Role;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Users of this role and those above it.
    From(Role),
}

use Access::{From, Public};
use Role::{Admin, Operator, User};

/// Method, path, who may. A model's declared route follows the rule of `/predict/{model}`.
pub const RULES: [(&str, &str, Access); 45] = [
    ("POST", "/token", Public),
    ("POST", "/token/revoke", Public),
    ("POST", "/register", Public),
    ("GET", "/.well-known/jwks.json", Public),
    ("GET", "/user", From(Admin)),
    ("POST", "/user", From(Admin)),
    ("DELETE", "/user", From(Admin)),
    ("POST", "/predict", From(User)),
    ("POST", PREDICT, From(User)),
    ("GET", "/logs/{limit}", From(Operator)),
    ("POST", "/feedback", From(User)),
    ("GET", "/accuracy", From(User)),
    ("GET", "/database", From(Admin)),
    ("GET", "/database/{collection}", From(Admin)),
    ("POST", "/database/{collection}", From(Admin)),
    ("DELETE", "/database/{collection}", From(Admin)),
    ("GET", "/retrain/status", From(User)),
    ("POST", "/retrain/trigger", From(Operator)),
    ("GET", "/retrain/config", From(User)),
    ("POST", "/retrain/config", From(Operator)),
    ("GET", "/retrain/logs/{limit}", From(Operator)),
    ("POST", "/evaluate", From(User)),
    ("GET", "/evaluate/{run}", From(User)),
    ("GET", "/models", Public),
    ("GET", "/health", Public),
    ("GET", "/metrics", Public),
    ("GET", "/metrics/prometheus", Public),
    ("GET", "/openapi.json", Public),
    ("GET", "/docs", Public),
    ("GET", "/docs/", Public),
    ("GET", "/docs/{*file}", Public),
    ("GET", "/v2", Public),
    ("GET", "/v2/", Public),
    ("GET", "/v2/health/live", Public),
    ("GET", "/v2/health/ready", Public),
    ("GET", "/v2/models/{model}", Public),
    ("GET", "/v2/models/{model}/ready", Public),
    ("GET", "/v2/models/{model}/versions/{version}", Public),
    ("GET", "/v2/models/{model}/versions/{version}/ready", Public),
    ("POST", "/v2/models/{model}/infer", From(User)),
    ("POST", "/v2/models/{model}/versions/{version}/infer", From(User)),
    ("POST", "/v2/repository/index", From(Admin)),
    ("POST", "/v2/repository/models/{model}/load", From(Admin)),
    ("POST", "/v2/repository/models/{model}/unload", From(Admin)),
    ("GET", "/v2/{*rest}", Public),
];

/// The path of every model.
pub const PREDICT: &str = "/predict/{model}";

/// The rule of a route, if it has one.
pub fn rule(method: &str, path: &str) -> Option<Access> {
    // Whoever may read may ask how long the answer would be.
    let method = if method == "HEAD" { "GET" } else { method };
    RULES
        .iter()
        .find(|(known, pattern, _)| *known == method && *pattern == path)
        .map(|(_, _, access)| *access)
}

/// Whether any method of a path has a rule.
pub fn is_known(path: &str) -> bool {
    RULES.iter().any(|(_, pattern, _)| *pattern == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_without_a_rule_has_no_access() {
        assert_eq!(rule("GET", "/health"), Some(Public));
        assert_eq!(rule("HEAD", "/user"), Some(From(Admin)));
        assert_eq!(rule("PUT", "/user"), None);
        assert!(is_known("/user") && !is_known("/elsewhere"));
    }

    #[test]
    fn no_route_has_two_rules() {
        for (index, (method, path, _)) in RULES.iter().enumerate() {
            let again = RULES
                .iter()
                .skip(index + 1)
                .any(|rule| (rule.0, rule.1) == (*method, *path));
            assert!(!again, "{method} {path}");
        }
    }
}
