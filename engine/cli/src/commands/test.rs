//! `ratchet test`: runs tasks on small tables and compares what comes of them with what their author expects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::join_all;
use ratchet_core::cases::{Case, Cases, read_cases};
use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;
use serde_json::json;

use super::case_run::{self, Given};
use super::{expectation, files, shutdown};
use crate::arguments::{Format, Test};
use crate::display::output;
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// One file of cases with its DAG.
struct Loaded {
    path: PathBuf,
    cases: Cases,
    dag: Dag,
}

/// What came of one case.
struct Tried<'a> {
    file: &'a Path,
    case: &'a Case,
    /// How it differs from what is expected.
    differences: Vec<String>,
}

/// Tries all cases, in a home directory of their own that goes away.
pub async fn test(arguments: Test, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let loaded = load_all(&files::expand(&arguments.files)?, &registry)?;
    let home = tempfile::tempdir()
        .map_err(|error| Failure::service(format!("no temporary directory can be made: {error}")))?;
    let engine = settings.at_home(home.path().to_owned()).open_engine(registry).await?;
    let stop = shutdown::listen("ending the cases under way; once more ends this program")?;

    let mut tried = Vec::new();
    for Loaded { path, cases, dag } in &loaded {
        let directory = path.parent().unwrap_or(Path::new(""));
        let given = Given::make(&engine, dag, cases, directory, home.path(), stop.clone()).await?;
        let runs = cases.file.cases.iter().enumerate().map(|(number, case)| {
            let (engine, given, stop) = (&engine, &given, stop.clone());
            async move {
                let ended = case_run::run(engine, dag, case, given.of(number), stop).await?;
                expectation::differences(engine.bucket(), case, &ended).await
            }
        });
        for (case, differences) in cases.file.cases.iter().zip(join_all(runs).await) {
            tried.push(Tried {
                file: path,
                case,
                differences: differences?,
            });
        }
    }
    report(&tried, arguments.listing.format)
}

/// Reads all files and checks them against their DAGs. Problems are printed to stderr.
fn load_all(paths: &[PathBuf], registry: &Registry) -> Result<Vec<Loaded>, Failure> {
    let (mut loaded, mut wrong) = (Vec::new(), false);
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::input(format!("the file of cases {} cannot be read: {error}", path.display()))
                .help("name a file of cases or a directory of them, such as dags/tests")
        })?;
        let cases = match read_cases(&path.to_string_lossy(), &text) {
            Ok(cases) => cases,
            Err(problems) => {
                files::print_problems(&problems);
                wrong = true;
                continue;
            }
        };
        let dag_path = path.parent().unwrap_or(Path::new("")).join(&cases.file.dag);
        let dag = files::load(&dag_path, registry)?;
        let problems = cases.check(&dag, registry);
        if !problems.problems.is_empty() {
            files::print_problems(&problems);
            wrong |= problems.has_errors();
        }
        loaded.push(Loaded {
            path: path.clone(),
            cases,
            dag,
        });
    }
    if wrong {
        return Err(Failure::reported(Status::Input));
    }
    Ok(loaded)
}

fn report(tried: &[Tried<'_>], format: Format) -> Result<(), Failure> {
    let failed = tried.iter().filter(|one| !one.differences.is_empty()).count();
    if format == Format::Json {
        let cases: Vec<_> = tried
            .iter()
            .map(|one| {
                json!({
                    "file": one.file,
                    "case": one.case.name,
                    "task": one.case.task,
                    "passed": one.differences.is_empty(),
                    "differences": one.differences,
                })
            })
            .collect();
        output::document(&json!({ "passed": tried.len() - failed, "failed": failed, "cases": cases }))?;
    } else {
        let mut file = None;
        for one in tried {
            if file != Some(one.file) {
                output::line(&one.file.display().to_string());
                file = Some(one.file);
            }
            let word = if one.differences.is_empty() { "ok  " } else { "FAIL" };
            output::line(&format!("  {word} {} ({})", one.case.name, one.case.task));
            for difference in &one.differences {
                output::line(&format!("       {}", difference.replace('\n', "\n       ")));
            }
        }
        output::line(&format!("{} passed, {failed} failed", tried.len() - failed));
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::reported(Status::Failed))
    }
}
