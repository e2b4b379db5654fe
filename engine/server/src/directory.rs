//! The DAG directory: read again and again; a broken file keeps its last good version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;
use serde_json::Value;

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
    /// The last version that passed every check.
    pub(crate) dag: Option<Arc<Dag>>,
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

    /// Reads the directory and checks what changed.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let directory = self.clone();
        // Reading and checking thousands of files takes longer than a request may wait.
        if let Err(error) = tokio::task::spawn_blocking(move || directory.refresh_now()).await {
            tracing::error!(%error, "the DAG directory was not read");
        }
    }

    fn refresh_now(&self) {
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
                known => self.check(&path, text, known.and_then(|known| known.dag.clone())),
            };
            after.insert(path, file);
        }
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = after;
    }

    fn check(&self, path: &Path, text: String, last_good: Option<Arc<Dag>>) -> DagFile {
        let name = path.to_string_lossy();
        match ratchet_core::load(&name, &text, &self.registry) {
            Ok(dag) => {
                tracing::info!(dag = dag.name, file = %name, "read");
                DagFile {
                    path: path.to_owned(),
                    dag: Some(Arc::new(dag)),
                    problems: Value::Null,
                    text,
                }
            }
            Err(problems) => {
                tracing::warn!(file = %name, "not valid:\n{}", problems.render(false, 120));
                DagFile {
                    path: path.to_owned(),
                    dag: last_good,
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
