//! Work that keeps a thread busy, away from the event loop.

use ratchet_core::plugin::TaskError;

/// Runs `work` on a thread of its own and turns a panic into an error: polars has some `unwrap`s that a query can
/// reach, and no panic may take the engine down. `what` names the work in that error.
pub async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    match tokio::task::spawn_blocking(move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(
            TaskError::permanent(format!("{what} broke off: {}", panic_message(panic.as_ref()))).with_help(
                "this is a fault of the program or of a library; please report it with the task's configuration",
            ),
        ),
        Err(error) => Err(TaskError::transient(format!("{what} was interrupted: {error}"))),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_that_says_what_broke_off() {
        let error = blocking::<()>("the query", || panic!("index out of bounds"))
            .await
            .unwrap_err();
        assert_eq!(error.message, "the query broke off: index out of bounds");
        assert!(!error.retryable);
    }
}
