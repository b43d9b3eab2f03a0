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
    drafts, percentile, setting,
};
use copies::Copies;
use serde_json::{Value, json};
use sluice::{
    domain::{
        access::Caller, connection::ConnectionDraft, documents::DocumentLimits, id::ConnectionId,
        tenant::TenantDraft,
    },
    graphql::{CostShown, Operation, Requester, Schema},
    services::Services,
};

const JOBS: usize = 20;
/// How many tenants have work at last.
const TENANTS: usize = 1_000;
/// How many batches are made as users make them.
const MADE: usize = 100;
/// How many jobs the store has at each step, after the first batch and those that are made.
const STEPS: [usize; 4] = [20_000, 200_000, 1_000_000, 5_000_000];

const PAGE: &str =
    "{ batches(first: 50) { nodes { id status sourceConnection { name } destinationConnection { name }
    jobs { id object status connection { name } dependencies { kind satisfied job { id status } } } } } }";
const CLAIM: &str = "mutation ($limit: Int!) {
    claimJobs(input: { worker: \"bench\", limit: $limit }) { claims { lease } userErrors { message } } }";
const FINISH: &str = "mutation ($results: [JobResultInput!]!) {
    finishJobs(input: { results: $results }) { results { userErrors { code } } userErrors { message } } }";

/// What is done at each step, beside claims.
const READS: [&str; 5] =
    ["page", "batch by id", "events", "events of a batch", "failed jobs, of which there are none"];

struct Bench {
    schema: Schema,
    services: Arc<Services>,
    connections: Vec<ConnectionId>,
    /// The first batch.
    first: String,
    /// Where the history has got to.
    cursor: String,
    statements: Arc<Mutex<Vec<String>>>,
    /// Statements that read a table without an index.
    scans: BTreeSet<String>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let wanted = std::env::var("BENCH_DATABASES").unwrap_or_else(|_| "postgres,sqlite".into());
        if wanted.contains("postgres")
            && let Some(database) = Scratch::postgres().await
        {
            measure(&database).await;
        }
        if wanted.contains("sqlite") {
            measure(&Scratch::sqlite()).await;
        }
    });
}

async fn measure(database: &Scratch) {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let mut store = database::open(&database.url).await;
    let seen = statements.clone();
    store.observe(move |info| seen.lock().unwrap().push(info.statement.to_string()));
    let services = Arc::new(database::services(store));
    let connections = drafts::connections(&services).await;
    let schema = Schema::new(services.clone(), DocumentLimits::DEFAULT, None).unwrap();
    let mut bench = Bench {
        schema,
        services,
        connections,
        first: String::new(),
        cursor: String::new(),
        statements,
        scans: BTreeSet::new(),
    };
    println!("\n# {}: milliseconds (median), and statements of each\n", database.title());
    println!("| jobs in the store | {} | claim and completion of a job |", READS.join(" | "));
    println!("|---|{}", "---|".repeat(READS.len() + 1));

    bench.first = bench.make(1).await;
    bench.run_all().await;
    bench.step(database, JOBS).await;
    bench.make(MADE - 1).await;
    bench.run_all().await;
    let mut copies = Copies::of(&database.url).await;
    bench.step(database, MADE * JOBS).await;
    let most = setting("BENCH_JOBS", 5e6) as usize;
    for jobs in STEPS.into_iter().filter(|jobs| *jobs <= most) {
        copies.make(jobs / (MADE * JOBS) - 1).await;
        bench.step(database, jobs).await;
    }
    let [one, many] = bench.claims_of_tenants().await;
    println!(
        "\n{} claims of a job and completions take {one} ms where one tenant has work, and {many} ms where {TENANTS} have.",
        setting("BENCH_REPEATS", 100.0),
    );
    match bench.scans.is_empty() {
        true => println!("\nNo statement reads a table without an index."),
        false => println!("\nRead a table without an index:\n{}", Vec::from_iter(bench.scans).join("\n")),
    }
}

impl Bench {
    /// Makes batches, and gives the id of the last.
    async fn make(&self, count: usize) -> String {
        let drafts = (0..count).map(|number| drafts::draft(number, JOBS, 3, &self.connections)).collect();
        let made = self.services.create_batches(&Caller::ANYBODY, drafts).await.unwrap();
        made.last().unwrap().batch.id.to_string()
    }

    async fn ask(&self, query: &str, variables: Value) -> Value {
        let operation =
            Operation { document: query.into(), operation_name: None, variables, cost: CostShown::No };
        let answer = self.schema.execute(operation, Requester::anybody()).await.json;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].clone()
    }

    /// Claims so many jobs, completes them, and says how many those were.
    async fn run(&self, limit: usize) -> usize {
        let claimed = self.ask(CLAIM, json!({ "limit": limit })).await;
        let claims = claimed["claimJobs"]["claims"].as_array().unwrap();
        let results: Vec<Value> = claims.iter().map(|claim| json!({ "lease": claim["lease"] })).collect();
        if !results.is_empty() {
            self.ask(FINISH, json!({ "results": results })).await;
        }
        claims.len()
    }

    async fn run_all(&self) {
        while self.run(100).await > 0 {}
    }

    /// Measures everything, and writes a line of the table.
    async fn step(&mut self, database: &Scratch, jobs: usize) {
        database.analyze().await;
        let last = self.ask("{ events(last: 100) { pageInfo { startCursor } } }", json!({})).await;
        self.cursor = last["events"]["pageInfo"]["startCursor"].as_str().unwrap().to_owned();
        let repeats = setting("BENCH_REPEATS", 100.0) as usize;
        let mut line = format!("| {jobs} |");
        for what in READS {
            let query = self.query(what);
            self.count(1);
            self.ask(&query, json!({})).await;
            self.look_for_scans(database, what).await;
            let mut times = Vec::new();
            for _ in 0..repeats {
                let begun = Instant::now();
                self.ask(&query, json!({})).await;
                times.push(begun.elapsed());
            }
            line += &cell(times, self.count(repeats));
        }
        self.make(repeats.div_ceil(JOBS) + 1).await;
        self.run(1).await;
        self.count(1);
        let mut times = Vec::new();
        for _ in 0..repeats {
            let begun = Instant::now();
            assert_eq!(self.run(1).await, 1);
            times.push(begun.elapsed());
        }
        line += &cell(times, self.count(repeats));
        println!("{line}");
        self.run_all().await;
    }

    /// How long it takes to claim and complete as many jobs as everything else is repeated, one by one: of one tenant, and
    /// then where each of many has a batch.
    async fn claims_of_tenants(&self) -> [String; 2] {
        let repeats = setting("BENCH_REPEATS", 100.0) as usize;
        self.make(repeats.div_ceil(JOBS) + 1).await;
        let one = self.claims(repeats).await;
        self.run_all().await;
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
            let mut draft = drafts::draft(0, JOBS, 3, &[connection, connection]);
            draft.tenant_id = Some(tenant);
            self.services.create_batches(&Caller::ANYBODY, vec![draft]).await.unwrap();
        }
        [one, self.claims(repeats).await]
    }

    /// How long so many claims of one job with its completion take, in milliseconds together.
    async fn claims(&self, count: usize) -> String {
        let begun = Instant::now();
        for _ in 0..count {
            assert_eq!(self.run(1).await, 1);
        }
        format!("{:.0}", begun.elapsed().as_secs_f64() * 1_000.0)
    }

    fn query(&self, what: &str) -> String {
        let Self { first, cursor, .. } = self;
        match what {
            "page" => PAGE.into(),
            "batch by id" => {
                format!("{{ batch(id: {first:?}) {{ id status jobs {{ id object status }} }} }}")
            }
            "events" => format!("{{ events(first: 100, after: {cursor:?}) {{ nodes {{ kind at }} }} }}"),
            "events of a batch" => {
                format!("{{ batch(id: {first:?}) {{ events(first: 100) {{ nodes {{ kind at }} }} }} }}")
            }
            _ => "{ jobs(first: 50, filter: { statuses: [FAILED] }) { nodes { id object } } }".into(),
        }
    }

    /// How many statements each of so many requests has taken. Forgets them.
    fn count(&self, requests: usize) -> f64 {
        std::mem::take(&mut *self.statements.lock().unwrap()).len() as f64 / requests as f64
    }

    /// Asks the database how it finds what the last request has asked for.
    async fn look_for_scans(&mut self, database: &Scratch, what: &str) {
        let statements = std::mem::take(&mut *self.statements.lock().unwrap());
        for statement in statements.iter().filter(|statement| statement.starts_with("SELECT")) {
            for scan in copies::scans(&database.url, statement).await {
                self.scans.insert(format!("- {what}: {scan}"));
            }
        }
    }
}

fn cell(mut times: Vec<Duration>, statements: f64) -> String {
    times.sort_unstable();
    format!(" {:.2} ({statements:.1}) |", percentile(&times, 0.5))
}
