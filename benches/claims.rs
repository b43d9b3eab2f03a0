//! What running jobs costs: claim and completion of trivial jobs, beside a bare script that does no more
//! than `FOR UPDATE SKIP LOCKED` and two updates on the same PostgreSQL; how soon a waiting worker has a
//! job that became ready; how soon an event reaches 1,000 followers.
//!
//! ```sh
//! cargo bench --bench claims
//! ```
//!
//! | environment | what it says | default |
//! |---|---|---|
//! | `BENCH_SECONDS` | how long a round takes | 3 |
//! | `BENCH_SIZES` | how many jobs are claimed at once | 1,10,100 |
//! | `BENCH_WORKERS` | how many workers claim | 1,4,16 |
//! | `BENCH_DATABASES` | `sqlite`, `postgres`, or both with a comma | both |
//! | `BENCH_POSTGRES` | the server on which a database is made for this run | `postgres@127.0.0.1` |
//!
//! Everything runs in this process: workers call Sluice's GraphQL schema, with attempts, events, edges,
//! limits and fairness as they always are. Batches have 20 jobs and 30 dependencies.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use common::{
    database::{self, Scratch},
    drafts, percentile,
    requests::{claim, drain, finish},
    setting,
};
use futures_util::StreamExt;
use sluice::{
    domain::{
        access::Caller,
        documents::DocumentLimits,
        draft::BatchDraft,
        event::EventFilter,
        id::ConnectionId,
        job::{JobType, RequiredObjects},
    },
    graphql::Schema,
    services::Services,
};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

const FOLLOWERS: usize = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        database::on_each(measure).await;
    });
}

async fn measure(database: &Scratch) {
    let statements = Arc::new(AtomicU64::new(0));
    let mut store = database::open(&database.url).await;
    let counter = statements.clone();
    store.observe(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    let services = Arc::new(database::services(store));
    let connections = drafts::connections(&services).await;
    let schema = Schema::new(services.clone(), DocumentLimits::DEFAULT, None).unwrap();
    let round = Duration::from_secs_f64(setting("BENCH_SECONDS", 3.0));
    let bare_url = database.url.starts_with("postgres").then_some(&*database.url);

    println!("\n# {}: claim and completion\n", database.title());
    println!("| claim size | workers | Sluice jobs/s | bare jobs/s | ratio | statements a job |");
    println!("|---|---|---|---|---|---|");
    for size in list("BENCH_SIZES", "1,10,100") {
        for workers in list("BENCH_WORKERS", "1,4,16") {
            let bare = match bare_url {
                Some(url) => Some(bare(url, size, workers, round).await),
                None => None,
            };
            // As many as could be needed, made before anything is measured.
            let jobs = (if size == 1 { 2_000.0 } else { 12_000.0 } * round.as_secs_f64()) as usize;
            drafts::make(&services, &connections, jobs.div_ceil(drafts::JOBS)).await;
            database.analyze().await;
            let before = statements.load(Relaxed);
            let (done, seconds) = run(&schema, size, workers, round).await;
            let per_job = (statements.load(Relaxed) - before) as f64 / done as f64;
            let rate = done as f64 / seconds;
            let bare = bare.map_or(["–".into(), "–".into()], |bare| {
                [format!("{bare:.0}"), format!("{:.2}", rate / bare)]
            });
            println!("| {size} | {workers} | {rate:.0} | {} | {} | {per_job:.2} |", bare[0], bare[1]);
            drain(&schema).await;
        }
    }
    ready_to_held(&services, &schema, &connections).await;
    followers(&services, &connections).await;
}

/// The numbers that a setting lists.
fn list(name: &str, default: &str) -> Vec<usize> {
    let list = std::env::var(name);
    list.as_deref().unwrap_or(default).split(',').map(|number| number.parse().unwrap()).collect()
}

/// How many jobs so many workers claim and complete, and in how many seconds.
async fn run(schema: &Schema, size: usize, workers: usize, round: Duration) -> (usize, f64) {
    let start = Instant::now();
    let done = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let (schema, done) = (schema.clone(), done.clone());
        running.spawn(async move {
            while start.elapsed() < round {
                let leases = claim(&schema, size, 0).await;
                if leases.is_empty() {
                    continue;
                }
                let jobs = leases.len();
                finish(&schema, leases).await;
                done.fetch_add(jobs, Relaxed);
            }
        });
    }
    running.join_all().await;
    (done.load(Relaxed), start.elapsed().as_secs_f64())
}

/// What the bare script does in the same time: jobs a second.
async fn bare(url: &str, size: usize, workers: usize, round: Duration) -> f64 {
    let setup = connect(url).await;
    // More than it gets done: where the rows run out, the rate is that of making them.
    let rows = (if size == 1 { 20_000.0 } else { 150_000.0 } * round.as_secs_f64()) as i64;
    setup
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS bare;
             CREATE TABLE bare (id bigint PRIMARY KEY, state text NOT NULL, priority int NOT NULL, started_at timestamptz, finished_at timestamptz);
             INSERT INTO bare SELECT n, 'ready', n % 7 FROM generate_series(1, {rows}) n;
             CREATE INDEX bare_ready ON bare (priority DESC, id) WHERE state = 'ready'"
        ))
        .await
        .unwrap();
    setup.batch_execute("VACUUM ANALYZE bare").await.unwrap();
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let client = connect(url).await;
        running.spawn(async move {
            let claim = client.prepare(
                "WITH next AS (SELECT id FROM bare WHERE state = 'ready' ORDER BY priority DESC, id LIMIT $1 FOR UPDATE SKIP LOCKED)
                 UPDATE bare SET state = 'running', started_at = now() FROM next WHERE bare.id = next.id RETURNING bare.id",
            ).await.unwrap();
            let finish = client.prepare(
                "UPDATE bare SET state = 'succeeded', finished_at = now() WHERE id = ANY($1) AND state = 'running'",
            ).await.unwrap();
            let mut done = 0;
            while start.elapsed() < round {
                let claimed = client.query(&claim, &[&(size as i64)]).await.unwrap();
                let ids: Vec<i64> = claimed.iter().map(|row| row.get(0)).collect();
                done += client.execute(&finish, &[&ids]).await.unwrap();
            }
            done
        });
    }
    let done: u64 = running.join_all().await.into_iter().sum();
    let rate = done as f64 / start.elapsed().as_secs_f64();
    setup.batch_execute("DROP TABLE bare").await.unwrap();
    rate
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// From the report that makes a job ready to the waiting worker that has it.
async fn ready_to_held(services: &Services, schema: &Schema, connections: &[ConnectionId]) {
    let mut latencies = Vec::new();
    for number in 0..200 {
        services.create_batch(&Caller::ANYBODY, pair(number, connections)).await.unwrap();
        let first = claim(schema, 1, 0).await;
        let waiting = {
            let schema = schema.clone();
            tokio::spawn(async move { (claim(&schema, 1, 10).await, Instant::now()) })
        };
        // The other one is on its way into the queue, or there.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let reported = Instant::now();
        finish(schema, first).await;
        let (second, held) = waiting.await.unwrap();
        latencies.push(held - reported);
        finish(schema, second).await;
    }
    latencies.sort_unstable();
    println!(
        "\nFrom the report that makes a job ready to the waiting worker that holds it: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99)
    );
}

/// An extract, and a load that requires it.
fn pair(number: usize, connections: &[ConnectionId]) -> BatchDraft {
    let mut draft = drafts::draft(number, 2, 1, connections);
    draft.jobs.truncate(2);
    for job in &mut draft.jobs {
        let extract = match job.job_type {
            JobType::Extract => Vec::new(),
            JobType::Load => vec!["a".to_owned()],
        };
        job.object = "a".into();
        job.grain = None;
        job.required_objects = RequiredObjects { extract, ..RequiredObjects::default() };
    }
    draft
}

/// From a change to each of 1,000 who follow the history.
async fn followers(services: &Arc<Services>, connections: &[ConnectionId]) {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut following = JoinSet::new();
    for _ in 0..FOLLOWERS {
        let events = services.follow_events(&Caller::ANYBODY, None, EventFilter::default()).await.unwrap();
        let told = told.clone();
        following.spawn(async move {
            let mut events = Box::pin(events);
            while let Some(Ok(_)) = events.next().await {
                if told.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    }
    let mut latencies = Vec::new();
    for number in 0..50 {
        let sent = Instant::now();
        services.create_batch(&Caller::ANYBODY, pair(number, connections)).await.unwrap();
        for _ in 0..FOLLOWERS {
            latencies.push(heard.recv().await.unwrap() - sent);
        }
    }
    latencies.sort_unstable();
    println!(
        "From a change that is asked for to each of {FOLLOWERS} followers: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99)
    );
}
