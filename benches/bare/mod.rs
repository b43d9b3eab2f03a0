//! The yardstick: what the same answers cost without an ORM and without GraphQL. A bare actix-web
//! server, one worker, that sends flat statements with a plain client and writes the JSON by hand.

mod json;
mod postgres;
mod sqlite;

use std::rc::Rc;

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Data},
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::common::database::sqlite_path;

/// A row of `batches`.
pub struct Batch {
    pub id: Uuid,
    pub since: Option<DateTime<Utc>>,
    pub status: &'static str,
    pub priority: i32,
    pub created_at: DateTime<Utc>,
    pub source: Uuid,
    pub destination: Uuid,
}

/// A row of `jobs`.
pub struct Job {
    pub id: Uuid,
    pub batch: Uuid,
    pub job_type: &'static str,
    pub object: String,
    pub grain: Option<String>,
    pub status: &'static str,
    pub wave: i32,
    pub attempt: i32,
    pub max_attempts: i32,
    pub connection: Uuid,
}

/// A row of `dependencies`.
pub struct Dependency {
    pub batch: Uuid,
    pub dependent: i32,
    pub required: i32,
    pub kind: &'static str,
}

/// A row of `connections`.
pub struct Connection {
    pub id: Uuid,
    pub name: String,
    pub provider: String,
}

/// What a page shows: the batches newest first, the jobs and the dependencies batch by batch in the
/// order of the batch.
pub struct Rows {
    pub batches: Vec<Batch>,
    pub jobs: Vec<Job>,
    pub dependencies: Vec<Dependency>,
    pub connections: Vec<Connection>,
}

const PAGE: &str = "SELECT id, since, status, priority, created_at, \
                    source_connection_id, destination_connection_id \
                    FROM batches ORDER BY id DESC LIMIT ";
const OLDEST: &str = "SELECT id, since, status, priority, created_at, \
                    source_connection_id, destination_connection_id \
                    FROM batches ORDER BY id LIMIT 2";
const BATCH: &str = "SELECT id, since, status, priority, created_at, \
                    source_connection_id, destination_connection_id \
                     FROM batches WHERE id = $1";
const JOBS: &str = "SELECT id, batch_id, type, object, grain, status, wave, attempt, max_attempts, \
                    connection_id FROM jobs";
const DEPENDENCIES: &str = "SELECT batch_id, dependent, required, kind FROM dependencies";
const CONNECTIONS: &str = "SELECT id, name, provider FROM connections";

/// Which batches a nested page has.
#[derive(Clone, Copy)]
pub enum Page {
    /// The newest 50.
    Newest,
    /// The oldest.
    Oldest,
}

impl Page {
    /// How many it shows. Everyone asks for one more, to know whether there are more.
    fn length(self) -> usize {
        match self {
            Self::Newest => 50,
            Self::Oldest => 1,
        }
    }
}

/// Either database.
enum Database {
    Postgres(postgres::Pool),
    Sqlite(sqlite::Reader),
}

impl Database {
    async fn open(url: &str) -> Self {
        match sqlite_path(url) {
            Some(path) => Self::Sqlite(sqlite::Reader::open(path)),
            None => Self::Postgres(postgres::Pool::open(url).await),
        }
    }
}

/// Starts the server and gives the port that it has.
pub fn start(url: String) -> (actix_web::dev::Server, u16) {
    let server = HttpServer::new(move || {
        let url = url.clone();
        App::new()
            .data_factory(move || {
                let url = url.clone();
                async move { Ok::<_, std::convert::Infallible>(Rc::new(Database::open(&url).await)) }
            })
            .route("/nested", web::post().to(nested))
            .route("/oldest", web::post().to(oldest))
            .route("/list", web::post().to(list))
            .route("/batch/{id}", web::post().to(batch))
    });
    let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
    let port = server.addrs()[0].port();
    (server.run(), port)
}

// Each reads the whole body of its request, as who wants to answer it must.

async fn nested(_body: web::Bytes, database: Data<Rc<Database>>) -> HttpResponse {
    nested_page(&database, Page::Newest).await
}

async fn oldest(_body: web::Bytes, database: Data<Rc<Database>>) -> HttpResponse {
    nested_page(&database, Page::Oldest).await
}

async fn nested_page(database: &Database, page: Page) -> HttpResponse {
    let rows = match database {
        Database::Postgres(pool) => pool.nested(page).await,
        Database::Sqlite(reader) => reader.nested(page),
    };
    answer(json::nested(&rows))
}

async fn list(_body: web::Bytes, database: Data<Rc<Database>>) -> HttpResponse {
    let batches = match &***database {
        Database::Postgres(pool) => pool.list().await,
        Database::Sqlite(reader) => reader.list(),
    };
    answer(json::list(&batches))
}

async fn batch(id: web::Path<Uuid>, _body: web::Bytes, database: Data<Rc<Database>>) -> HttpResponse {
    let (batch, jobs) = match &***database {
        Database::Postgres(pool) => pool.batch(*id).await,
        Database::Sqlite(reader) => reader.batch(*id),
    };
    answer(json::batch(&batch, &jobs))
}

fn answer(json: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(json)
}

/// The name of an enum's value in the API, for its name in the database.
fn name(stored: &str) -> &'static str {
    match stored {
        "pending" => "PENDING",
        "blocked" => "BLOCKED",
        "ready" => "READY",
        "running" => "RUNNING",
        "succeeded" => "SUCCEEDED",
        "failed" => "FAILED",
        "canceled" => "CANCELED",
        "extract" => "EXTRACT",
        "load" => "LOAD",
        "load_result" => "LOAD_RESULT",
        other => panic!("the benches make no {other}"),
    }
}
