//! Flags and environment.

use std::{ffi::OsStr, net::SocketAddr, path::PathBuf};

use clap::{
    Arg, Args as ClapArgs, Error, Parser, Subcommand,
    builder::{FalseyValueParser, TypedValueParser},
    error::ErrorKind,
};

use crate::{
    config::{
        Access, Config, DatabaseConfig, DatabaseUrl, Demo, KeySource, KeyText, Limits, LiveLimits, Origin,
    },
    domain::{
        access::Role,
        documents::{DocumentLimits, Introspection},
        draft::BatchLimits,
        problem::At,
        since::Since,
    },
    issuer::{IssuerConfig, KeySet},
};

/// The control plane for extract/load work.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about)]
pub struct Args {
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

/// Whose JSON Web Tokens are trusted.
#[derive(Debug, ClapArgs)]
pub struct IssuerArgs {
    /// Trust JSON Web Tokens of this issuer: what stands in their claim iss
    #[arg(long, env = "SLUICE_JWT_ISSUER", requires_all = ["jwt_audience", "jwt_keys"])]
    jwt_issuer: Option<String>,
    /// What must stand in their claim aud
    #[arg(long, env = "SLUICE_JWT_AUDIENCE", requires = "jwt_issuer")]
    jwt_audience: Option<String>,
    /// Where the issuer's public keys are, a JWK set: an https address, or a file
    #[arg(long, env = "SLUICE_JWT_KEYS", requires = "jwt_issuer")]
    jwt_keys: Option<KeySet>,
    /// In which claim the role stands: viewer, operator, admin or worker
    #[arg(long, env = "SLUICE_JWT_ROLE_CLAIM", default_value = "role")]
    jwt_role_claim: String,
    /// In which claim the id of the tenant stands, or * for all tenants
    #[arg(long, env = "SLUICE_JWT_TENANT_CLAIM", default_value = "tenant")]
    jwt_tenant_claim: String,
}

impl IssuerArgs {
    fn into_config(self) -> Option<IssuerConfig> {
        Some(IssuerConfig {
            issuer: self.jwt_issuer?,
            audience: self.jwt_audience?,
            keys: self.jwt_keys?,
            role_claim: self.jwt_role_claim,
            tenant_claim: self.jwt_tenant_claim,
        })
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

/// What `serve` takes.
#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Where to listen
    #[arg(long, env = "SLUICE_BIND", default_value = "127.0.0.1:8000")]
    bind: SocketAddr,
    /// How many threads read requests and write answers [default: one for each core]
    #[arg(long, env = "SLUICE_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// The most connections to PostgreSQL, or readers of SQLite
    #[arg(long, env = "SLUICE_DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    database_connections: u32,
    /// The longest request body, in bytes
    #[arg(long, env = "SLUICE_MAX_BODY_BYTES", default_value_t = 1024 * 1024)]
    max_body_bytes: usize,
    /// The most jobs in one batch
    #[arg(long, env = "SLUICE_MAX_JOBS", default_value_t = 10_000)]
    max_jobs: usize,
    /// The most dependencies in one batch
    #[arg(long, env = "SLUICE_MAX_DEPENDENCIES", default_value_t = 100_000)]
    max_dependencies: usize,
    /// Let a demonstration go on: a tenant named demo, whose batches run on simulated workers
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    issuer: IssuerArgs,
    /// Let pages from this origin use the API in a browser, https://app.example for instance. May be given more than
    /// once, or with commas
    #[arg(long, env = "SLUICE_ALLOW_ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<Origin>,
    /// Serve anybody who can reach the address, without a token. For networks where everybody may do
    /// everything
    #[arg(long, env = "SLUICE_INSECURE_NO_AUTH")]
    insecure_no_auth: bool,
    // Last: its heading holds for all that follows.
    #[command(flatten)]
    documents: DocumentArgs,
}

impl ServeArgs {
    /// The config that the flags and the environment ask for.
    pub fn into_config(self) -> Config {
        let demo = if self.demo { Demo::On } else { Demo::Off };
        let access = if self.insecure_no_auth { Access::Anybody } else { Access::ByToken };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Config {
            database: DatabaseConfig { url: self.database.url(), connections: self.database_connections },
            bind: self.bind,
            workers: self.workers.map_or_else(cores, usize::from),
            limits: Limits {
                body: self.max_body_bytes,
                batch: BatchLimits { jobs: self.max_jobs, dependencies: self.max_dependencies },
                documents: self.documents.into_limits(),
                live: LiveLimits::DEFAULT,
            },
            demo,
            access,
            keys: self.keys.source(),
            issuer: self.issuer.into_config(),
            origins: self.allow_origin,
        }
    }

    /// The same with a demonstration, and away from the data that is kept in earnest.
    pub fn into_demo(mut self) -> Self {
        let own = || DatabaseUrl::Sqlite("sqlite:sluice-demo.db".into());
        self.database.database_url = Some(self.database.database_url.unwrap_or_else(own));
        self.demo = true;
        self
    }
}

/// What is refused of a GraphQL document, before it runs.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Limits of GraphQL documents")]
struct DocumentArgs {
    /// The longest document, in bytes
    #[arg(long, env = "SLUICE_MAX_DOCUMENT_BYTES", default_value_t = DocumentLimits::DEFAULT.bytes)]
    max_document_bytes: usize,
    /// The most tokens of a document
    #[arg(long, env = "SLUICE_MAX_TOKENS", default_value_t = DocumentLimits::DEFAULT.tokens)]
    max_tokens: usize,
    /// How deep selections may nest, at most 40: the executor is recursive
    #[arg(long, env = "SLUICE_MAX_DEPTH", default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=40))]
    max_depth: u8,
    /// The most fields of an operation, its fragments spread
    #[arg(long, env = "SLUICE_MAX_FIELDS", default_value_t = DocumentLimits::DEFAULT.fields)]
    max_fields: usize,
    /// The most aliases of an operation, its fragments spread
    #[arg(long, env = "SLUICE_MAX_ALIASES", default_value_t = DocumentLimits::DEFAULT.aliases)]
    max_aliases: usize,
    /// The most directives of an operation, its fragments spread
    #[arg(long, env = "SLUICE_MAX_DIRECTIVES", default_value_t = DocumentLimits::DEFAULT.directives)]
    max_directives: usize,
    /// The most fields at the root of an operation
    #[arg(long, env = "SLUICE_MAX_ROOT_FIELDS", default_value_t = DocumentLimits::DEFAULT.root_fields)]
    max_root_fields: usize,
    /// The most fragments that a document defines
    #[arg(long, env = "SLUICE_MAX_FRAGMENTS", default_value_t = DocumentLimits::DEFAULT.fragments)]
    max_fragments: usize,
    /// The highest cost of an operation: about how many values its answer may have
    #[arg(long, env = "SLUICE_MAX_COST", default_value_t = DocumentLimits::DEFAULT.cost)]
    max_cost: u64,
    /// Refuse introspection, and give no hints about what the schema has
    #[arg(long, env = "SLUICE_NO_INTROSPECTION", value_parser = FalseyValueParser::new())]
    no_introspection: bool,
}

impl DocumentArgs {
    fn into_limits(self) -> DocumentLimits {
        DocumentLimits {
            bytes: self.max_document_bytes,
            tokens: self.max_tokens,
            depth: self.max_depth.into(),
            fields: self.max_fields,
            aliases: self.max_aliases,
            directives: self.max_directives,
            root_fields: self.max_root_fields,
            fragments: self.max_fragments,
            cost: self.max_cost,
            introspection: if self.no_introspection { Introspection::Hidden } else { Introspection::Shown },
        }
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
