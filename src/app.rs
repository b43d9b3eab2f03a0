//! The composition root: everything is made and put together here.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};

use actix_web::dev::Server;
use socket2::{Domain, Socket, Type};

use crate::{
    background::Background,
    clock::Clock,
    config::{self, Config, DatabaseConfig},
    demo::Demo,
    domain::access::Openness,
    graphql::{Registered, Schema},
    http,
    issuer::Issuer,
    keyfile::{self, Missing},
    services::{Services, Settings},
    store::{self, Store, secrets, tokens},
    telemetry::Metrics,
};

/// How many connections may wait to be taken. The system may allow fewer (Linux: `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A server that is ready to answer.
pub struct Application {
    server: Server,
    address: SocketAddr,
    store: Store,
    background: Background,
    demo: Option<Demo>,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else has the port, or the address is not ours.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The database can't be reached or used.
    #[error("cannot open the database {url}: {error}")]
    Database {
        /// Which database, without secrets.
        url: String,
        /// What was wrong.
        error: store::Error,
    },
    /// The keys of the issuer that is trusted can't be had.
    #[error("cannot read the keys of the token issuer: {0}")]
    Issuer(String),
    /// The operations that may run can't be had, or are not valid.
    #[error("cannot register the operations: {0}")]
    Operations(String),
    /// The keys that seal credentials can't be had, or are not the right ones.
    #[error("{0}")]
    Keys(String),
    /// Whoever can reach the address could do everything, or nobody could do anything.
    #[error(
        "nobody could use a server on {address}: it is not for this machine alone, and there is no token. Make one with \
         `sluice token create --name admin --role admin --all-tenants`, or listen on 127.0.0.1, or serve anybody \
         who comes with --insecure-no-auth"
    )]
    Unusable {
        /// Where it should have listened.
        address: SocketAddr,
    },
}

/// Brings the database up to date and connects to it, if somebody could use a server on it.
pub async fn open(config: &Config) -> Result<Store, StartError> {
    let store = open_database(&config.database).await?;
    let usable = match config.openness() {
        Openness::AtHome | Openness::ToAnybody => Ok(true),
        Openness::ToNobody if config.issuer.is_some() => Ok(true),
        Openness::ToNobody => tokens::any(store.reader()).await,
    };
    match usable {
        Ok(true) => Ok(store),
        Ok(false) => Err(StartError::Unusable { address: config.bind }),
        Err(error) => Err(StartError::Database { url: config.database.url.to_string(), error }),
    }
}

/// Brings a database up to date and connects to it.
pub async fn open_database(database: &DatabaseConfig) -> Result<Store, StartError> {
    let open = async {
        let made = store::migrate(&database.url).await?;
        for name in made {
            tracing::info!(name, "migrated the database");
        }
        Store::open(database).await
    };
    open.await.map_err(|error| StartError::Database { url: database.url.to_string(), error })
}

/// Takes the port, before anything else is touched.
pub fn listen(config: &Config) -> Result<TcpListener, StartError> {
    bind(config.bind).map_err(|error| StartError::Listen { address: config.bind, error })
}

/// As `TcpListener::bind` does, but for the 128 connections that may wait there. Of more that come at once the system
/// drops some, and their clients try again after a second.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A server that starts again shall not wait for the connections of the one before. On Windows it means something
    // else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The documents in a directory: every file `*.graphql` is one.
fn registered(directory: &Path) -> Result<Registered, StartError> {
    let read = || -> std::io::Result<Vec<(String, String)>> {
        let mut documents = Vec::new();
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "graphql") {
                documents.push((path.display().to_string(), fs::read_to_string(&path)?));
            }
        }
        Ok(documents)
    };
    let failed = |error| StartError::Operations(format!("{}: {error}", directory.display()));
    Ok(Registered::new(read().map_err(failed)?))
}

impl Application {
    /// Puts the server together. It stops once `stop` is there.
    pub async fn build(
        listener: TcpListener,
        store: Store,
        clock: Clock,
        config: &Config,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen { address: config.bind, error };
        let issuer = config.issuer.clone().map(Issuer::new);
        if let Some(issuer) = &issuer {
            issuer.read(clock.now()).await.map_err(StartError::Issuer)?;
        }
        let known = secrets::any_known(store.reader()).await;
        let missing = match known.map_err(|error| StartError::Keys(error.to_string()))? {
            true => Missing::IsWrong,
            false => Missing::IsMade,
        };
        let settings = Settings {
            limits: config.limits.batch,
            openness: config.openness(),
            issuer,
            keyring: keyfile::keyring(&config.keys, &config.database.url, missing)
                .map_err(StartError::Keys)?,
            graph_cache: config.graph_cache,
            metrics: Arc::new(Metrics::default()),
        };
        let services = Arc::new(Services::new(store.clone(), clock, settings));
        services.check_keys().await.map_err(|error| StartError::Keys(error.to_string()))?;
        let address = listener.local_addr().map_err(failed)?;
        let registered = config.operations.as_deref().map(registered).transpose()?;
        let schema = Schema::new(services.clone(), config.limits.documents, registered)
            .map_err(StartError::Operations)?;
        let background = Background::start(&services, &store, config.retention);
        let demo = match config.demo {
            config::Demo::On => Some(Demo::start(&services)),
            config::Demo::Off => None,
        };
        let stopping = services.clone();
        let stop = async move {
            stop.await;
            stopping.stop();
        };
        let server = http::server::start(listener, config, services, schema, stop).map_err(failed)?;
        Ok(Self { server, address, store, background, demo })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until it is stopped, then closes the database.
    pub async fn run_until_stopped(self) -> std::io::Result<()> {
        self.server.await?;
        drop((self.background, self.demo));
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the database was not closed in order");
        }
        Ok(())
    }
}
