//! Which paths a model may declare beside those of other models; what a path may be at all is the contract's rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::registry::Served;

/// Checks the route that `model` declares against the service's own paths and the routes of other models.
///
/// # Errors
/// What is wrong with the route, and the remedy.
pub fn check(model: &str, route: &str, routes: &BTreeMap<String, Arc<Served>>) -> Result<(), String> {
    if let Some(problem) = ratchet_model::route_problem(model, route) {
        return Err(problem);
    }
    match routes.get(route) {
        Some(other) if other.name != model => Err(format!(
            "route {route} belongs to model {} already; declare another in one of them",
            other.name
        )),
        _ => Ok(()),
    }
}
