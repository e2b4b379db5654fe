//! Brings what attempts say to the database while they say it, many at once, so that a killed engine loses no more
//! than the last tenth of a second of it.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::logs::{log_path, metrics_path};
use crate::store::{AttemptName, Saying, SayingKind, Store};

/// How long sayings are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// At most so many are written at once.
const MOST: usize = 2_000;

enum Entry {
    Said(Saying),
    Moved(AttemptName),
    Flush(oneshot::Sender<()>),
}

/// The way to the database. Cheap to clone; the writer ends when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Journal(mpsc::UnboundedSender<Entry>);

impl Journal {
    /// Starts the writer.
    pub fn start(store: Store) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write(store, receiver));
        Self(sender)
    }

    /// One that writes nothing.
    #[cfg(test)]
    pub fn silent() -> Self {
        Self(mpsc::unbounded_channel().0)
    }

    /// Keeps a saying soon.
    pub fn say(&self, saying: Saying) {
        // Without a writer the engine is ending, and nobody waits for it.
        let _ = self.0.send(Entry::Said(saying));
    }

    /// What the attempt said stands in the bucket now.
    pub fn moved(&self, name: AttemptName) {
        let _ = self.0.send(Entry::Moved(name));
    }

    /// Waits until all that was handed over before is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.send(Entry::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}

async fn write(store: Store, mut entries: mpsc::UnboundedReceiver<Entry>) {
    while let Some(first) = entries.recv().await {
        let (mut sayings, mut moved, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = Some(first);
        let until = Instant::now() + GATHER;
        while let Some(entry) = next.take() {
            match entry {
                Entry::Said(saying) => sayings.push(saying),
                // What came and went within one gathering is never written.
                Entry::Moved(name) => {
                    sayings.retain(|saying| !belongs(saying, &name));
                    moved.push(name);
                }
                Entry::Flush(done) => waiting.push(done),
            }
            if sayings.len() < MOST && waiting.is_empty() {
                next = timeout_at(until, entries.recv()).await.ok().flatten();
            }
        }
        if !sayings.is_empty() || !moved.is_empty() {
            // The lines are in memory too and go to the bucket at the attempt's end: the attempt goes on.
            if let Err(error) = store.keep_said(&sayings, &moved).await {
                tracing::warn!(%error, "lines of the log are not kept until their attempt ends");
            }
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
}

fn belongs(saying: &Saying, name: &AttemptName) -> bool {
    saying.attempt == name.attempt && saying.task == name.task && saying.run == name.run
}

/// Moves what attempts of a run said to the bucket, after the engine that ran them is gone.
pub(crate) async fn move_left_behind(engine: &Inner, run: &str) -> Result<(), EngineError> {
    for name in engine.store.said_attempts(run).await? {
        let documents = [
            (SayingKind::Log, log_path(run, &name.task, name.attempt)),
            (SayingKind::Metric, metrics_path(run, &name.task, name.attempt)),
        ];
        for (kind, path) in documents {
            let text = engine.store.said(&name, kind).await?;
            if !text.is_empty() {
                // One that exists is whole: its attempt came to its end.
                let _ = engine.bucket.create(&path, Bytes::from(text)).await?;
            }
        }
        engine.store.keep_said(&[], &[name]).await?;
    }
    Ok(())
}
