//! What reading and claiming cost as the store grows: one batch, and then up to five million finished jobs with their
//! dependencies, attempts and events. Says of every statement whether it reads a table without an index.
//!
//! ```sh
//! cargo bench --bench scale
//! ```
//!
//! | environment | what it says | default |
//! |---|---|---|
//! | `BENCH_JOBS` | how many jobs the store has at last | 5,000,000 |
//! | `BENCH_REPEATS` | how often each thing is done for its median | 100 |
//! | `BENCH_DATABASES` | `sqlite`, `postgres`, or both with a comma | both |
//! | `BENCH_POSTGRES` | the server on which a database is made for this run | `postgres@127.0.0.1` |
//!
//! The first 100 batches are made and run as users do it. The others are copies of these, made by SQL with earlier ids.
//! Nothing that was read is kept. Sluice's schema is called in process, one request at a time.

mod common;
mod copies;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{
    database::{self, Scratch},
    drafts::{self, JOBS, REQUIREMENTS_OF_A_LOAD},
    percentile,
    requests::{ask, claim, drain, finish},
    setting,
};
use copies::Copies;
use serde_json::Value;
use sluice::{
    domain::{
        access::Caller, connection::ConnectionDraft, documents::DocumentLimits, id::ConnectionId,
        tenant::TenantDraft,
    },
    graphql::Schema,
    services::Services,
};

/// How many tenants have work at last.
const TENANTS: usize = 1_000;
/// How many batches are made as users make them.
const MADE: usize = 100;
/// How many jobs the store has at each step, after the first batch and those that are made.
const STEPS: [usize; 4] = [20_000, 200_000, 1_000_000, 5_000_000];

const PAGE: &str =
    "{ batches(first: 50) { nodes { id status sourceConnection { name } destinationConnection { name }
    jobs { id object status connection { name } dependencies { kind satisfied job { id status } } } } } }";

/// What is read at each step.
#[derive(Clone, Copy)]
enum Read {
    Page,
    Batch,
    Events,
    EventsOfBatch,
    FailedJobs,
}

impl Read {
    const ALL: [Self; 5] = [Self::Page, Self::Batch, Self::Events, Self::EventsOfBatch, Self::FailedJobs];

    fn title(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Batch => "batch by id",
            Self::Events => "events",
            Self::EventsOfBatch => "events of a batch",
            Self::FailedJobs => "failed jobs, of which there are none",
        }
    }

    /// How it is asked for: of this batch, or what follows this cursor.
    fn query(self, batch: &str, cursor: &str) -> String {
        match self {
            Self::Page => PAGE.into(),
            Self::Batch => format!("{{ batch(id: {batch:?}) {{ id status jobs {{ id object status }} }} }}"),
            Self::Events => {
                format!("{{ events(first: 100, after: {cursor:?}) {{ nodes {{ kind at }} }} }}")
            }
            Self::EventsOfBatch => {
                format!("{{ batch(id: {batch:?}) {{ events(first: 100) {{ nodes {{ kind at }} }} }} }}")
            }
            Self::FailedJobs => {
                "{ jobs(first: 50, filter: { statuses: [FAILED] }) { nodes { id object } } }".into()
            }
        }
    }
}

struct Bench {
    schema: Schema,
    services: Arc<Services>,
    connections: Vec<ConnectionId>,
    /// How often each thing is done.
    repeats: usize,
    /// What was sent to the database and not looked at yet.
    statements: Arc<Mutex<Vec<String>>>,
    /// Statements that read a table without an index.
    scans: BTreeSet<String>,
}

/// What was done as often as everything is.
struct Done {
    times: Vec<Duration>,
    statements: usize,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(database::on_each(measure));
}

async fn measure(database: &Scratch) {
    let mut bench = Bench::on(database).await;
    println!("\n# {}: milliseconds (median), and statements of each\n", database.title());
    println!(
        "| jobs in the store | {} | claim and completion of a job |",
        Read::ALL.map(Read::title).join(" | ")
    );
    println!("|---|{}", "---|".repeat(Read::ALL.len() + 1));

    let first = bench.make(1).await;
    drain(&bench.schema).await;
    bench.step(database, &first, JOBS).await;
    bench.make(MADE - 1).await;
    drain(&bench.schema).await;
    let mut copies = Copies::of(&database.url).await;
    bench.step(database, &first, MADE * JOBS).await;
    let most = setting("BENCH_JOBS", 5e6) as usize;
    for jobs in STEPS.into_iter().filter(|jobs| *jobs <= most) {
        copies.make(jobs / (MADE * JOBS) - 1).await;
        bench.step(database, &first, jobs).await;
    }
    let one = bench.claims_of_one_tenant().await;
    let many = bench.claims_of_many_tenants().await;
    println!(
        "\nA claim of a job and its completion take {:.2} ms where one tenant has work, and {:.2} ms where {TENANTS} have.",
        one.median(),
        many.median(),
    );
    if bench.scans.is_empty() {
        println!("\nNo statement reads a table without an index.");
    } else {
        println!("\nRead a table without an index:\n{}", Vec::from_iter(bench.scans).join("\n"));
    }
}

impl Bench {
    async fn on(database: &Scratch) -> Self {
        let statements = Arc::new(Mutex::new(Vec::new()));
        let mut store = database::open(&database.url).await;
        let sent = statements.clone();
        store.observe(move |info| sent.lock().unwrap().push(info.statement.to_string()));
        let services = Arc::new(database::services(store));
        let connections = drafts::connections(&services).await;
        let schema = Schema::new(services.clone(), DocumentLimits::DEFAULT, None).unwrap();
        let repeats = setting("BENCH_REPEATS", 100.0) as usize;
        Self { schema, services, connections, repeats, statements, scans: BTreeSet::new() }
    }

    /// Makes batches, and gives the id of the last.
    async fn make(&self, batches: usize) -> String {
        drafts::make(&self.services, &self.connections, batches).await
    }

    /// Measures everything, and writes a line of the table.
    async fn step(&mut self, database: &Scratch, batch: &str, jobs: usize) {
        database.analyze().await;
        let last = "{ events(last: 100) { pageInfo { startCursor } } }";
        let last = ask(&self.schema, last, Value::Null).await;
        let cursor = last["events"]["pageInfo"]["startCursor"].as_str().unwrap().to_owned();
        let mut cells = vec![jobs.to_string()];
        for read in Read::ALL {
            let query = read.query(batch, &cursor);
            self.look_for_scans(database, read, &query).await;
            let done = self.repeat(async || drop(ask(&self.schema, &query, Value::Null).await)).await;
            cells.push(done.cell());
        }
        cells.push(self.claims_of_one_tenant().await.cell());
        println!("| {} |", cells.join(" | "));
    }

    /// Claims and completes jobs of one tenant, one by one.
    async fn claims_of_one_tenant(&self) -> Done {
        self.make(self.repeats.div_ceil(JOBS) + 1).await;
        let done = self.claims().await;
        drain(&self.schema).await;
        done
    }

    /// The same where each of many tenants has a batch.
    async fn claims_of_many_tenants(&self) -> Done {
        for number in 0..TENANTS {
            let name = format!("Tenant {number}");
            let tenant = TenantDraft { name, max_concurrent_jobs: None };
            let tenant = self.services.create_tenant(&Caller::ANYBODY, tenant).await.unwrap().id.to_string();
            let connection = ConnectionDraft {
                tenant_id: Some(tenant.clone()),
                name: "There".into(),
                provider: "csv".into(),
                ..ConnectionDraft::default()
            };
            let connection = self.services.create_connection(&Caller::ANYBODY, connection).await.unwrap().id;
            let mut draft = drafts::draft(0, JOBS, REQUIREMENTS_OF_A_LOAD, &[connection, connection]);
            draft.tenant_id = Some(tenant);
            self.services.create_batches(&Caller::ANYBODY, vec![draft]).await.unwrap();
        }
        self.claims().await
    }

    async fn claims(&self) -> Done {
        let run = async || {
            let leases = claim(&self.schema, 1, 0).await;
            assert_eq!(leases.len(), 1);
            finish(&self.schema, leases).await;
        };
        // Once before, so that every statement is prepared.
        run().await;
        self.repeat(run).await
    }

    async fn repeat(&self, what: impl AsyncFn()) -> Done {
        self.take_statements();
        let mut times = Vec::new();
        for _ in 0..self.repeats {
            let begun = Instant::now();
            what().await;
            times.push(begun.elapsed());
        }
        Done { times, statements: self.take_statements().len() }
    }

    fn take_statements(&self) -> Vec<String> {
        std::mem::take(&mut *self.statements.lock().unwrap())
    }

    /// Asks the database how it finds what is read.
    async fn look_for_scans(&mut self, database: &Scratch, read: Read, query: &str) {
        self.take_statements();
        ask(&self.schema, query, Value::Null).await;
        for statement in self.take_statements().iter().filter(|statement| statement.starts_with("SELECT")) {
            for scan in copies::scans(&database.url, statement).await {
                self.scans.insert(format!("- {}: {scan}", read.title()));
            }
        }
    }
}

impl Done {
    /// In milliseconds.
    fn median(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        percentile(&times, 0.5)
    }

    fn cell(&self) -> String {
        format!("{:.2} ({:.1})", self.median(), self.statements as f64 / self.times.len() as f64)
    }
}
