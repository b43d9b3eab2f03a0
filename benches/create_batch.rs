//! What writing costs: a batch of 20 jobs and 30 dependencies, and one of 10,000 jobs and 20,000
//! dependencies, beside the same rows sent as bare multi-row INSERTs in one transaction.
//!
//! ```sh
//! cargo bench --bench create_batch
//! ```
//!
//! | environment | what it says | default |
//! |---|---|---|
//! | `BENCH_SECONDS` | how long a round of the small batch takes | 2 |
//! | `BENCH_ROUNDS` | how many rounds; one of the large batch is two batches | 3 |
//! | `BENCH_DATABASES` | `sqlite`, `postgres`, or both with a comma | both |
//! | `BENCH_POSTGRES` | the server on which a database is made for this run | `postgres@127.0.0.1` |
//!
//! Everything runs in this process, one batch at a time: Sluice through its GraphQL schema, with the
//! input as JSON variables, as a client sends it.

mod common;
mod rows;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use common::{
    allocations::{Allocated, Counting, counted},
    database::{self, Scratch},
    drafts, percentile, process,
    requests::ask,
    setting,
};
use rows::Writer;
use serde_json::{Value, json};
use sluice::{
    domain::{documents::DocumentLimits, draft::BatchDraft, job::JobType},
    graphql::Schema,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CREATE: &str = "mutation ($input: CreateBatchInput!) {
    createBatch(input: $input) { batch { id version } userErrors { code message } }
}";

/// The large batch has more variables than are taken unless somebody asks for it.
const LIMITS: DocumentLimits = DocumentLimits { variable_bytes: 16 << 20, ..DocumentLimits::DEFAULT };

/// A batch to be made.
struct Size {
    title: &'static str,
    jobs: usize,
    requirements_of_a_load: usize,
}

const SIZES: [Size; 2] = [
    Size { title: "20 jobs, 30 dependencies", jobs: 20, requirements_of_a_load: 3 },
    Size { title: "10,000 jobs, 20,000 dependencies", jobs: 10_000, requirements_of_a_load: 4 },
];

/// When a round ends.
enum Round {
    After(Duration),
    Batches(usize),
}

/// What was measured in all rounds.
#[derive(Default)]
struct Total {
    latencies: Vec<Duration>,
    cpu_seconds: f64,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        database::on_each(compare_on).await;
    });
}

async fn compare_on(database: &Scratch) {
    println!("\n# {}\n", database.title());
    println!(
        "| batch | who | batches/s | p50 ms | p99 ms | CPU ms | statements | allocations | MB allocated \
         | time of bare |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let store = database::open(&database.url).await;
    let services = database::services(store.clone());
    let connections = drafts::connections(&services).await;
    // Some batches are there already and the statistics know of them, as anywhere but on the first day:
    // PostgreSQL checks foreign keys with a plan that it keeps, and one made for an empty table is bad.
    drafts::make(&services, &connections, 500).await;
    database.analyze().await;
    let schema = Schema::new(Arc::new(services), LIMITS, None).unwrap();
    let mut writer = Writer::open(&database.url).await;

    // A store of its own, since whoever is observed does a little more.
    let statements = Arc::new(AtomicU64::new(0));
    let mut observed = database::open(&database.url).await;
    let counter = statements.clone();
    observed.observe(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    let observed = Schema::new(Arc::new(database::services(observed)), LIMITS, None).unwrap();

    for size in &SIZES {
        let draft = |number| drafts::draft(number, size.jobs, size.requirements_of_a_load, &connections);
        // Once each, so that every statement is prepared.
        create(&observed, &draft(0)).await;
        statements.store(0, Relaxed);
        create(&observed, &draft(0)).await;
        create(&schema, &draft(0)).await;
        let (_, ours) = counted(create(&schema, &draft(0))).await;
        writer.write(&draft(0)).await;
        let (sent, theirs) = counted(writer.write(&draft(0))).await;

        let mut totals: [Total; 2] = Default::default();
        for _ in 0..setting("BENCH_ROUNDS", 3.0) as usize {
            let round = if size.jobs < 1_000 {
                Round::After(Duration::from_secs_f64(setting("BENCH_SECONDS", 2.0)))
            } else {
                Round::Batches(2)
            };
            let [sluice, bare] = &mut totals;
            sluice.measure(&round, async |number| create(&schema, &draft(number)).await).await;
            bare.measure(&round, async |number| {
                writer.write(&draft(number)).await;
            })
            .await;
        }
        let [sluice, bare] = totals;
        let time_of_bare = bare.milliseconds();
        sluice.report(size, "Sluice", statements.load(Relaxed), ours, time_of_bare);
        bare.report(size, "bare INSERTs", sent, theirs, time_of_bare);
    }
    store.close().await.unwrap();
}

impl Total {
    async fn measure(&mut self, round: &Round, mut work: impl AsyncFnMut(usize)) {
        let (start, cpu) = (Instant::now(), process::own_cpu_seconds());
        for number in 0.. {
            let more = match round {
                Round::After(duration) => start.elapsed() < *duration,
                Round::Batches(batches) => number < *batches,
            };
            if !more {
                break;
            }
            let began = Instant::now();
            work(number).await;
            self.latencies.push(began.elapsed());
        }
        self.cpu_seconds += process::own_cpu_seconds() - cpu;
    }

    /// The mean time of a batch.
    fn milliseconds(&self) -> f64 {
        self.latencies.iter().sum::<Duration>().as_secs_f64() * 1_000.0 / self.latencies.len() as f64
    }

    fn report(mut self, size: &Size, who: &str, statements: u64, allocated: Allocated, time_of_bare: f64) {
        self.latencies.sort_unstable();
        println!(
            "| {} | {who} | {:.1} | {:.1} | {:.1} | {:.2} | {statements} | {} | {:.1} | {:.2}× |",
            size.title,
            1_000.0 / self.milliseconds(),
            percentile(&self.latencies, 0.5),
            percentile(&self.latencies, 0.99),
            self.cpu_seconds * 1_000.0 / self.latencies.len() as f64,
            allocated.count,
            allocated.bytes as f64 / 1e6,
            self.milliseconds() / time_of_bare,
        );
    }
}

/// Makes the batch as a client does.
async fn create(schema: &Schema, draft: &BatchDraft) {
    let data = ask(schema, CREATE, json!({ "input": input(draft) })).await;
    assert!(data.pointer("/createBatch/batch/id").is_some(), "{data}");
}

/// What a client writes for this draft.
fn input(draft: &BatchDraft) -> Value {
    let jobs = draft.jobs.iter().map(|job| {
        let job_type = match job.job_type {
            JobType::Extract => "EXTRACT",
            JobType::Load => "LOAD",
        };
        let required = &job.required_objects;
        json!({
            "type": job_type, "object": job.object, "grain": job.grain, "connectionId": job.connection_id,
            "requiredObjects": { "extract": required.extract, "load": required.load },
        })
    });
    json!({
        "sourceConnectionId": draft.source_connection_id,
        "destinationConnectionId": draft.destination_connection_id,
        "since": draft.since,
        "priority": draft.priority,
        "jobs": jobs.collect::<Vec<_>>(),
    })
}
