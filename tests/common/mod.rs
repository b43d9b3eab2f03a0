//! The built program as a child process, and PostgreSQL beside it: for the tests that run it so.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use sea_orm::{ConnectionTrait, Database};

/// The program with these arguments, and nothing of the environment that it would heed.
pub fn sluice(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SLUICE_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command
}

/// A server in a process of its own. It is killed when the test gives up on it.
pub struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub greeting: [String; 2],
}

impl Server {
    /// Starts a server on a free port and waits until it answers.
    pub fn start(directory: &Path, database: &str) -> Self {
        Self::spawn(directory, database).ready()
    }

    pub fn spawn(directory: &Path, database: &str) -> Starting {
        Self::spawn_on("127.0.0.1:0", directory, database, Stdio::piped())
    }

    /// Starts a server that listens there; what it logs goes to `log`.
    pub fn spawn_on(bind: &str, directory: &Path, database: &str, log: Stdio) -> Starting {
        let arguments = ["serve", "--bind", bind, "--workers", "1", "--database-url", database];
        let child = sluice(directory, &arguments).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        Starting(child)
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `STOP` and so on.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end, which must be a good one, and gives what else was said on standard output.
    pub fn ended_well(mut self) -> String {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
        rest
    }

    /// Waits for the end, whatever it is.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn stop(self) {
        self.signal("TERM");
        self.ended_well();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that may not answer yet.
pub struct Starting(pub Child);

impl Starting {
    /// Waits until it answers.
    pub fn ready(mut self) -> Server {
        let mut out = BufReader::new(self.0.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let greeting = [line(), line()];
        let address =
            greeting[0].strip_prefix("Sluice answers on http://").and_then(|rest| rest.split('/').next());
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            let mut said = String::new();
            if let Some(mut log) = self.0.stderr.take() {
                log.read_to_string(&mut said).unwrap();
            }
            panic!("the server did not start: {greeting:?} {said} {}", self.0.wait().unwrap());
        };
        Server { child: self.0, out, address, greeting }
    }
}

const POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// The PostgreSQL that tests may use.
pub fn server() -> String {
    std::env::var("SLUICE_TEST_POSTGRES_URL").unwrap_or_else(|_| POSTGRES.to_owned())
}

/// Runs statements, outside of any async runtime.
pub fn execute(url: &str, sql: &str) -> Result<(), sea_orm::DbErr> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let connection = Database::connect(url).await?;
        connection.execute_unprepared(sql).await?;
        connection.close().await
    })
}
