//! The DAG directory: read again and again; a broken file keeps its last good version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;
use ratchet_runtime::{DagOverrides, Engine};
use serde_json::Value;

use crate::overrides::Overrides;

/// The `.yaml` and `.yml` files of a directory, in order of their names.
///
/// # Errors
///
/// The directory cannot be read.
pub fn dag_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        // Editors keep their copies beside the file, with a dot before the name.
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_yaml && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is known about one file.
#[derive(Clone)]
pub(crate) struct DagFile {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The last version that passed every check, with what is set beside it.
    pub(crate) dag: Option<Arc<Dag>>,
    /// The same as the file has it.
    written: Option<Arc<Dag>>,
    /// What was set beside it when `dag` was made.
    overrides: Overrides,
    /// What is wrong with the newest version; null if nothing.
    pub(crate) problems: Value,
    /// The newest text, so that only changes are checked.
    text: String,
}

/// All files of the directory.
pub(crate) struct DagDirectory {
    path: PathBuf,
    registry: Arc<Registry>,
    files: RwLock<BTreeMap<PathBuf, DagFile>>,
}

impl DagDirectory {
    /// Reads nothing yet.
    pub(crate) fn new(path: PathBuf, registry: Arc<Registry>) -> Self {
        Self {
            path,
            registry,
            files: RwLock::default(),
        }
    }

    /// All files in order of their names.
    pub(crate) fn files(&self) -> Vec<DagFile> {
        self.files
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The good DAGs. Where two files have the same name inside, the first file has it.
    pub(crate) fn dags(&self) -> BTreeMap<String, Arc<Dag>> {
        let mut dags = BTreeMap::new();
        for dag in self.files().into_iter().filter_map(|file| file.dag) {
            dags.entry(dag.name.clone()).or_insert(dag);
        }
        dags
    }

    /// The DAG of that name as its file has it.
    pub(crate) fn written(&self, name: &str) -> Option<Arc<Dag>> {
        let written = self.files().into_iter().filter_map(|file| file.written);
        written.into_iter().find(|dag| dag.name == name)
    }

    /// The plugins that files may use.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads the directory and what is set beside its files, and checks what changed.
    pub(crate) async fn refresh(self: &Arc<Self>, engine: &Engine) {
        let overrides = match engine.store().overrides().await {
            Ok(overrides) => Some(overrides),
            Err(error) => {
                tracing::warn!(%error, "what is set beside DAG files cannot be read; what was set before holds on");
                None
            }
        };
        let directory = self.clone();
        // Reading and checking thousands of files takes longer than a request may wait.
        if let Err(error) = tokio::task::spawn_blocking(move || directory.refresh_now(overrides.as_ref())).await {
            tracing::error!(%error, "the DAG directory was not read");
        }
    }

    fn refresh_now(&self, overrides: Option<&BTreeMap<String, DagOverrides>>) {
        let paths = match dag_files(&self.path) {
            Ok(paths) => paths,
            Err(error) => {
                // A share that is away for a moment unschedules nothing.
                tracing::warn!(directory = %self.path.display(), %error, "the DAG directory cannot be read");
                return;
            }
        };
        let before = self.files.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut after = BTreeMap::new();
        for path in paths {
            let Ok(text) = std::fs::read_to_string(&path) else {
                // Perhaps it is being replaced; the next look tells.
                if let Some(known) = before.get(&path) {
                    after.insert(path, known.clone());
                }
                continue;
            };
            let file = match before.get(&path) {
                Some(known) if known.text == text => known.clone(),
                known => self.check(&path, text, known),
            };
            let file = match overrides {
                Some(overrides) => self.set_beside(file, overrides),
                None => file,
            };
            after.insert(path, file);
        }
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = after;
    }

    /// The file with what is set beside it.
    fn set_beside(&self, file: DagFile, overrides: &BTreeMap<String, DagOverrides>) -> DagFile {
        let Some(written) = &file.written else { return file };
        let wanted = overrides.get(&written.name).map(|set| Overrides::of(&set.document));
        let wanted = wanted.unwrap_or_default();
        let is_there = file.overrides == wanted && file.dag.is_some();
        if is_there {
            return file;
        }
        let dag = if wanted.is_empty() {
            written.clone()
        } else {
            let (dag, faults) = wanted.apply(written, &self.registry);
            for fault in faults {
                tracing::warn!(
                    dag = dag.name,
                    part = fault.pointer,
                    "what is set beside the file does not hold: it {}",
                    fault.message
                );
            }
            Arc::new(dag)
        };
        DagFile {
            dag: Some(dag),
            overrides: wanted,
            ..file
        }
    }

    fn check(&self, path: &Path, text: String, known: Option<&DagFile>) -> DagFile {
        let name = path.to_string_lossy();
        match ratchet_core::load(&name, &text, &self.registry) {
            Ok(dag) => {
                tracing::info!(dag = dag.name, file = %name, "read");
                let dag = Arc::new(dag);
                DagFile {
                    path: path.to_owned(),
                    dag: Some(dag.clone()),
                    written: Some(dag),
                    overrides: Overrides::default(),
                    problems: Value::Null,
                    text,
                }
            }
            Err(problems) => {
                tracing::warn!(file = %name, "not valid:\n{}", problems.render(false, 120));
                DagFile {
                    path: path.to_owned(),
                    dag: known.and_then(|known| known.dag.clone()),
                    written: known.and_then(|known| known.written.clone()),
                    overrides: known.map(|known| known.overrides.clone()).unwrap_or_default(),
                    problems: serde_json::json!(problems.problems),
                    text,
                }
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_visible_yaml_files_count_in_order_of_their_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", ".a.yaml", "notes.md", "a.yaml.swp"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("c.yaml")).unwrap();
        let files = dag_files(directory.path()).unwrap();
        let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["a.yaml", "b.yml"]);
    }
}
