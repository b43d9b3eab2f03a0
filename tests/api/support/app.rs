//! A server, and what its users do with it.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use reqwest::{Client, Method, StatusCode, header::HeaderMap, redirect::Policy};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};
use sluice::{
    app::{self, Application},
    clock::Clock,
    config::{Config, DatabaseConfig, DatabaseUrl, Limits},
    domain::draft::BatchLimits,
};
use tokio::sync::oneshot;

use super::{
    database::{Engine, TestDatabase},
    statements::Statements,
};

/// Noon on 2026-11-23, in microseconds since 1970: when every test begins.
const START: i64 = 1_795_435_200_000_000;

/// A server on a database of its own.
pub struct TestApp {
    pub engine: Engine,
    pub statements: Statements,
    address: SocketAddr,
    client: Client,
    clock: Arc<AtomicI64>,
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
    /// Runs `test` on a new server, and stops the server afterwards.
    pub async fn run(engine: Engine, test: impl AsyncFnOnce(&Self)) {
        let Some(database) = TestDatabase::create(engine).await else { return };
        let config = Config {
            database: DatabaseConfig { url: database.url(), connections: 8 },
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            limits: Limits {
                body: 4 * 1024 * 1024,
                batch: BatchLimits { jobs: 10_000, dependencies: 100_000 },
            },
        };
        let clock = Arc::new(AtomicI64::new(START));
        let statements = Statements::default();
        let mut store = app::open(&config).await.unwrap();
        let observer = statements.clone();
        store.observe(move |info| observer.record(info));
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = app::listen(&config).unwrap();
        let stopped = async move {
            let _ = stopped.await;
        };
        let application =
            Application::build(listener, store, Clock::Manual(clock.clone()), &config, stopped).unwrap();
        let address = application.address();
        let running = actix_web::rt::spawn(application.run_until_stopped());

        let client =
            Client::builder().timeout(Duration::from_secs(60)).redirect(Policy::none()).build().unwrap();
        let app = Self { engine, statements, address, client, clock, database };
        test(&app).await;

        let Self { database, client, .. } = app;
        drop(client);
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
        database.remove().await;
    }

    /// Lets time pass, in seconds.
    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sends a request as it is.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = self.client.request(method, format!("http://{}{path}", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
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

    /// Changes rows behind the server's back.
    pub async fn db_execute(&self, sql: &str) {
        let connection = self.db_connect().await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }
}
