//! Changing acts and the audit log.

use std::sync::Arc;

use ratchet_identity::Act;

use super::caller::Caller;
use crate::problem::Problem;
use crate::server::State;

/// Writes what is asked, does it, and writes what came of it. What cannot be written is not done. A client that leaves
/// does not end it halfway.
///
/// # Errors
///
/// The log cannot be written, or whatever `act` says.
pub(crate) async fn audited<T: Send + 'static>(
    state: &Arc<State>,
    caller: &Caller,
    action: &'static str,
    subject: String,
    act: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let identity = state.identity.acting(caller.actor());
    let work = tokio::spawn(async move {
        identity.audit(&Act::asked(action, &subject)).await?;
        let outcome = act.await;
        let said = match &outcome {
            Ok(_) => "done".to_owned(),
            Err(problem) => format!("refused: {}", problem.detail()),
        };
        // It is done: the caller learns that, whatever becomes of the second entry.
        if let Err(error) = identity.audit(&Act::with_outcome(action, &subject, said)).await {
            tracing::error!(action, subject, %error, "the outcome is missing in the audit log");
        }
        outcome
    });
    work.await
        .unwrap_or_else(|error| Err(Problem::internal(format!("the request broke off: {error}"))))
}
