//! The composition root: everything is made and put together here.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix_web::dev::Server;

use crate::{
    background::Background,
    clock::Clock,
    config::{self, Config},
    demo::Demo,
    http,
    services::Services,
    store::{self, Store},
};

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
}

/// Brings the database up to date and connects to it.
pub async fn open(config: &Config) -> Result<Store, StartError> {
    let open = async {
        let made = store::migrate(&config.database.url).await?;
        for name in made {
            tracing::info!(name, "migrated the database");
        }
        Store::open(&config.database).await
    };
    open.await.map_err(|error| StartError::Database { url: config.database.url.to_string(), error })
}

/// Takes the port, before anything else is touched.
pub fn listen(config: &Config) -> Result<TcpListener, StartError> {
    TcpListener::bind(config.bind).map_err(|error| StartError::Listen { address: config.bind, error })
}

impl Application {
    /// Puts the server together. It stops once `stop` is there.
    pub fn build(
        listener: TcpListener,
        store: Store,
        clock: Clock,
        config: &Config,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen { address: config.bind, error };
        let services = Arc::new(Services::new(store.clone(), clock, config.limits.batch));
        let address = listener.local_addr().map_err(failed)?;
        let background = Background::start(&services, &store);
        let demo = match config.demo {
            config::Demo::On => Some(Demo::start(&services)),
            config::Demo::Off => None,
        };
        let stopping = services.clone();
        let stop = async move {
            stop.await;
            stopping.stop();
        };
        let server = http::server::start(listener, config, services, stop).map_err(failed)?;
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
