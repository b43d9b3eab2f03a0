//! What a server takes: how long until it answers, how much memory it has when nobody asks, and under the nested page
//! of 16 clients, and how large the program is. It is the built program, in a process of its own, on a database that
//! is there already.
//!
//! ```sh
//! cargo bench --bench footprint
//! ```
//!
//! | environment | what it says | default |
//! |---|---|---|
//! | `BENCH_BATCHES` | how many batches there are; 20 jobs and 30 dependencies each | 500 |
//! | `BENCH_SECONDS` | how long the page is asked for | 10 |
//! | `BENCH_STARTS` | how often the server is started | 10 |
//! | `BENCH_DATABASES` | `sqlite`, `postgres`, or both with a comma | both |
//! | `BENCH_POSTGRES` | the server on which a database is made for this run | `postgres@127.0.0.1` |

mod common;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    database::{self, Scratch},
    drafts, load, percentile,
    requests::NESTED,
    setting,
};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sluice");
const CLIENTS: usize = 16;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bytes = std::fs::metadata(PROGRAM).unwrap().len();
        println!("The program has {:.1} MB.\n", bytes as f64 / 1e6);
        println!("| database | start to first answer, ms: p50 | worst | idle, MB | page at 16 clients, MB at most |");
        println!("|---|---|---|---|---|");
        database::on_each(measure).await;
    });
}

async fn measure(database: &Scratch) {
    fill(database).await;
    let ask = load::post(
        "/graphql",
        &json!({ "query": format!("{{ batches(first: 50) {{ {NESTED} }} }}") }).to_string(),
    );
    let mut starts = Vec::new();
    for _ in 0..setting("BENCH_STARTS", 10.0) as usize {
        let begun = Instant::now();
        let server = Server::start(&database.url);
        load::once(server.address, &ask).await;
        starts.push(begun.elapsed());
    }
    starts.sort_unstable();
    let server = Server::start(&database.url);
    load::once(server.address, &load::post("/graphql", &json!({ "query": "{ __typename }" }).to_string()))
        .await;
    // Until what was needed for the start has been given back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = server.memory("VmRSS:");
    let duration = Duration::from_secs_f64(setting("BENCH_SECONDS", 10.0));
    load::load(server.address, &ask, CLIENTS, duration).await;
    println!(
        "| {} | {:.0} | {:.0} | {idle:.1} | {:.1} |",
        database.title(),
        percentile(&starts, 0.5),
        percentile(&starts, 1.0),
        server.memory("VmHWM:"),
    );
}

/// Makes the batches.
async fn fill(database: &Scratch) {
    let store = database::open(&database.url).await;
    let services = database::services(store.clone());
    let connections = drafts::connections(&services).await;
    drafts::make(&services, &connections, setting("BENCH_BATCHES", 500.0) as usize).await;
    store.close().await.unwrap();
    database.analyze().await;
}

/// The built program, as it is started by its users. It is killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(url: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--bind", "127.0.0.1:0", "--database-url", url]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Self { child, address: address.expect("a server says where it answers").parse().unwrap() }
    }

    /// Its memory, in MB, as `/proc` has it; 0 where there is none.
    fn memory(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default()
            * 1_024.0
            / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
