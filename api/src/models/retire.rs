//! Where bundles go that no longer serve.
//!
//! Freeing a forest of many megabytes takes milliseconds. The last holder of an `Arc` pays for it, and that would be some request;
//! so a thread keeps each retired bundle until nobody else holds it and frees it there.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::registry::Served;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Takes bundles that no longer serve. Its thread ends when it is dropped and the last of them is free.
#[derive(Debug)]
pub struct Retirement {
    bundles: Sender<Arc<Served>>,
}

impl Retirement {
    /// Starts the thread. If the system has none to give, bundles are freed where they are dropped.
    pub fn start() -> Retirement {
        let (bundles, retired) = channel::<Arc<Served>>();
        let body = move || {
            let mut waiting: Vec<Arc<Served>> = Vec::new();
            let mut open = true;
            while open || !waiting.is_empty() {
                let next = if waiting.is_empty() {
                    retired.recv().map_err(|_| RecvTimeoutError::Disconnected)
                } else {
                    retired.recv_timeout(LOOK_EVERY)
                };
                match next {
                    Ok(bundle) => waiting.push(bundle),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        open = false;
                        std::thread::sleep(LOOK_EVERY);
                    }
                }
                waiting.retain(|bundle| Arc::strong_count(bundle) > 1);
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("retired-models".to_owned())
            .spawn(body)
        {
            tracing::warn!(%error, "no thread for retired models; they are freed by the last request that uses them");
        }
        Retirement { bundles }
    }

    /// Frees the bundle once its last request is answered.
    pub fn retire(&self, bundle: Arc<Served>) {
        // Without the thread the bundle comes back in the error and is dropped here.
        let _ = self.bundles.send(bundle);
    }
}
