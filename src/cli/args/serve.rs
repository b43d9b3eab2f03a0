//! Flags of `sluice serve`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args as ClapArgs,
    builder::{FalseyValueParser, RangedU64ValueParser},
};

use super::{DatabaseArgs, retention::RetentionArgs, secrets::KeyArgs};
use crate::{
    config::{Access, Config, CrowdLimits, DatabaseConfig, DatabaseUrl, Demo, Limits, LiveLimits, Origin},
    domain::{
        documents::{DocumentLimits, Introspection},
        draft::BatchLimits,
    },
    issuer::{IssuerConfig, KeySet},
};

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
    /// The most connections that read. Beside them, on PostgreSQL half as many write, on SQLite one does
    #[arg(long, env = "SLUICE_DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    database_connections: u32,
    /// The longest request body, in bytes
    #[arg(long, env = "SLUICE_MAX_BODY_BYTES", default_value_t = 4 * 1024 * 1024, value_parser = at_least_one())]
    max_body_bytes: usize,
    /// The most operations in one request, as a JSON list; 1: none may be sent as a list
    #[arg(long, env = "SLUICE_MAX_OPERATIONS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    max_operations: u16,
    /// How long a query, a mutation or one result of a subscription may take, in seconds
    #[arg(long, env = "SLUICE_MAX_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    max_seconds: u16,
    /// The most requests that a token may have under way at once. A worker that waits for work has one
    #[arg(long, env = "SLUICE_MAX_REQUESTS_PER_TOKEN", default_value_t = CrowdLimits::DEFAULT.requests, value_parser = at_least_one())]
    max_requests_per_token: usize,
    /// The most WebSockets and streams that a token may have open at once
    #[arg(long, env = "SLUICE_MAX_STREAMS_PER_TOKEN", default_value_t = CrowdLimits::DEFAULT.live)]
    max_streams_per_token: usize,
    /// Run only the operations in this directory: each file *.graphql is a document
    #[arg(long, env = "SLUICE_OPERATIONS_DIR")]
    operations_dir: Option<PathBuf>,
    /// The most jobs in one batch
    #[arg(long, env = "SLUICE_MAX_JOBS", default_value_t = 10_000, value_parser = at_least_one())]
    max_jobs: usize,
    /// The most dependencies in one batch
    #[arg(long, env = "SLUICE_MAX_DEPENDENCIES", default_value_t = 100_000)]
    max_dependencies: usize,
    /// About how much memory batches may take that were read lately, in bytes; 0: each is read anew
    #[arg(long, env = "SLUICE_GRAPH_CACHE_BYTES", default_value_t = Config::GRAPH_CACHE)]
    graph_cache_bytes: usize,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Let a demonstration go on: a tenant named demo, whose batches run on simulated workers
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    issuer: IssuerArgs,
    /// Let pages from this origin use the API in a browser, `https://app.example` for instance. May be given more than
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
                operations: self.max_operations.into(),
                sending: Limits::SENDING,
                running: Duration::from_secs(self.max_seconds.into()),
                batch: BatchLimits { jobs: self.max_jobs, dependencies: self.max_dependencies },
                documents: self.documents.into_limits(),
                crowd: CrowdLimits {
                    requests: self.max_requests_per_token,
                    live: self.max_streams_per_token,
                },
                live: LiveLimits::DEFAULT,
            },
            graph_cache: self.graph_cache_bytes,
            retention: self.retention.retention(),
            demo,
            access,
            keys: self.keys.source(),
            issuer: self.issuer.into_config(),
            operations: self.operations_dir,
            origins: self.allow_origin,
        }
    }

    /// The same with a demonstration, and away from the data that is kept in earnest.
    pub fn into_demo(mut self) -> Self {
        let own = || DatabaseUrl::Sqlite("sqlite:sluice-demo.db".into());
        self.database.database_url.get_or_insert_with(own);
        self.demo = true;
        self
    }
}

/// A limit that would let nothing through is none.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// What is refused of a GraphQL document, before it runs.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Limits of GraphQL documents")]
struct DocumentArgs {
    /// The longest document, in bytes
    #[arg(long, env = "SLUICE_MAX_DOCUMENT_BYTES", default_value_t = DocumentLimits::DEFAULT.bytes, value_parser = at_least_one())]
    max_document_bytes: usize,
    /// The most tokens of a document
    #[arg(long, env = "SLUICE_MAX_TOKENS", default_value_t = DocumentLimits::DEFAULT.tokens, value_parser = at_least_one())]
    max_tokens: usize,
    /// How deep selections may nest, at most 40: the executor is recursive
    #[arg(long, env = "SLUICE_MAX_DEPTH", default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=40))]
    max_depth: u8,
    /// The most fields of an operation, its fragments spread
    #[arg(long, env = "SLUICE_MAX_FIELDS", default_value_t = DocumentLimits::DEFAULT.fields, value_parser = at_least_one())]
    max_fields: usize,
    /// The most aliases of an operation, its fragments spread
    #[arg(long, env = "SLUICE_MAX_ALIASES", default_value_t = DocumentLimits::DEFAULT.aliases)]
    max_aliases: usize,
    /// The most directives of an operation, its fragments spread
    #[arg(long, env = "SLUICE_MAX_DIRECTIVES", default_value_t = DocumentLimits::DEFAULT.directives)]
    max_directives: usize,
    /// The most fields at the root of an operation
    #[arg(long, env = "SLUICE_MAX_ROOT_FIELDS", default_value_t = DocumentLimits::DEFAULT.root_fields, value_parser = at_least_one())]
    max_root_fields: usize,
    /// The most fragments that a document defines
    #[arg(long, env = "SLUICE_MAX_FRAGMENTS", default_value_t = DocumentLimits::DEFAULT.fragments)]
    max_fragments: usize,
    /// The highest cost of an operation: about how many values its answer may have
    #[arg(long, env = "SLUICE_MAX_COST", default_value_t = DocumentLimits::DEFAULT.cost)]
    max_cost: u64,
    /// The longest values of an operation's variables together, in bytes as JSON without spaces
    #[arg(long, env = "SLUICE_MAX_VARIABLE_BYTES", default_value_t = DocumentLimits::DEFAULT.variable_bytes)]
    max_variable_bytes: usize,
    /// How deep the values of variables may nest, at most 120: JSON is read no deeper
    #[arg(long, env = "SLUICE_MAX_VARIABLE_DEPTH", default_value_t = 64, value_parser = clap::value_parser!(u8).range(1..=120))]
    max_variable_depth: u8,
    /// The most items in one list, in a document or in its variables
    #[arg(long, env = "SLUICE_MAX_LIST_ITEMS", default_value_t = DocumentLimits::DEFAULT.list_items)]
    max_list_items: usize,
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
            variable_bytes: self.max_variable_bytes,
            variable_depth: self.max_variable_depth.into(),
            list_items: self.max_list_items,
            introspection: if self.no_introspection { Introspection::Hidden } else { Introspection::Shown },
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
