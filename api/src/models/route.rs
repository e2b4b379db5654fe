//! Which paths a model may declare.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::registry::Served;

/// Paths of the service itself, and the beginnings of those it keeps for later.
const BUILT_IN: [&str; 7] = [
    "/token",
    "/models",
    "/health",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/feedback",
];

/// Checks the route that `model` declares against the service's own paths and the routes of other models.
///
/// # Errors
/// What is wrong with the route, and the remedy.
pub fn check(model: &str, route: &str, routes: &BTreeMap<String, Arc<Served>>) -> Result<(), String> {
    let segments: Vec<&str> = route.split('/').skip(1).collect();
    let well_formed = route.starts_with('/')
        && route.len() <= 200
        && segments.iter().all(|segment| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "-_.~".contains(letter))
        });
    if !well_formed {
        return Err(format!(
            "route {route:?} is not a plain path; write segments of letters, digits and - _ . ~, such as /predict/time_pump"
        ));
    }
    let shadowed = BUILT_IN
        .iter()
        .find(|path| route == **path || route.starts_with(&format!("{path}/")));
    if let Some(path) = shadowed {
        return Err(format!(
            "route {route} would shadow the service's own {path}; declare another in the model"
        ));
    }
    // `/predict/<name>` is every model's own path, whether a model of that name exists yet or not.
    if let Some(name) = route
        .strip_prefix("/predict/")
        .filter(|name| *name != model && is_model_name(name))
    {
        return Err(format!(
            "route {route} is kept for a model named {name}; declare another, such as /predict/{}",
            name.replace('-', "_") + "_model"
        ));
    }
    match routes.get(route) {
        Some(other) if other.name != model => Err(format!(
            "route {route} belongs to model {} already; declare another in one of them",
            other.name
        )),
        _ => Ok(()),
    }
}

/// Model names are `[a-z][a-z0-9-]*`.
fn is_model_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn problem(model: &str, route: &str) -> Option<String> {
        check(model, route, &BTreeMap::new()).err()
    }

    #[test]
    fn published_paths_are_free_to_declare() {
        for route in [
            "/predict",
            "/predict/time_pump",
            "/api/predict/delivery/duration",
            "/predict/lfb-pumps",
            "/tokens",
        ] {
            assert_eq!(problem("lfb-pumps", route), None, "{route}");
        }
    }

    #[test]
    fn the_services_own_paths_are_not() {
        for route in [
            "/token",
            "/health",
            "/metrics/prometheus",
            "/metrics",
            "/models/x",
            "/openapi.json",
            "/docs/a",
        ] {
            assert!(problem("m", route).unwrap().contains("shadow"), "{route}");
        }
        assert!(
            problem("m", "/predict/other-model")
                .unwrap()
                .contains("a model named other-model")
        );
    }

    #[test]
    fn patterns_and_detours_are_no_routes() {
        for route in [
            "",
            "/",
            "predict",
            "/a//b",
            "/a/",
            "/{a}",
            "/a/../token",
            "/a b",
            "/a?b",
            "/a%2fb",
            "/ä",
        ] {
            assert!(problem("m", route).unwrap().contains("plain path"), "{route}");
        }
    }
}
