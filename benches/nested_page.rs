//! What reading costs: a page of batches with everything in it, one of a single large batch, and two small
//! answers, beside a bare server that sends the same statements and writes the same JSON by hand.
//!
//! ```sh
//! cargo bench --bench nested_page
//! ```
//!
//! | environment | what it says | default |
//! |---|---|---|
//! | `BENCH_BATCHES` | how many batches there are; 20 jobs and 30 dependencies each | 500 |
//! | `BENCH_SECONDS` | how long a round of the nested page takes; one of the others a third of that | 2.5 |
//! | `BENCH_ROUNDS` | how many rounds | 3 |
//! | `BENCH_DATABASES` | `sqlite`, `postgres`, or both with a comma | both |
//! | `BENCH_POSTGRES` | the server on which a database is made for this run | `postgres@127.0.0.1` |
//!
//! Everyone is measured in turn, round by round, with 16 clients: Sluice's schema called in process;
//! Sluice as a server with one worker, which keeps nothing of what it has read, and which does; the bare server with
//! one worker. Each runs in a process of its
//! own, on a core of its own if there are two; the clients and the database have the other one. So
//! read the CPU time of a request first: it does not depend on what the others do.

mod bare;
mod common;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use common::{
    allocations::{Counting, counted},
    database::{self, Scratch, backends},
    drafts, load,
    load::Load,
    percentile, process,
    process::Process,
    requests::NESTED,
    setting,
};
use serde_json::{Value, json};
use sluice::{
    app::{self, Application},
    clock::Clock,
    config::Config,
    domain::{access::Caller, documents::DocumentLimits, id::BatchId, problem::At},
    graphql::{CostShown, Operation, Requester, Schema},
};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CLIENTS: usize = 16;
/// How many jobs the oldest batch has.
const LARGE: usize = 10_000;
const WARM_UP: Duration = Duration::from_millis(500);

const LIST: &str = "{ batches(first: 100) { nodes { id status priority createdAt since } } }";
const JOBS_OF_ONE: &str = "id status priority createdAt since
    jobs { id position type object grain status wave attempt maxAttempts }";

/// What is asked for.
struct Case {
    title: &'static str,
    /// How Sluice is asked.
    query: String,
    /// How the bare server is asked.
    path: String,
    round: Duration,
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    InProcess,
    /// It keeps nothing of what it has read.
    Cold,
    /// It has read everything before.
    Hot,
    Bare,
}

const EVERYONE: [Who; 4] = [Who::InProcess, Who::Cold, Who::Hot, Who::Bare];

impl Who {
    fn title(self) -> &'static str {
        match self {
            Self::InProcess => "Sluice, in process",
            Self::Cold => "Sluice, HTTP",
            Self::Hot => "Sluice, HTTP, from its cache",
            Self::Bare => "bare server, HTTP",
        }
    }
}

/// What somebody did in all rounds of a case.
#[derive(Default)]
struct Total {
    latencies: Vec<Duration>,
    seconds: f64,
    cpu_seconds: f64,
    bytes: usize,
    /// Requests a second, round by round.
    rates: Vec<f64>,
}

impl Total {
    fn add(&mut self, load: Load, cpu_seconds: f64) {
        self.rates.push(load.latencies.len() as f64 / load.seconds);
        self.latencies.extend(load.latencies);
        self.seconds += load.seconds;
        self.cpu_seconds += cpu_seconds;
        self.bytes = load.bytes;
    }

    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    fn cpu_milliseconds(&self) -> f64 {
        self.cpu_seconds * 1_000.0 / self.latencies.len() as f64
    }
}

fn main() {
    match process::role().as_deref() {
        None => run(compare()),
        Some("sluice") => serve_sluice(),
        Some("bare") => run(serve_bare()),
        Some(_) => run(in_process()),
    }
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// What a process that is not the bench itself is told.
fn told(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// The program's server, on the runtime that the program has.
fn serve_sluice() {
    process::end_with_parent();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let graph_cache = told("BENCH_GRAPH_CACHE").parse().unwrap();
        let config = Config { graph_cache, ..database::config(&told("BENCH_URL")) };
        let listener = app::listen(&config).unwrap();
        let store = app::open(&config).await.unwrap();
        let server = Application::build(listener, store, Clock::System, &config, std::future::pending())
            .await
            .unwrap();
        println!("{}", server.address());
        server.run_until_stopped().await.unwrap();
    });
}

async fn serve_bare() {
    process::end_with_parent();
    tokio::task::LocalSet::new()
        .run_until(async {
            let (server, port) = bare::start(told("BENCH_URL"));
            println!("127.0.0.1:{port}");
            server.await.unwrap();
        })
        .await;
}

/// Calls the schema for a while, and writes what came of it.
async fn in_process() {
    let (url, query) = (told("BENCH_URL"), told("BENCH_QUERY"));
    let seconds: f64 = told("BENCH_ROUND").parse().unwrap();
    let schema =
        Schema::new(Arc::new(database::services(database::open(&url).await)), DocumentLimits::DEFAULT, None)
            .unwrap();
    // One request at a time: what is counted here does not depend on how many there are.
    ask(&schema, &query).await;
    let (_, allocated) = counted(ask(&schema, &query)).await;

    // A store of its own, since whoever is observed does a little more.
    let statements = Arc::new(AtomicU64::new(0));
    let mut observed = database::open(&url).await;
    let counter = statements.clone();
    observed.observe(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    ask(&Schema::new(Arc::new(database::services(observed)), DocumentLimits::DEFAULT, None).unwrap(), &query)
        .await;

    execute(&schema, &query, WARM_UP).await;
    process::keep_off_the_servers_core(&backends(&url).await);
    let cpu = process::own_cpu_seconds();
    let load = execute(&schema, &query, Duration::from_secs_f64(seconds)).await;
    let cpu_seconds = process::own_cpu_seconds() - cpu;
    let micros: Vec<u128> = load.latencies.iter().map(Duration::as_micros).collect();
    let measured = json!({
        "micros": micros, "seconds": load.seconds, "bytes": load.bytes, "cpu_seconds": cpu_seconds,
        "statements": statements.load(Relaxed), "allocations": allocated.count, "allocated": allocated.bytes,
    });
    println!("{measured}");
}

async fn execute(schema: &Schema, query: &str, duration: Duration) -> Load {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..CLIENTS {
        let (schema, query) = (schema.clone(), query.to_owned());
        running.spawn(async move {
            let mut load = Load::default();
            while start.elapsed() < duration {
                let sent = Instant::now();
                load.bytes = ask(&schema, &query).await;
                load.latencies.push(sent.elapsed());
            }
            load
        });
    }
    let loads = running.join_all().await;
    let bytes = loads[0].bytes;
    let latencies = loads.into_iter().flat_map(|load| load.latencies).collect();
    Load { seconds: start.elapsed().as_secs_f64(), latencies, bytes }
}

async fn ask(schema: &Schema, query: &str) -> usize {
    let operation = Operation {
        document: query.into(),
        operation_name: None,
        variables: Value::Null,
        cost: CostShown::No,
    };
    schema.execute(operation, Requester::anybody()).await.json.len()
}

async fn compare() {
    if process::can_bind() {
        process::keep_off_the_servers_core(&[std::process::id()]);
    } else {
        println!("Servers, clients and database share all cores: look at the CPU time.");
    }
    database::on_each(compare_on).await;
}

async fn compare_on(database: &Scratch) {
    let batches = setting("BENCH_BATCHES", 500.0) as usize;
    let newest = seed(database, batches).await;
    let title = database.title();
    println!("\n# {title}, {batches} batches with {} jobs and 30 dependencies each\n", drafts::JOBS);
    println!(
        "| what | who | req/s | p50 ms | p99 ms | CPU ms/req | bytes \
         | req/s of bare | CPU of bare | by round |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");

    let url = ("BENCH_URL", &*database.url);
    let kept = Config::GRAPH_CACHE.to_string();
    let mut cold = Process::start("sluice", &[url, ("BENCH_GRAPH_CACHE", "0")]);
    let mut hot = Process::start("sluice", &[url, ("BENCH_GRAPH_CACHE", &kept)]);
    let mut bare = Process::start("bare", &[url]);
    let addresses: [SocketAddr; 3] =
        [&mut cold, &mut hot, &mut bare].map(|server| server.line().parse().unwrap());
    let seconds = setting("BENCH_SECONDS", 2.5);
    let uuid = BatchId::parse(&newest, &At::Root).unwrap().uuid();
    let cases = [
        Case {
            title: "50 batches, nested",
            query: format!("{{ batches(first: 50) {{ {NESTED} }} }}"),
            path: "/nested".into(),
            round: Duration::from_secs_f64(seconds),
        },
        Case {
            title: "one batch, 10,000 jobs, nested",
            query: format!(
                "{{ batches(first: 1, orderBy: {{ field: CREATED_AT, direction: ASC }}) {{ {NESTED} }} }}"
            ),
            path: "/oldest".into(),
            round: Duration::from_secs_f64(seconds * 2.0),
        },
        Case {
            title: "one batch, 20 jobs",
            query: format!("{{ batch(id: {newest:?}) {{ {JOBS_OF_ONE} }} }}"),
            path: format!("/batch/{uuid}"),
            round: Duration::from_secs_f64(seconds / 3.0),
        },
        Case {
            title: "100 batches, flat",
            query: LIST.into(),
            path: "/list".into(),
            round: Duration::from_secs_f64(seconds / 3.0),
        },
    ];
    let mut notes = Vec::new();
    for case in &cases {
        let ask_sluice = load::post("/graphql", &json!({ "query": case.query }).to_string());
        let ask_bare = load::post(&case.path, "{}");
        let requests = [&ask_sluice, &ask_sluice, &ask_bare];
        let mut answers = Vec::new();
        for (address, request) in addresses.into_iter().zip(requests) {
            let answer = load::once(address, request).await;
            answers.push(serde_json::from_slice::<Value>(&answer).unwrap());
            // All connections are opened before anything is measured.
            load::load(address, request, CLIENTS, WARM_UP).await;
        }
        assert!(answers[0].pointer("/data").is_some_and(|data| !data.is_null()), "{}", answers[0]);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{}: the answers differ", case.title);
        process::keep_off_the_servers_core(&backends(&database.url).await);
        let mut totals: [Total; 4] = Default::default();
        for round in 0..setting("BENCH_ROUNDS", 3.0) as usize {
            for (who, total) in EVERYONE.into_iter().zip(&mut totals) {
                let (address, request, server) = match who {
                    Who::InProcess => {
                        let (load, cpu_seconds, note) = measure_in_process(database, case);
                        total.add(load, cpu_seconds);
                        if round == 0 {
                            notes.push(note);
                        }
                        continue;
                    }
                    Who::Cold => (addresses[0], &ask_sluice, &cold),
                    Who::Hot => (addresses[1], &ask_sluice, &hot),
                    Who::Bare => (addresses[2], &ask_bare, &bare),
                };
                let cpu = server.cpu_seconds();
                let load = load::load(address, request, CLIENTS, case.round).await;
                total.add(load, server.cpu_seconds() - cpu);
            }
        }
        report(case, &mut totals);
    }
    println!("\nSluice in process, one request at a time:");
    notes.iter().for_each(|note| println!("- {note}"));
}

/// Makes the batches, and gives the id of the newest.
async fn seed(database: &Scratch, batches: usize) -> String {
    let start = Instant::now();
    let store = database::open(&database.url).await;
    let services = database::services(store.clone());
    let connections = drafts::connections(&services).await;
    let large = drafts::draft(0, LARGE, drafts::REQUIREMENTS_OF_A_LOAD, &connections);
    services.create_batches(&Caller::ANYBODY, vec![large]).await.unwrap();
    let newest = drafts::make(&services, &connections, batches).await;
    store.close().await.unwrap();
    database.analyze().await;
    eprintln!("made {batches} batches in {:.1} s", start.elapsed().as_secs_f64());
    newest
}

fn measure_in_process(database: &Scratch, case: &Case) -> (Load, f64, String) {
    let round = case.round.as_secs_f64().to_string();
    let environment =
        [("BENCH_URL", &*database.url), ("BENCH_QUERY", &*case.query), ("BENCH_ROUND", &*round)];
    let line = Process::start("in process", &environment).line();
    let measured: Value = serde_json::from_str(&line).expect("the process has written what it measured");
    let number = |name: &str| measured[name].as_f64().unwrap();
    let micros = measured["micros"].as_array().unwrap().iter();
    let load = Load {
        seconds: number("seconds"),
        latencies: micros.map(|micros| Duration::from_micros(micros.as_u64().unwrap())).collect(),
        bytes: number("bytes") as usize,
    };
    let note = format!(
        "{}: {} statements, {} allocations, {:.0} kB allocated",
        case.title,
        number("statements"),
        number("allocations"),
        number("allocated") / 1_000.0
    );
    (load, number("cpu_seconds"), note)
}

fn report(case: &Case, totals: &mut [Total; 4]) {
    for total in &mut *totals {
        total.latencies.sort_unstable();
    }
    let [.., bare] = &*totals;
    for (who, total) in EVERYONE.into_iter().zip(&*totals) {
        let by_round: Vec<String> =
            total.rates.iter().zip(&bare.rates).map(|(own, bare)| format!("{:.2}", own / bare)).collect();
        println!(
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.2} | {} | {:.2} | {:.1}× | {} |",
            case.title,
            who.title(),
            total.rate(),
            percentile(&total.latencies, 0.5),
            percentile(&total.latencies, 0.99),
            total.cpu_milliseconds(),
            total.bytes,
            total.rate() / bare.rate(),
            total.cpu_milliseconds() / bare.cpu_milliseconds(),
            by_round.join(" "),
        );
    }
}
