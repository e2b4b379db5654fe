//! Tells whom a DAG names of what is no matter of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_core::spec::{Dag, NotifyOn};
use ratchet_core::template::Scope;
use serde_json::Value;

use crate::engine::Engine;
use crate::masking::Masker;
use crate::notifier::Teller;
use crate::secrets::Secrets;
use crate::trigger::SelfPaused;

impl Engine {
    /// Tells that a trigger paused itself. What goes wrong is said in the log.
    pub async fn tell_paused(&self, dag: &Dag, paused: &SelfPaused) {
        let mut scope = Scope {
            // Without a run there are no other values than the defaults.
            params: dag.bind(&BTreeMap::new()).unwrap_or_default(),
            ..Scope::default()
        };
        let mut masker = Masker::default();
        let places = Secrets::from_environment();
        for name in &dag.secrets {
            match places.get(name) {
                Ok(Some(value)) => {
                    masker.add(&value);
                    scope.secrets.insert(name.clone(), Value::String(value));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        }
        let teller = Teller {
            engine: Arc::clone(&self.inner),
            run: paused.run.clone(),
            of_run: dag.notify.clone(),
            of_tasks: BTreeMap::new(),
            scope,
            masker: Arc::new(masker),
        };
        let subject = format!(
            "{} starts nothing any more by `{}`: {}; `ratchet dags unpause {}` lets it go on",
            dag.name, paused.trigger, paused.reason, dag.name
        );
        teller.tell_line(NotifyOn::TriggerPaused, subject).await;
    }
}
