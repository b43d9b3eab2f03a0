//! A client that speaks GraphQL over HTTP and goes on when a server dies.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::PATIENCE;

/// The longest that an answer may be due, beyond the wait that was asked for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Arc<Mutex<SocketAddr>>,
    /// How many requests were sent, by this client and its clones.
    pub sent: Arc<AtomicU64>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// The server went away.
    Gone,
    /// The server says that its database can't be reached.
    Unavailable,
}

impl Client {
    pub fn new(address: Arc<Mutex<SocketAddr>>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, address, sent: Arc::default() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/graphql", self.address.lock().unwrap())
    }

    pub async fn send(
        &self,
        query: &str,
        variables: &Value,
        accept: &str,
    ) -> Result<reqwest::Response, Failed> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        self.sent.fetch_add(1, Ordering::Relaxed);
        let request = self.http.post(self.url()).header("content-type", "application/json");
        request.header("accept", accept).body(body).send().await.map_err(|_| Failed::Gone)
    }

    /// Asks once. Anything but data, UNAVAILABLE or a server that is gone fails the test; so does an answer
    /// that does not come.
    pub async fn ask(&self, query: &str, variables: Value) -> Result<Value, Failed> {
        let wait = variables["input"]["waitSeconds"].as_u64().unwrap_or(0);
        let answer = async {
            let response = self.send(query, &variables, "application/json").await?;
            response.text().await.map_err(|_| Failed::Gone)
        };
        let due = ANSWERED_WITHIN + Duration::from_secs(wait);
        let text =
            tokio::time::timeout(due, answer).await.unwrap_or_else(|_| panic!("no answer: {query}"))?;
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        match answer.get("errors") {
            None => Ok(answer["data"].take()),
            Some(errors) => {
                for error in errors.as_array().unwrap() {
                    assert_eq!(error["extensions"]["code"], "UNAVAILABLE", "{query}: {answer}");
                }
                Err(Failed::Unavailable)
            }
        }
    }

    /// Asks until there is an answer.
    pub async fn insist(&self, query: &str, variables: Value) -> Value {
        let begun = Instant::now();
        loop {
            match self.ask(query, variables.clone()).await {
                Ok(data) => return data,
                Err(failed) => assert!(begun.elapsed() < PATIENCE, "{failed:?} for ever: {query}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Does a mutation that takes `input`; gives its payload.
    pub async fn mutate(&self, name: &str, kind: &str, input: Value, selection: &str) -> Value {
        let mutation = mutation(name, kind, selection);
        self.insist(&mutation, json!({ "input": input })).await[name].take()
    }

    /// Claims jobs; gives the claims, each with its lease, attempt and job.
    pub async fn claim(&self, input: Value) -> Result<Vec<Value>, Failed> {
        const CLAIM: &str =
            "claims { lease attempt job { id object type batch { id } } } userErrors { code }";
        let mut data =
            self.ask(&mutation("claimJobs", "ClaimJobsInput", CLAIM), json!({ "input": input })).await?;
        assert_eq!(data["claimJobs"]["userErrors"], json!([]));
        Ok(data["claimJobs"]["claims"].as_array_mut().map(std::mem::take).unwrap())
    }

    /// Claims jobs until there are some.
    pub async fn claim_some(&self, input: Value) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let claims = self.claim(input.clone()).await.unwrap_or_default();
            if !claims.is_empty() {
                return claims;
            }
            assert!(begun.elapsed() < PATIENCE, "nothing to be claimed: {input}");
        }
    }

    /// Reports something of a lease. `Err` has the codes of what was wrong.
    pub async fn report(&self, name: &str, input: Value) -> Result<(), Vec<String>> {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let payload = self.mutate(name, &kind, input, "userErrors { code }").await;
        let codes: Vec<String> = codes(&payload);
        if codes.is_empty() { Ok(()) } else { Err(codes) }
    }

    /// A connection; gives its id.
    pub async fn connection(&self, name: &str) -> String {
        let input = json!({ "name": name, "provider": "csv" });
        let made = self
            .mutate(
                "createConnection",
                "CreateConnectionInput",
                input,
                "connection { id } userErrors { code }",
            )
            .await;
        made["connection"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// A batch of these jobs from this connection to itself; gives its id. To repeat it is harmless.
    pub async fn batch(&self, connection: &str, key: &str, jobs: Value) -> String {
        let input = json!({
            "sourceConnectionId": connection, "destinationConnectionId": connection,
            "idempotencyKey": key, "jobs": jobs,
        });
        let made = self
            .mutate("createBatch", "CreateBatchInput", input, "batch { id } userErrors { code message }")
            .await;
        made["batch"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// All events of the filter after this cursor, as edges, in order.
    pub async fn events(&self, filter: Value, after: Option<&str>) -> Vec<Value> {
        const QUERY: &str = "query ($filter: EventFilter, $after: String) {
            events(filter: $filter, first: 100, after: $after) {
                edges { cursor node { kind batchId jobId attempt at } } pageInfo { hasNextPage endCursor } } }";
        let (mut edges, mut after) = (Vec::new(), after.map(str::to_owned));
        loop {
            let mut data = self.insist(QUERY, json!({ "filter": filter, "after": after })).await;
            edges.append(data["events"]["edges"].as_array_mut().unwrap());
            if data["events"]["pageInfo"]["hasNextPage"] == false {
                return edges;
            }
            after = data["events"]["pageInfo"]["endCursor"].as_str().map(str::to_owned);
        }
    }
}

pub fn mutation(name: &str, kind: &str, selection: &str) -> String {
    format!("mutation ($input: {kind}!) {{ {name}(input: $input) {{ {selection} }} }}")
}

/// The codes of a payload's user errors.
pub fn codes(payload: &Value) -> Vec<String> {
    let errors = payload["userErrors"].as_array().unwrap();
    errors.iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}
