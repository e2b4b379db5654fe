//! From what was typed to the command that does it.

use std::process::ExitCode;
use std::sync::Arc;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::settings::Settings;

/// Does what was asked for and says what came of it.
pub async fn dispatch(arguments: Arguments) -> ExitCode {
    let mut registry = ratchet_tasks::registry();
    // A worker speaks its own protocol on stdout and has its own exit status.
    if let Command::TaskWorker = arguments.command {
        return ratchet_runtime::worker_main(&registry).await;
    }
    let outcome = match Settings::read(&arguments.global) {
        Ok(settings) => {
            let settings = &settings;
            registry.declare_pools(settings.pools.clone());
            let registry = Arc::new(registry);
            match arguments.command {
                Command::Demo(demo) => super::demo::demo(demo, settings, registry).await,
                Command::Validate(validate) => super::validate::validate(&validate, &registry),
                Command::Run(run) => super::run::run(run, settings, registry).await,
                Command::Test(test) => super::test::test(test, settings, registry).await,
                Command::Serve(serve) => super::serve::serve(serve, settings, registry).await,
                Command::Dags(command) => super::dags::dags(command, settings, registry).await,
                Command::Backfill(backfill) => super::backfill::backfill(backfill, settings, registry).await,
                Command::Runs(command) => super::runs::runs(command, settings, registry).await,
                Command::Report(report) => super::report::report(report, settings, registry).await,
                Command::Datasets(command) => super::datasets::datasets(command, settings).await,
                Command::Lookups(command) => super::lookups::lookups(command, settings).await,
                Command::Models(command) => super::models::models(command, settings, registry).await,
                Command::Collections(command) => super::collections::collections(command, settings).await,
                Command::Pools(pools) => super::pools::pools(pools, settings, registry).await,
                Command::Tasks(command) => super::tasks::tasks(command, &registry),
                Command::Users(command) => super::users::users(command, settings).await,
                Command::Keys(command) => super::keys::keys(command, settings).await,
                Command::Audit(command) => super::audit::audit(command, settings).await,
                Command::Login(login) => super::login::login(login).await,
                Command::Gc(gc) => super::gc::gc(gc, settings, registry).await,
                Command::Schema(schema) => super::schema::schema(&schema, &registry),
                Command::Completions { shell } => super::completions::completions(shell),
                Command::TaskWorker => Ok(()),
            }
        }
        Err(failure) => Err(failure),
    };
    outcome.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}
