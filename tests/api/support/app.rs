//! A server, and what its users do with it.

use std::{net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use reqwest::{Client, Method, Response, StatusCode, header::HeaderMap};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use sluice::{
    app::{self, Application},
    clock::{Clock, ManualClock},
    config::{Access, Config, CrowdLimits, DatabaseConfig, DatabaseUrl, Demo, KeySource, Limits, LiveLimits},
    domain::{documents::DocumentLimits, draft::BatchLimits, retention::Retention},
    store::{self, Store},
};
use tokio::sync::oneshot;

use super::{
    Test,
    database::{Engine, TestDatabase},
    statements::Statements,
};

/// Noon on 2026-11-23, in microseconds since 1970: when every test begins.
const START: i64 = 1_795_435_200_000_000;

/// The key of every server.
const KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A server on a database of its own.
pub struct TestApp {
    pub statements: Statements,
    pub address: SocketAddr,
    client: Client,
    clock: ManualClock,
    database: TestDatabase,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl TestApp {
    /// Runs `test` on a new server that is set up by `configure`, and stops the server afterwards.
    pub async fn run(engine: Engine, configure: fn(&mut Config), test: Test) {
        let Some(database) = TestDatabase::create(engine).await else { return };
        let mut config = Config {
            database: DatabaseConfig { url: database.url(), connections: 8 },
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            limits: Limits {
                body: 4 * 1024 * 1024,
                operations: 10,
                sending: Limits::SENDING,
                running: Limits::RUNNING,
                batch: BatchLimits { jobs: 10_000, dependencies: 100_000 },
                documents: DocumentLimits::DEFAULT,
                crowd: CrowdLimits::DEFAULT,
                live: LiveLimits::DEFAULT,
            },
            graph_cache: Config::GRAPH_CACHE,
            retention: Retention::default(),
            demo: Demo::Off,
            access: Access::ByToken,
            keys: KeySource::Text(KEYS.to_owned().into()),
            issuer: None,
            operations: None,
            origins: Vec::new(),
        };
        configure(&mut config);
        let clock = ManualClock::new(START);
        let statements = Statements::default();
        let mut store = app::open(&config).await.unwrap();
        let observer = statements.clone();
        store.observe(move |info| observer.record(info));
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = app::listen(&config).unwrap();
        let stopped = async move {
            let _ = stopped.await;
        };
        let application = Application::build(listener, store, Clock::Manual(clock.clone()), &config, stopped)
            .await
            .unwrap();
        let address = application.address();
        let running = actix_web::rt::spawn(application.run_until_stopped());

        let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let app = Self { statements, address, client, clock, database };
        test(&app).await;

        let Self { database, client, .. } = app;
        drop(client);
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
        database.remove().await;
    }

    /// Lets time pass, in seconds.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// Sends a request as it is.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let response = self.begin(method, path, headers, body).await;
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// Sends a request as it is and reads no more than the head of the response.
    pub async fn begin(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Response {
        let mut request = self.client.request(method, format!("http://{}{path}", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Sends JSON.
    pub async fn send_json(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send(method, path, &headers, body.to_string().into_bytes()).await
    }

    /// Gets something.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// Runs a GraphQL operation and gives the whole response.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        self.send_json(Method::POST, "/graphql", &[], &body).await.json()
    }

    /// Runs a GraphQL operation that must succeed and gives its data.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let mut response = self.graphql(query, variables).await;
        assert_eq!(response.get("errors"), None, "{query}");
        response["data"].take()
    }

    /// Runs the mutation `name` with this input and gives its payload: the `selection`, and `userErrors`.
    pub async fn mutate(&self, name: &str, selection: &str, input: Value) -> Value {
        let (first, rest) = name.split_at(1);
        let input_type = format!("{}{rest}Input", first.to_uppercase());
        let document = format!(
            "mutation ($input: {input_type}!) {{ {name}(input: $input) {{
                {selection} userErrors {{ code message field }} }} }}"
        );
        self.data(&document, json!({ "input": input })).await[name].take()
    }

    /// Runs a mutation that must succeed and gives its payload.
    pub async fn done(&self, name: &str, selection: &str, input: Value) -> Value {
        let payload = self.mutate(name, selection, input).await;
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        payload
    }

    /// Runs a mutation that must be refused and gives what was wrong, each as `CODE path.of.it`.
    pub async fn refused(&self, name: &str, input: Value) -> Vec<String> {
        let payload = self.mutate(name, "", input).await;
        let problems = problems(&payload["userErrors"]);
        assert_ne!(problems, [""; 0], "{name} was not refused");
        problems
    }

    /// Makes a tenant and gives its id.
    pub async fn create_tenant(&self, name: &str) -> String {
        let payload = self.done("createTenant", "tenant { id }", json!({ "name": name })).await;
        text(&payload["tenant"]["id"])
    }

    /// Makes a connection in a tenant and gives its id.
    pub async fn create_connection_of(&self, tenant: &str, name: &str) -> String {
        let input = json!({ "tenantId": tenant, "name": name, "provider": "csv" });
        text(&self.done("createConnection", "connection { id }", input).await["connection"]["id"])
    }

    /// Makes a connection in the default tenant and gives its id.
    pub async fn create_connection(&self, name: &str) -> String {
        let mutation =
            "mutation ($name: String!) { createConnection(input: { name: $name, provider: \"csv\" }) {
            connection { id } userErrors { message } } }";
        let data = self.data(mutation, json!({ "name": name })).await;
        data["createConnection"]["connection"]["id"].as_str().unwrap_or_else(|| panic!("{data}")).to_owned()
    }

    /// Makes a source and a destination, and gives their ids.
    pub async fn create_ends(&self) -> (String, String) {
        (self.create_connection("source").await, self.create_connection("destination").await)
    }

    /// Asks for a batch, by `input` of `createBatch`; gives the payload.
    pub async fn create_batch(&self, input: Value) -> Value {
        let mutation = "mutation ($input: CreateBatchInput!) { createBatch(input: $input) {
            batch { id version status jobs { id object } } userErrors { code message field } } }";
        self.data(mutation, json!({ "input": input })).await["createBatch"].take()
    }

    /// A connection of the test's own to the server's database.
    pub async fn db_connect(&self) -> DatabaseConnection {
        match self.database.url() {
            DatabaseUrl::Sqlite(url) | DatabaseUrl::Postgres(url) => Database::connect(url).await.unwrap(),
        }
    }

    /// All that is written of a table, as text.
    pub async fn db_dump(&self, table: &str) -> String {
        match self.database.url() {
            DatabaseUrl::Sqlite(url) => {
                let path = url.trim_start_matches("sqlite:").to_owned();
                let files = [path.clone(), format!("{path}-wal")];
                let read =
                    |file| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
                files.into_iter().map(read).collect()
            }
            DatabaseUrl::Postgres(_) => {
                let connection = self.db_connect().await;
                let sql = format!("SELECT string_agg(row::text, ' ') AS rows FROM {table} AS row");
                let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
                let rows: Option<String> = row.unwrap().unwrap().try_get("", "rows").unwrap();
                rows.unwrap_or_default()
            }
        }
    }

    /// The database as another process sees it, and the statements that it sends there.
    pub async fn db_of_another(&self) -> (Store, Statements, Clock) {
        let config = DatabaseConfig { url: self.database.url(), connections: 2 };
        let mut store = Store::open(&config).await.unwrap();
        let statements = Statements::default();
        let observer = statements.clone();
        store.observe(move |info| observer.record(info));
        (store, statements, Clock::Manual(self.clock.clone()))
    }

    /// Brings the database up to date, as a server does that starts.
    pub async fn migrate(&self) {
        store::migrate(&self.database.url()).await.unwrap();
    }

    /// Changes rows behind the server's back.
    pub async fn db_execute(&self, sql: &str) {
        let connection = self.db_connect().await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Lets documents ask for more than they may: for tests of what comes after the limits.
pub fn generous(config: &mut Config) {
    let limits = &mut config.limits.documents;
    (limits.fields, limits.aliases, limits.cost) = (usize::MAX, usize::MAX, u64::MAX);
}

/// Problems, each as `CODE path.of.it`.
pub fn problems(user_errors: &Value) -> Vec<String> {
    let problem = |problem: &Value| {
        let path: Vec<String> = problem["field"].as_array().unwrap().iter().map(text).collect();
        format!("{} {}", text(&problem["code"]), path.join(".")).trim_end().to_owned()
    };
    user_errors.as_array().unwrap().iter().map(problem).collect()
}

/// The text that a JSON value must be.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// The same without the part of every id that differs from run to run.
pub fn without_ids(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            ["tenant_", "connection_", "batch_", "job_", "token_", "schedule_", "firing_", "backfill_"]
                .iter()
                .fold(text.clone(), |text, prefix| without_ids_of(prefix, &text))
                .into()
        }
        Value::Array(items) => items.iter().map(without_ids).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), without_ids(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn without_ids_of(prefix: &str, text: &str) -> String {
    let mut parts = text.split(prefix);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let length = part.bytes().take(26).take_while(u8::is_ascii_alphanumeric).count();
        let rest = if length == 26 { &part[26..] } else { part };
        shown += &format!("{prefix}…{rest}");
    }
    shown
}
