//! Flags and environment as one typed config, printable without secrets.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    domain::{access::Openness, documents::DocumentLimits, draft::BatchLimits, retention::Retention},
    issuer::IssuerConfig,
};

/// Everything that `serve` needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the data is kept.
    pub database: DatabaseConfig,
    /// Where the server listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// How many threads read requests and write answers. GraphQL runs on a thread a core beside them.
    pub workers: usize,
    /// What is refused for its size.
    pub limits: Limits,
    /// About how much memory may be taken by batches that were read, in bytes; 0: none is.
    pub graph_cache: usize,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// Whether a demonstration goes on.
    pub demo: Demo,
    /// Who is served.
    pub access: Access,
    /// Where the keys are that seal credentials.
    pub keys: KeySource,
    /// Whose JSON Web Tokens are trusted.
    pub issuer: Option<IssuerConfig>,
    /// Where the operations are that may run; `None`: any may.
    pub operations: Option<PathBuf>,
    /// The pages of which other hosts may use the API in a browser.
    pub origins: Vec<Origin>,
}

/// Where a page in a browser is from: `https://app.example`, with the port if it is not the scheme's own. In
/// lower case, as browsers write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin as browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        match host {
            Some(host) if !host.is_empty() && host.bytes().all(fits) => Ok(Self(text)),
            Some(_) | None => {
                Err("an origin is a scheme, a host and perhaps a port, as in https://app.example".into())
            }
        }
    }
}

/// Where the keys are that seal credentials. `Debug` does not show them.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In this file.
    File(PathBuf),
    /// Here, from the environment.
    Text(KeyText),
    /// Nobody has said: in a file beside an SQLite database, which is made if it is not there.
    Unnamed,
}

/// Keys as text. `Debug` does not show them, and their memory is wiped when they are dropped.
#[derive(Debug, Clone)]
pub struct KeyText(SecretString);

impl KeyText {
    /// The keys.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Who is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Who shows a token; and who is on the same machine, as long as there are no tokens.
    ByToken,
    /// Anybody: `--insecure-no-auth`.
    Anybody,
}

impl Config {
    /// What [`Config::graph_cache`] is unless something else is asked for, in bytes.
    pub const GRAPH_CACHE: usize = 64 * 1024 * 1024;

    /// To whom the server is open without a token.
    pub fn openness(&self) -> Openness {
        match self.access {
            Access::Anybody => Openness::ToAnybody,
            // Who trusts an issuer wants to know who asks.
            Access::ByToken if self.issuer.is_some() => Openness::ToNobody,
            Access::ByToken if self.bind.ip().is_loopback() => Openness::AtHome,
            Access::ByToken => Openness::ToNobody,
        }
    }
}

/// Whether a demonstration goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demo {
    /// It does: there is a tenant whose batches run on simulated workers.
    On,
    /// It does not.
    Off,
}

/// Where the data is kept.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Which database.
    pub url: DatabaseUrl,
    /// The most connections that read. Half as many write to PostgreSQL, and one to SQLite.
    pub connections: u32,
}

/// What is refused for its size.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest request body, in bytes.
    pub body: usize,
    /// The most operations in one request.
    pub operations: usize,
    /// How long a client may take to send a body.
    pub sending: Duration,
    /// How long a query or a mutation may take.
    pub running: Duration,
    /// How large a batch may be.
    pub batch: BatchLimits,
    /// How much a GraphQL document may ask for.
    pub documents: DocumentLimits,
    /// How much a caller may have under way at once.
    pub crowd: CrowdLimits,
    /// How much, and how long, a client may make a live connection wait.
    pub live: LiveLimits,
}

/// How much a caller (a token, the subject of a JSON Web Token, all others together) may have under way at once.
#[derive(Debug, Clone, Copy)]
pub struct CrowdLimits {
    /// Requests that are answered once. A worker that waits for work has one.
    pub requests: usize,
    /// WebSockets and streams of server-sent events.
    pub live: usize,
}

impl CrowdLimits {
    /// What holds unless something else is asked for.
    pub const DEFAULT: Self = Self { requests: 2_000, live: 2_000 };
}

/// What holds for WebSockets and server-sent events.
#[derive(Debug, Clone, Copy)]
pub struct LiveLimits {
    /// The most operations that run at once on one WebSocket.
    pub operations: usize,
    /// How long a new WebSocket may take to say `connection_init`.
    pub init: Duration,
    /// How long a client may take nothing of what is there for it.
    pub patience: Duration,
    /// How often an idle client is shown that the connection lives. A WebSocket whose client has not
    /// answered by the next time is closed.
    pub keep_alive: Duration,
}

impl Limits {
    /// What [`Limits::sending`] is unless something else is asked for.
    pub const SENDING: Duration = Duration::from_secs(30);
    /// What [`Limits::running`] is unless something else is asked for: twice as long as a claim may wait.
    pub const RUNNING: Duration = Duration::from_secs(60);
}

impl LiveLimits {
    /// What holds unless something else is asked for.
    pub const DEFAULT: Self = Self {
        operations: 100,
        init: Duration::from_secs(10),
        patience: Duration::from_secs(30),
        keep_alive: Duration::from_secs(12),
    };
}

/// Which database, by its URL. `Debug` and `Display` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, `sqlite:sluice.db` for instance.
    Sqlite(String),
    /// A server, `postgres://user:password@host/database`.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sqlite", path)) if path.contains(":memory:") || path.contains("mode=memory") => {
                Err("a database in memory is not supported: it would be another one for each connection; name a file, sqlite:sluice.db".into())
            }
            Some(("sqlite", path)) if !path.trim_start_matches('/').is_empty() => Ok(Self::Sqlite(url.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.into())),
            _ => Err("a database URL begins with sqlite: or postgres:, as in sqlite:sluice.db or postgres://user@host/database".into()),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => f.write_str(url),
            Self::Postgres(url) => f.write_str(&without_secrets(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Leaves out what stands between the user's name and the host, and all parameters: a password may
/// be one of them.
fn without_secrets(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, rest)), Some(at)) => {
            let user = rest.split([':', '@']).next().unwrap_or_default();
            format!("{scheme}://{user}{}", &url[at..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_password() {
        let shown = |url: &str| url.parse::<DatabaseUrl>().map(|url| format!("{url} {url:?}"));
        assert_eq!(
            shown("postgres://me:s3c@ret@db:5432/sluice?password=x").as_deref(),
            Ok("postgres://me@db:5432/sluice postgres://me@db:5432/sluice")
        );
        assert_eq!(shown("postgres://db/sluice").as_deref(), Ok("postgres://db/sluice postgres://db/sluice"));
        assert_eq!(shown("sqlite:sluice.db").as_deref(), Ok("sqlite:sluice.db sqlite:sluice.db"));
    }

    #[test]
    fn an_origin_is_what_browsers_send() {
        let read = |text: &str| text.parse::<Origin>().map(|origin| origin.as_str().to_owned());
        assert_eq!(read("https://App.example").as_deref(), Ok("https://app.example"));
        assert_eq!(read("http://[::1]:3000").as_deref(), Ok("http://[::1]:3000"));
        for text in
            ["", "*", "null", "app.example", "https://", "https://app.example/", "ftp://x", "https://a b"]
        {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_files_and_postgresql_are_databases() {
        for url in [
            "",
            "mysql://db/x",
            "sluice.db",
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:x?mode=memory",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url:?}");
        }
    }
}
