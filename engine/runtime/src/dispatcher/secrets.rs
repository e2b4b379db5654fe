//! The secrets of a run: looked up when a task is started, masked from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ratchet_core::template::{Reference, references};
use serde_json::Value;

use super::Dispatcher;
use crate::masking::Masker;
use crate::notifier;
use crate::record::Failure;
use crate::secrets::{SecretError, Secrets};

/// What a run has seen of its secrets.
#[derive(Default)]
pub(super) struct RunSecrets {
    /// Knows every value that any task of the run was or could have been given, former ones included.
    pub masker: Arc<Masker>,
    known: BTreeSet<String>,
}

impl Dispatcher {
    /// Looks up the secrets of the whole DAG before a task is started: one task may print what another one is given.
    ///
    /// # Errors
    ///
    /// If the place of a secret that this task reads cannot be read.
    pub(super) fn look_up(&mut self, task: usize) -> Result<(), Failure> {
        let unreadable = self.look_up_all();
        if unreadable.is_empty() {
            return Ok(());
        }
        let spec = &self.dag.tasks[task];
        let environment = spec.environment.values().cloned().map(Value::String);
        let texts = std::iter::once(spec.with.clone()).chain(environment);
        let read: BTreeSet<Reference> = texts.flat_map(|text| references(&text).unwrap_or_default()).collect();
        let error = unreadable
            .into_iter()
            .find(|(name, _)| read.contains(&Reference::Secret(name.clone())));
        match error {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn look_up_all(&mut self) -> BTreeMap<String, SecretError> {
        let mut unreadable = BTreeMap::new();
        if self.dag.secrets.is_empty() {
            return unreadable;
        }
        let places = Secrets::from_environment();
        self.scope.secrets.clear();
        for name in &self.dag.secrets {
            match places.get(name) {
                Ok(Some(value)) => {
                    if self.secrets.known.insert(value.clone()) {
                        Arc::make_mut(&mut self.secrets.masker).add(&value);
                    }
                    self.scope.secrets.insert(name.clone(), Value::String(value));
                }
                // Whoever reads it without a default fails by its expression.
                Ok(None) => {}
                Err(error) => {
                    unreadable.insert(name.clone(), error);
                }
            }
        }
        unreadable
    }

    /// Tells those whom the DAG names how the run ended.
    pub(super) async fn notify(&mut self) {
        if self.dag.notify.is_empty() {
            return;
        }
        for error in self.look_up_all().into_values() {
            tracing::warn!("{error}");
        }
        notifier::notify(&self.engine, &self.dag, &self.run.id, &self.scope, &self.secrets.masker).await;
    }
}
