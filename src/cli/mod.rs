//! The command line: thin. It reads flags and environment, and calls the rooms that do the work.

mod args;
mod core_dumps;
mod migrate;
mod prune;
mod secrets;
mod serve;
mod token;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;

use args::{Args, Command};

use crate::{
    clock::Clock,
    domain::{access::Openness, draft::BatchLimits, keyring::Keyring},
    services::{Error, Services, Settings},
    store::Store,
};

/// Runs the program. Whatever goes wrong is one sentence on standard error and a status of 1; a bad
/// flag is 2.
pub async fn run() -> ExitCode {
    let Args { core_dumps, command } = Args::parse();
    if let Err(error) = core_dumps.apply() {
        eprintln!("warning: core dumps can't be refused: {error}");
    }
    let result = match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => serve::run(args.into_demo()).await,
        Command::Secrets(args) => secrets::run(args).await,
        Command::Token(args) => token::run(args).await,
        Command::Prune(args) => prune::run(args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Schema => {
            print!("{}", crate::graphql::sdl());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The use cases, for a command that serves nobody and makes nothing that has a size.
fn services(store: Store, keyring: Option<Keyring>) -> Services {
    let limits = BatchLimits { jobs: 0, dependencies: 0 };
    Services::new(
        store,
        Clock::System,
        Settings {
            limits,
            openness: Openness::ToNobody,
            issuer: None,
            keyring,
            graph_cache: 0,
            metrics: Arc::default(),
        },
    )
}

/// What went wrong, as one sentence.
fn sentence(error: Error) -> String {
    match error {
        Error::Rejected(problems) => {
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
        }
        Error::Forbidden(error) => error.to_string(),
        Error::Failed(error) => error.to_string(),
    }
}
