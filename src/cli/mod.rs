//! The command line: thin. It reads flags and environment, and calls the rooms that do the work.

mod args;
mod migrate;
mod serve;
mod token;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Runs the program. Whatever goes wrong is one sentence on standard error and a status of 1; a bad
/// flag is 2.
pub async fn run() -> ExitCode {
    let result = match Args::parse().command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => serve::run(args.into_demo()).await,
        Command::Token(args) => token::run(args).await,
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
