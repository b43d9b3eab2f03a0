//! What schedules cost: how many fire a second when all are due at once; what a look at the timetables costs beside
//! 100,000 of them; how late they fire when 10,000 are due within one minute.
//!
//! ```sh
//! cargo bench --bench schedules
//! ```
//!
//! | environment | what it says | default |
//! |---|---|---|
//! | `BENCH_DATABASES` | `sqlite`, `postgres`, or both with a comma | both |
//! | `BENCH_POSTGRES` | the server on which a database is made for this run | `postgres@127.0.0.1` |
//! | `BENCH_SCHEDULES` | how many are due at once, and how many within the minute | 10000 |
//!
//! Each makes a batch of two jobs. The minute passes by the clock on the wall.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use common::{
    database::{self, Scratch},
    drafts, percentile, setting,
};
use futures_util::{StreamExt, stream};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use sluice::{
    app::{self, Application},
    clock::{Clock, ManualClock},
    domain::{
        access::Caller,
        id::ConnectionId,
        schedule::{CatchUp, OverlapPolicy, ScheduleDraft},
        timetable::{ClockGap, ClockOverlap, TimetableDraft},
    },
    services::Services,
};
use tokio::sync::oneshot;

/// How many schedules that are not due stand beside those that are.
const OTHERS: usize = 100_000;
/// 2040-01-01, in microseconds since 1970: far from any minute that passes while this runs.
const NEW_YEAR: i64 = 2_208_988_800_000_000;
/// How many are made at the same time.
const MAKERS: usize = 8;
/// How often it is looked whether any is due.
const LOOKS: usize = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        database::on_each(measure).await;
    });
}

async fn measure(database: &Scratch) {
    println!("\n# {}\n", database.title());
    let count = setting("BENCH_SCHEDULES", 10_000.0) as usize;
    let connections = at_once(database, count).await;
    within_a_minute(database, count, &connections).await;
}

/// All are due at the same instant, by a clock that is moved there; then none are, beside many others.
async fn at_once(database: &Scratch, count: usize) -> Vec<ConnectionId> {
    let statements = Arc::new(AtomicU64::new(0));
    let mut store = database::open(&database.url).await;
    let counter = statements.clone();
    store.observe(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    // Just before the new year begins, when all that are `@yearly` are due.
    let clock = ManualClock::new(NEW_YEAR - 1_000_000);
    let services = database::services_by(Clock::Manual(clock.clone()), store);
    let connections = drafts::connections(&services).await;
    make(&services, &connections, count, |_| "@yearly".to_owned()).await;
    database.analyze().await;

    clock.advance(TimeDelta::seconds(1));
    let before = statements.load(Relaxed);
    let begun = Instant::now();
    services.fire_schedules().await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let each = (statements.load(Relaxed) - before) as f64 / count as f64;
    println!(
        "{count} due at once: {:.0} firings a second, {each:.1} statements each, the last {seconds:.1} s late",
        count as f64 / seconds
    );

    let few = look(&services).await;
    multiply(&database.url, OTHERS.div_ceil(count)).await;
    database.analyze().await;
    let many = look(&services).await;
    println!(
        "A look when none is due: {:.0} µs beside {count} schedules, {:.2} × that beside {OTHERS}",
        few.as_secs_f64() * 1e6,
        many.as_secs_f64() / few.as_secs_f64()
    );
    connections
}

/// Makes this many schedules, by the expression for each number.
async fn make(
    services: &Services,
    connections: &[ConnectionId],
    count: usize,
    cron: impl Fn(usize) -> String + Copy,
) {
    let made = stream::iter(0..count).map(|number| async move {
        let draft = ScheduleDraft {
            name: format!("{} {number}", cron(0)),
            template: drafts::draft(number, 2, 1, connections),
            timetable: Some(TimetableDraft {
                cron: cron(number),
                time_zone: None,
                gap: ClockGap::default(),
                overlap: ClockOverlap::default(),
            }),
            incremental: None,
            overlap_policy: OverlapPolicy::Allow,
            catch_up: CatchUp::default(),
            catch_up_seconds: 0,
        };
        services.create_schedule(&Caller::ANYBODY, draft).await.unwrap();
    });
    made.buffer_unordered(MAKERS).collect::<Vec<()>>().await;
}

/// How long a look takes when none is due.
async fn look(services: &Services) -> Duration {
    let begun = Instant::now();
    for _ in 0..LOOKS {
        services.fire_schedules().await.unwrap();
    }
    begun.elapsed() / LOOKS as u32
}

/// Puts this many copies beside each schedule.
async fn multiply(url: &str, copies: usize) {
    let db = Database::connect(url).await.unwrap();
    let (numbers, id) = if database::sqlite_path(url).is_some() {
        let numbers = format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies})"
        );
        (numbers, "randomblob(16)")
    } else {
        (format!("WITH numbers(n) AS (SELECT generate_series(1, {copies}))"), "gen_random_uuid()")
    };
    let columns: Vec<String> = columns(&db, url).await;
    let copied: Vec<String> = columns
        .iter()
        .map(|column| match &**column {
            "id" => id.to_owned(),
            "name" => "name || ' ' || n".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    let insert = format!(
        "{numbers} INSERT INTO schedules ({}) SELECT {} FROM schedules, numbers",
        columns.join(", "),
        copied.join(", ")
    );
    db.execute_unprepared(&insert).await.unwrap();
    db.close().await.unwrap();
}

async fn columns(db: &DatabaseConnection, url: &str) -> Vec<String> {
    let sql = if database::sqlite_path(url).is_some() {
        "SELECT name FROM pragma_table_info('schedules')"
    } else {
        "SELECT column_name::text AS name FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name = 'schedules'"
    };
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

/// Each is due at one second of the next minute but one; a whole server makes them fire.
async fn within_a_minute(database: &Scratch, count: usize, connections: &[ConnectionId]) {
    let services = database::services(database::open(&database.url).await);
    // They are made before it comes.
    let minute = (Clock::System.now() + TimeDelta::minutes(2)).minute();
    let cron = |number: usize| format!("{} {minute} * * * *", number % 60);
    make(&services, connections, count, cron).await;
    database.analyze().await;

    let config = database::config(&database.url);
    let store = app::open(&config).await.unwrap();
    let listener = app::listen(&config).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        let _ = stopped.await;
    };
    let application = Application::build(listener, store, Clock::System, &config, stopped).await.unwrap();
    let serving = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(application.run_until_stopped()).unwrap();
    });
    let db = Database::connect(&*database.url).await.unwrap();
    let lateness = loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let lateness = lateness(&db, minute).await;
        if lateness.len() >= count {
            break lateness;
        }
    };
    db.close().await.unwrap();
    println!(
        "{count} due within one minute: p50 {:.1} ms late, p99 {:.1} ms",
        percentile(&lateness, 0.5),
        percentile(&lateness, 0.99)
    );
    stop.send(()).unwrap();
    serving.join().unwrap();
}

/// How late each was that was due in this minute of the hour, the soonest first.
async fn lateness(db: &DatabaseConnection, minute: u32) -> Vec<Duration> {
    let sql = "SELECT due_at, at FROM firings WHERE cause = 'timetable'";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    let times = rows.iter().map(|row| {
        let time = |name: &str| row.try_get::<DateTime<Utc>>("", name).unwrap();
        (time("due_at"), time("at"))
    });
    let recent = Clock::System.now() - TimeDelta::minutes(30);
    let mut lateness: Vec<Duration> = times
        .filter(|(due_at, _)| due_at.minute() == minute && (recent..Clock::System.now()).contains(due_at))
        .map(|(due_at, at)| (at - due_at).to_std().unwrap_or_default())
        .collect();
    lateness.sort_unstable();
    lateness
}
