//! The configured access to one source or destination system.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    credentials::{Credentials, CredentialsDraft, CredentialsMark},
    id::{ConnectionId, TenantId},
    problem::{At, Problem, ProblemCode, keep},
    tenant::{Concurrency, concurrency},
    text::{Name, Provider},
};

/// A connection as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// Its name, unique in its tenant.
    pub name: Name,
    /// The kind of system it leads to.
    pub provider: Provider,
    /// How to reach the system and what to do there; nothing secret.
    pub config: Config,
    /// How many jobs may use it at once; `None`: no limit.
    pub max_concurrent_jobs: Option<Concurrency>,
    /// What is known of the credentials that it has.
    pub credentials: Option<CredentialsMark>,
    /// When it was archived, UTC; an archived connection takes no new batches.
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, UTC.
    pub updated_at: DateTime<Utc>,
}

/// A JSON object of at most [`Config::MAX_BYTES`] bytes without NUL characters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config(Map<String, Value>);

impl Config {
    /// How long the JSON text may be, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Checks a config that came from outside.
    pub fn parse(value: Value, at: &At<'_>) -> Result<Self, Problem> {
        let length = value.to_string().len();
        if length > Self::MAX_BYTES {
            let message = format!("this has {length} bytes of JSON; at most {} are allowed", Self::MAX_BYTES);
            return Err(at.problem(ProblemCode::TooLong, message));
        }
        if has_nul(&value) {
            return Err(
                at.problem(ProblemCode::InvalidCharacter, "a text in here has a NUL character; leave it out")
            );
        }
        match value {
            Value::Object(map) => Ok(Self(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(at.problem(ProblemCode::InvalidValue, "this must be a JSON object, {} for instance"))
            }
        }
    }

    /// A config that was checked when it was stored; `None` when it is no JSON object.
    pub fn stored(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    /// What stands in it.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The config as a JSON value.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Whether a text in a JSON value has a NUL character, which PostgreSQL refuses. The depth is bounded by the
/// parsers that made the value.
pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
    }
}

/// What a client asks for when it makes a connection.
#[derive(Debug, Clone, Default)]
pub struct ConnectionDraft {
    /// The tenant's id; `None`: the tenant of whoever asks, or the default tenant.
    pub tenant_id: Option<String>,
    /// See [`Connection::name`].
    pub name: String,
    /// See [`Connection::provider`].
    pub provider: String,
    /// See [`Connection::config`]; `None`: empty.
    pub config: Option<Value>,
    /// What opens the system; `None`: nothing.
    pub credentials: Option<CredentialsDraft>,
    /// See [`Connection::max_concurrent_jobs`].
    pub max_concurrent_jobs: Option<i32>,
}

/// A connection that can be made, if its tenant exists.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// See [`Connection::tenant_id`].
    pub tenant_id: TenantId,
    /// See [`Connection::name`].
    pub name: Name,
    /// See [`Connection::provider`].
    pub provider: Provider,
    /// See [`Connection::config`].
    pub config: Config,
    /// What opens the system.
    pub credentials: Option<Credentials>,
    /// See [`Connection::max_concurrent_jobs`].
    pub max_concurrent_jobs: Option<Concurrency>,
}

impl NewConnection {
    /// Checks a draft and says everything that is wrong with it. `home` is the tenant that is meant where it
    /// names none.
    pub fn parse(draft: ConnectionDraft, home: TenantId) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let at = At::Root;
        let tenant_id = match draft.tenant_id {
            None => Some(home),
            Some(id) => keep(TenantId::parse(&id, &at.field("tenant_id")), &mut problems),
        };
        let name = keep(Name::parse(draft.name, &at.field("name")), &mut problems);
        let provider = keep(Provider::parse(draft.provider, &at.field("provider")), &mut problems);
        let config = match draft.config {
            None => Some(Config::default()),
            Some(value) => keep(Config::parse(value, &at.field("config")), &mut problems),
        };
        let credentials = credentials(draft.credentials, &mut problems);
        let max_concurrent_jobs = concurrency(draft.max_concurrent_jobs, &mut problems);
        match (tenant_id, name, provider, config, problems.is_empty()) {
            (Some(tenant_id), Some(name), Some(provider), Some(config), true) => {
                Ok(Self { tenant_id, name, provider, config, credentials, max_concurrent_jobs })
            }
            _ => Err(problems),
        }
    }
}

/// What of a connection shall change: `None` leaves a field as it is. Tenant and provider are for
/// good: a batch was made for them.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPatch {
    /// A new name.
    pub name: Option<String>,
    /// A new config, in place of the whole old one.
    pub config: Option<Value>,
    /// New credentials, in place of the whole old ones; `Some(None)` removes them.
    pub credentials: Option<Option<CredentialsDraft>>,
    /// A new limit; `Some(None)` removes it.
    pub max_concurrent_jobs: Option<Option<i32>>,
}

/// What becomes of a connection that is changed.
#[derive(Debug)]
pub struct Changed {
    /// The connection with the changes made, but for its credentials.
    pub connection: Connection,
    /// Its new credentials; `Some(None)`: none any more; `None`: they stay.
    pub credentials: Option<Option<Credentials>>,
}

fn credentials(draft: Option<CredentialsDraft>, problems: &mut Vec<Problem>) -> Option<Credentials> {
    draft.and_then(|draft| keep(Credentials::parse(draft, &At::Root.field("credentials")), problems))
}

impl ConnectionPatch {
    /// What becomes of the connection, or everything that is wrong with the changes.
    pub fn apply(self, mut connection: Connection) -> Result<Changed, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(name) = self.name
            && let Some(name) = keep(Name::parse(name, &At::Root.field("name")), &mut problems)
        {
            connection.name = name;
        }
        if let Some(value) = self.config
            && let Some(config) = keep(Config::parse(value, &At::Root.field("config")), &mut problems)
        {
            connection.config = config;
        }
        if let Some(jobs) = self.max_concurrent_jobs {
            connection.max_concurrent_jobs = concurrency(jobs, &mut problems);
        }
        let credentials = self.credentials.map(|draft| credentials(draft, &mut problems));
        if problems.is_empty() { Ok(Changed { connection, credentials }) } else { Err(problems) }
    }
}
