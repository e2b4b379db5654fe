//! Which paths a model may declare: one rule for training, promotion and loading.

/// First segments of the paths that the prediction API answers itself, now or by the published interface.
const RESERVED: [&str; 19] = [
    ".well-known",
    "accuracy",
    "collections",
    "database",
    "docs",
    "evaluate",
    "feedback",
    "health",
    "logs",
    "lookups",
    "metrics",
    "models",
    "openapi.json",
    "ready",
    "register",
    "retrain",
    "token",
    "user",
    "v2",
];

/// What is wrong with a route of a model, and the remedy; `None` if it may be declared. Whether another model declares
/// the same is not known here.
pub fn route_problem(model: &str, route: &str) -> Option<String> {
    let segments: Vec<&str> = route.split('/').skip(1).collect();
    let plain = |segment: &&str| {
        let letters = segment
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.~".contains(letter));
        !segment.is_empty() && letters && !segment.trim_start_matches('.').is_empty()
    };
    if !route.starts_with('/') || route.len() > 200 || !segments.iter().all(plain) {
        return Some(format!(
            "route {route:?} is not a plain path; write segments of letters, digits and - _ . ~, such as /predict/time_pump"
        ));
    }
    match segments.as_slice() {
        ["predict"] => Some("route /predict is the API's own; declare another, such as /predict/time_pump".to_owned()),
        // `/predict/<name>` is every model's own path, whether a model of that name exists yet or not.
        ["predict", name] if *name != model && is_model_name(name) => Some(format!(
            "route {route} is kept for a model named {name}; declare another, such as /predict/{}_model",
            name.replace('-', "_")
        )),
        [first, ..] if RESERVED.contains(first) => Some(format!(
            "route {route} would shadow the API's own /{first}; declare another"
        )),
        _ => None,
    }
}

/// Model names are `[a-z][a-z0-9-]*`.
pub fn is_model_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn published_paths_are_free_to_declare() {
        for route in [
            "/predict/time_pump",
            "/api/predict/delivery/duration",
            "/predict/lfb-pumps",
            "/tokens",
        ] {
            assert_eq!(route_problem("lfb-pumps", route), None, "{route}");
        }
    }

    #[test]
    fn the_own_paths_are_not() {
        for route in [
            "/token",
            "/health",
            "/metrics/prometheus",
            "/models/x",
            "/openapi.json",
            "/docs/a",
            "/v2/models",
        ] {
            assert!(route_problem("m", route).unwrap().contains("shadow"), "{route}");
        }
        assert!(
            route_problem("m", "/predict/other-model")
                .unwrap()
                .contains("a model named other-model")
        );
        assert!(route_problem("m", "/predict").is_some());
    }

    #[test]
    fn patterns_and_detours_are_no_routes() {
        for route in [
            "",
            "/",
            "predict/x",
            "/a//b",
            "/a/",
            "/a/{id}",
            "/a/*rest",
            "/a/../b",
            "/a/.",
            "/a b",
            "/ä",
            "/a?b",
        ] {
            assert!(
                route_problem("m", route).unwrap().contains("not a plain path"),
                "{route}"
            );
        }
        assert!(route_problem("m", &format!("/{}", "a".repeat(300))).is_some());
    }
}
