//! Paths that no model may declare.

/// First segments of the paths that the prediction API answers itself.
const RESERVED: [&str; 18] = [
    "collections", "database", "docs", "evaluate", "feedback", "health", "logs", "lookups", "metrics", "models",
    "openapi.json", "ready", "register", "retrain", "token", "user", "v2", ".well-known",
];

/// True for a path of the API itself: any under a reserved first segment, the root, and `/predict` and `/predict/<model>`
/// where it is the bare name of a model is left to the one who loads it.
pub fn is_reserved_path(path: &str) -> bool {
    let mut segments = path.trim_matches('/').split('/');
    match (segments.next(), segments.next()) {
        (Some("predict") | Some(""), None) => true,
        (Some(first), _) => RESERVED.contains(&first),
        (None, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_routes_are_free_and_the_own_ones_are_not() {
        for path in ["/predict/time_pump", "/api/predict/delivery/duration"] {
            assert!(!is_reserved_path(path), "{path}");
        }
        for path in ["/", "/token", "/health", "/predict", "/metrics/prometheus", "/v2/models"] {
            assert!(is_reserved_path(path), "{path}");
        }
    }
}
