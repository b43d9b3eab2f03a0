//! Flags of `sluice token`.

use clap::{Args as ClapArgs, Subcommand};

use super::DatabaseArgs;
use crate::domain::{access::Role, problem::At, since::Since};

/// What `token` takes.
#[derive(Debug, ClapArgs)]
pub struct TokenArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// What `token` can do.
#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token and print its secret, which is never shown again
    Create(CreateTokenArgs),
    /// List the tokens
    List,
    /// Revoke a token for good
    Revoke {
        /// Its id, token_…
        id: String,
    },
}

/// What `token create` takes.
#[derive(Debug, ClapArgs)]
pub struct CreateTokenArgs {
    /// What it is called: whom or what it is for
    #[arg(long)]
    pub name: String,
    /// What it may be used for: viewer (reads), operator (makes and steers batches, too), admin (all of that, and
    /// connections, tenants and tokens), worker (claims and finishes jobs, and nothing else)
    #[arg(long, value_parser = role)]
    pub role: Role,
    /// For which tenant it is good: its id, or its name
    #[arg(long, required_unless_present = "all_tenants", conflicts_with = "all_tenants")]
    pub tenant: Option<String>,
    /// It is good for all tenants
    #[arg(long)]
    pub all_tenants: bool,
    /// From when on it is no good: a date (2027-01-01, midnight UTC) or a time in RFC 3339 [default: never]
    #[arg(long, value_parser = point_in_time)]
    pub expires: Option<Since>,
}

fn role(name: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::name).join(", ");
    Role::named(name).ok_or_else(|| format!("the roles are {}", names()))
}

fn point_in_time(text: &str) -> Result<Since, String> {
    Since::parse(text, &At::Root).map_err(|problem| problem.message)
}
