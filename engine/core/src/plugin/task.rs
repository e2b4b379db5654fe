//! The trait that a task plugin implements.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::context::{Place, TaskContext};
use super::error::TaskError;
use super::port::{Outputs, Port};

/// A problem of a configuration that its types alone do not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// JSON pointer into `with`, such as `/expect/2/between/min`.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Where a plugin runs unless the task says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A process of its own: a crash or a leak ends with it.
    Process,
    /// Inside the engine, for tasks that take milliseconds.
    Inline,
}

/// A kind of task: its configuration, its ports and what it does.
///
/// The configuration's doc comments become the reference page and the JSON schema, so every field has one. It derives
/// `Deserialize` with `deny_unknown_fields` and `JsonSchema`. A field of type [`super::port::Table`] or
/// [`super::port::Model`] is filled by `${{ tasks.<id>.<port> }}`.
#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    /// What stands under `with`.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;

    /// What stands behind `uses`, such as `extract.file`.
    const NAME: &'static str;

    /// One sentence for listings.
    const SUMMARY: &'static str;

    /// Where it runs by default.
    const ISOLATION: Isolation = Isolation::Process;

    /// True if its configuration decides its outputs and it touches nothing else: no file, no bucket, no network.
    /// Whether such an attempt ran before the engine ended, nobody can tell; so inside the engine it may begin while
    /// its beginning is still being written down.
    const PURE: bool = false;

    /// True if its configuration, its inputs, its seed and its [fingerprint](Plugin::fingerprint) together decide its
    /// outputs, and it changes nothing in the world: with `cache: true` what they came to once is taken again.
    const CACHEABLE: bool = false;

    /// True if it reads the raw bytes in [`TaskContext::replay`], where there are any, in the place of its source: what an
    /// earlier run learnt from can then be read again, whatever the source holds by now.
    const REPLAYS: bool = false;

    /// The output ports.
    fn outputs() -> Vec<Port>;

    /// All problems of a configuration, found without touching the world.
    fn validate(_config: &Self::Config) -> Vec<ConfigProblem> {
        Vec::new()
    }

    /// What it depends on outside of its configuration and of the bucket, as text that changes with it: an ETag, a
    /// SHA-256. None: nothing.
    ///
    /// # Errors
    ///
    /// If that cannot be told, and why: the task is run then.
    async fn fingerprint(_config: &Self::Config, _place: &Place) -> Result<Option<String>, TaskError> {
        Ok(None)
    }

    /// Does the work. Blocking work goes to `tokio::task::spawn_blocking`.
    async fn run(config: Self::Config, context: &TaskContext) -> Result<Outputs, TaskError>;
}
