//! What the tests of faults share.

pub mod client;
pub mod database;
#[path = "../../common/dice.rs"]
mod dice;
pub mod model;
pub mod schedule;
pub mod stream;
pub mod workload;

use std::{
    fs::File,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

pub use client::Client;
pub use database::{Database, Engine};
pub use dice::Dice;
pub use stream::Follower;

use crate::common::Server;

/// The longest that anything may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Asks until the answer is yes. `what` is told when it takes too long.
pub async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !ask().await {
        assert!(begun.elapsed() < PATIENCE, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server that can be killed and started again, where its clients look for it.
pub struct Site {
    server: Option<Server>,
    directory: Arc<tempfile::TempDir>,
    database: String,
    address: Arc<Mutex<SocketAddr>>,
}

impl Site {
    pub fn start(directory: &Arc<tempfile::TempDir>, database: &str) -> Self {
        let server = spawn("127.0.0.1:0", directory, database);
        let address = Arc::new(Mutex::new(server.address));
        Self { server: Some(server), directory: directory.clone(), database: database.to_owned(), address }
    }

    /// `kill -9`, and a new start on the same port and database.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.server = Some(spawn(&self.address.lock().unwrap().to_string(), &self.directory, &self.database));
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        drop(self.server.take());
    }

    /// SIGTERM; gives how long it took to end well.
    pub fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        let server = self.server.take().unwrap();
        server.signal("TERM");
        assert_eq!(server.ended_well(), "Sluice has stopped\n");
        begun.elapsed()
    }

    pub fn client(&self) -> Client {
        Client::new(self.address.clone())
    }
}

fn spawn(bind: &str, directory: &tempfile::TempDir, database: &str) -> Server {
    // A pipe that nobody reads fills up, and then the server waits for it.
    let log = File::options().create(true).append(true).open(directory.path().join("log")).unwrap();
    Server::spawn_on(bind, directory.path(), database, Stdio::from(log)).ready()
}

/// Runs a test on a runtime of its own. Whatever happens, it ends.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(160), test).await.expect("the test takes too long");
    });
    runtime.shutdown_background();
}

/// Runs a test on both databases: `on_both! { async fn it_does_something(database: &Database) { … } }`.
macro_rules! on_both {
    ($(async fn $name:ident($database:ident: &Database) $body:block)*) => { $(
        mod $name {
            use super::*;

            async fn test($database: &Database) $body

            #[test]
            fn sqlite() {
                let database = Database::create(Engine::Sqlite).unwrap();
                run(test(&database));
            }

            #[test]
            fn postgres() {
                let Some(database) = Database::create(Engine::Postgres) else { return };
                run(test(&database));
            }
        }
    )* };
}
pub(crate) use on_both;
