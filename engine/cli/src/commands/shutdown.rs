//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::display::output;
use crate::failure::Failure;

/// A channel that turns true at the first signal. The second signal ends the program with the status of a killed one;
/// task processes end with it, because their pipe closes.
///
/// # Errors
///
/// The system refuses signal handlers.
pub fn listen(first: &'static str) -> Result<watch::Receiver<bool>, Failure> {
    let refused = |error: std::io::Error| Failure::service(format!("signals cannot be received: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        for already_asked in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if already_asked {
                std::process::exit(130);
            }
            output::error(first);
            let _ = sender.send(true);
        }
    });
    Ok(receiver)
}
