//! Flags and environment.

mod retention;
mod secrets;
mod serve;
mod token;

use std::ffi::OsStr;

use clap::{Arg, Args as ClapArgs, Error, Parser, Subcommand, builder::TypedValueParser, error::ErrorKind};

pub use retention::PruneArgs;
pub use secrets::{SecretsAction, SecretsArgs};
pub use serve::ServeArgs;
pub use token::{CreateTokenArgs, TokenAction, TokenArgs};

use super::core_dumps::CoreDumps;
use crate::config::DatabaseUrl;

/// The control plane for extract/load work.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about)]
pub struct Args {
    /// Whether the memory of the program, which has keys and credentials in it, may be written to a file when it
    /// crashes, or be looked into by debuggers of the same user
    #[arg(long, env = "SLUICE_CORE_DUMPS", global = true, value_enum, default_value_t = CoreDumps::Refused)]
    pub core_dumps: CoreDumps,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API. Brings the database up to date first
    Serve(ServeArgs),
    /// Serve the API with a demonstration going on, on a database of its own
    Demo(ServeArgs),
    /// Look after tokens, on the machine where the data is kept
    Token(TokenArgs),
    /// Look after the keys that seal credentials
    Secrets(SecretsArgs),
    /// Delete what has been kept long enough, in small steps, beside servers if there are any
    Prune(PruneArgs),
    /// Look after the database's schema
    Migrate(MigrateArgs),
    /// Print the GraphQL schema in the schema definition language
    Schema,
}

/// Which database.
#[derive(Debug, ClapArgs)]
pub struct DatabaseArgs {
    /// Where the data is kept: sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE [default:
    /// sqlite:sluice.db; of the demo: sqlite:sluice-demo.db]
    #[arg(long, env = "SLUICE_DATABASE_URL", hide_env_values = true, global = true, value_parser = DatabaseUrlParser)]
    database_url: Option<DatabaseUrl>,
}

impl DatabaseArgs {
    /// The database that was asked for, or a file in the working directory.
    pub fn url(self) -> DatabaseUrl {
        self.database_url.unwrap_or_else(|| DatabaseUrl::Sqlite("sqlite:sluice.db".into()))
    }
}

/// Reads a database URL. clap's own parsers repeat what they refuse, and there may be a password in it.
#[derive(Clone)]
struct DatabaseUrlParser;

impl TypedValueParser for DatabaseUrlParser {
    type Value = DatabaseUrl;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, url: &OsStr) -> Result<DatabaseUrl, Error> {
        let url = url.to_str().ok_or_else(|| "a database URL is UTF-8".to_owned());
        url.and_then(str::parse).map_err(|message| {
            Error::raw(ErrorKind::ValueValidation, format!("--database-url: {message}\n")).with_cmd(command)
        })
    }
}

/// What `migrate` takes.
#[derive(Debug, ClapArgs)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: MigrateAction,
}

/// What `migrate` can do.
#[derive(Debug, Subcommand)]
pub enum MigrateAction {
    /// Make the changes that the database lacks
    Up,
    /// Say which changes the database has and lacks
    Status,
}
