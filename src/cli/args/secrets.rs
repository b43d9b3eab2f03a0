//! Flags of `sluice secrets`, and those for keys.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::DatabaseArgs;
use crate::config::{KeySource, KeyText};

/// Which keys.
#[derive(Debug, ClapArgs)]
pub struct KeyArgs {
    /// A file with the keys that seal credentials: one a line, each as ID:KEY, with 32 bytes in base64 for KEY. The
    /// first one seals; the others only open what they have sealed. Or set SLUICE_SECRET_KEY to the keys
    /// themselves, with commas between them [default: with SQLite, a file beside the database, which is made]
    #[arg(long, env = "SLUICE_SECRET_KEY_FILE", global = true)]
    secret_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Where the keys are.
    pub fn source(self) -> KeySource {
        // No flag: everybody on a machine can read the arguments of its programs.
        match (self.secret_key_file, std::env::var("SLUICE_SECRET_KEY")) {
            (Some(file), _) => KeySource::File(file),
            (None, Ok(text)) => KeySource::Text(KeyText::from(text)),
            (None, Err(_)) => KeySource::Unnamed,
        }
    }
}

/// What `secrets` takes.
#[derive(Debug, ClapArgs)]
pub struct SecretsArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: SecretsAction,
}

/// What `secrets` can do.
#[derive(Debug, Subcommand)]
pub enum SecretsAction {
    /// Seal with the first key whatever other keys have sealed. Servers that have both may go on meanwhile
    Rotate,
}
