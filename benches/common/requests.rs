//! What is asked of a schema in this process, and what of a server.

use serde_json::{Value, json};
use sluice::graphql::{CostShown, Operation, Requester, Schema};

/// What a nested page shows of its batches.
pub const NESTED: &str = "nodes {
    id status since priority createdAt
    sourceConnection { id name provider }
    destinationConnection { id name provider }
    jobs {
        id position type object grain status wave attempt maxAttempts
        connection { id name }
        dependencies { kind satisfied job { id object status } }
    }
}";

const CLAIM: &str = "mutation ($limit: Int!, $wait: Int!) {
    claimJobs(input: { worker: \"bench\", limit: $limit, waitSeconds: $wait }) { claims { lease } userErrors { message } }
}";
const FINISH: &str = "mutation ($results: [JobResultInput!]!) {
    finishJobs(input: { results: $results }) { results { userErrors { code } } userErrors { message } }
}";

/// The data of an answer without errors.
pub async fn ask(schema: &Schema, query: &str, variables: Value) -> Value {
    let operation =
        Operation { document: query.into(), operation_name: None, variables, cost: CostShown::No };
    let answer: Value =
        serde_json::from_str(&schema.execute(operation, Requester::anybody()).await.json).unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].clone()
}

/// Claims at most so many jobs, and gives their leases. Waits so many seconds for some.
pub async fn claim(schema: &Schema, limit: usize, wait: u64) -> Vec<Value> {
    let mut data = ask(schema, CLAIM, json!({ "limit": limit, "wait": wait })).await;
    let claims = data["claimJobs"]["claims"].take();
    claims.as_array().unwrap().iter().map(|claim| claim["lease"].clone()).collect()
}

/// Completes the jobs of these leases.
pub async fn finish(schema: &Schema, leases: Vec<Value>) {
    let results: Vec<Value> = leases.into_iter().map(|lease| json!({ "lease": lease })).collect();
    let data = ask(schema, FINISH, json!({ "results": results })).await;
    let results = data["finishJobs"]["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["userErrors"] == json!([])), "{data}");
}

/// Completes all jobs that there are.
pub async fn drain(schema: &Schema) {
    loop {
        let leases = claim(schema, 100, 0).await;
        if leases.is_empty() {
            return;
        }
        finish(schema, leases).await;
    }
}
