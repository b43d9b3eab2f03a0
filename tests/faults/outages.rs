//! A PostgreSQL that goes away and comes back.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::support::{Database, Dice, Engine, database::Observer, model::Plan, run, workload::Workload};

/// How often all connections are lost.
const LOSSES: usize = 8;

#[test]
fn connections_that_are_lost_under_load_are_made_again_and_nothing_is_lost() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(async {
        let mut dice = Dice::new();
        let site = database.site();
        let client = site.client();
        let connection = client.connection("there").await;
        let observer = Observer::connect().await;
        let workload = Workload::default();
        let _workers = workload.start(vec![client.clone(); 6], 4, 3);
        for loss in 0..LOSSES {
            for number in 0..2 {
                let plan = Plan::random(&mut dice, 12);
                workload.create(&client, &connection, &format!("{loss}.{number}"), &plan).await;
            }
            observer.cut_off(&database).await;
        }
        workload.verify(&client).await;
    });
}

/// A PostgreSQL of the test's own, which can be stopped without harm to others.
struct Own {
    programs: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
}

impl Own {
    /// `None` where PostgreSQL's programs are not to be found.
    fn create() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let programs = versions.flatten().map(|version| version.path().join("bin"));
        let programs = programs.filter(|programs| programs.join("initdb").exists()).max()?;
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let own = Self { programs, directory, port };
        if is_root() {
            let path = own.directory.path();
            assert!(Command::new("chown").arg("postgres").arg(path).status().unwrap().success());
        }
        own.run("initdb", &["-A", "trust", "-U", "postgres", "-N"]);
        own.start();
        Some(own)
    }

    fn start(&self) {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", self.port);
        self.run("pg_ctl", &["-w", "-l", "/dev/null", "-o", &options, "start"]);
    }

    /// As if the machine had failed.
    fn stop(&self) {
        self.run("pg_ctl", &["-w", "-m", "immediate", "stop"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program, arguments);
        assert!(command.status().unwrap().success(), "{command:?}");
    }

    /// PostgreSQL does not run as root.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("-D").arg(self.directory.path().join("data")).args(arguments).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl", &["-m", "immediate", "stop"]).status();
    }
}

fn is_root() -> bool {
    std::env::var("USER").is_ok_and(|user| user == "root")
        || Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

#[test]
fn a_postgresql_that_fails_under_load_and_comes_back_finds_everything_as_it_was() {
    let Some(own) = Own::create() else {
        eprintln!("NOT TESTED WITH A POSTGRESQL THAT FAILS: initdb is not to be found");
        return;
    };
    let database = Database::at(format!("postgres://postgres@127.0.0.1:{}/postgres", own.port));
    run(async {
        let mut dice = Dice::new();
        let site = database.site();
        let client = site.client();
        let connection = client.connection("there").await;
        let workload = Workload::default();
        let _workers = workload.start(vec![client.clone(); 6], 4, 3);
        for failure in 0..3 {
            for number in 0..3 {
                let plan = Plan::random(&mut dice, 12);
                workload.create(&client, &connection, &format!("{failure}.{number}"), &plan).await;
            }
            own.stop();
            own.start();
        }
        workload.verify(&client).await;
    });
}
