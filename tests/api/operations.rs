//! Operations that nobody thought of: random ones.

use serde_json::{Value, json};

use crate::{
    access::to_anybody,
    bad_input::{INTROSPECTION, ids},
    support::{Method, Operations, StatusCode, TestApp, generous, on_both, text},
};

/// Tokens may be made, and documents ask for much.
fn open_and_generous(config: &mut sluice::config::Config) {
    to_anybody(config);
    generous(config);
}

/// What the schema is, and ids that occur in it.
async fn known(app: &TestApp) -> (Value, Vec<String>) {
    let ids = ids(app).await;
    let schema = app.data(INTROSPECTION, json!({})).await["__schema"].take();
    (schema, vec![ids.tenant, ids.connection, ids.batch, ids.job])
}

/// Runs an operation, which must be answered with data or with errors that are the client's, and gives the
/// response.
async fn answered(app: &TestApp, operation: &str) -> Value {
    let answer = app.send_json(Method::POST, "/graphql", &[], &json!({ "query": operation })).await;
    assert_eq!(answer.status, StatusCode::OK, "{operation}\n{}", answer.text());
    let response = answer.json();
    assert!(response["data"].is_object() || response["errors"].is_array(), "{operation}\n{response}");
    for error in response["errors"].as_array().into_iter().flatten() {
        let code = error["extensions"]["code"].as_str();
        let ours = code.is_none_or(|code| ["INTERNAL", "UNAVAILABLE"].contains(&code));
        assert!(!ours, "{operation}\n{error}");
        for place in error["locations"].as_array().into_iter().flatten() {
            assert!(
                place["line"].as_u64() >= Some(1) && place["column"].as_u64() >= Some(1),
                "{operation}\n{error}"
            );
        }
    }
    response
}

on_both! {
    async fn whatever_the_schema_allows_is_answered(app: TestApp) with open_and_generous {
        let (schema, ids) = known(app).await;
        let mut operations = Operations::new(&schema, ids);
        for _ in 0..150 {
            let operation = operations.valid();
            let response = answered(app, &operation).await;
            for error in response["errors"].as_array().into_iter().flatten() {
                assert_ne!(error["extensions"]["code"], "GRAPHQL_PARSE_FAILED", "{operation}\n{error}");
            }
        }
    }

    async fn whatever_the_schema_does_not_allow_is_refused_as_a_whole(app: TestApp) with to_anybody {
        let (schema, ids) = known(app).await;
        let mut operations = Operations::new(&schema, ids);
        let mut refused = 0;
        for _ in 0..600 {
            let operation = operations.broken();
            let response = answered(app, &operation).await;
            if response.get("data").is_none() {
                refused += 1;
                for error in response["errors"].as_array().unwrap() {
                    assert!(text(&error["message"]).chars().count() <= 200, "{operation}\n{error}");
                }
            }
        }
        assert!(refused > 300, "the operations were not broken: {refused} were refused");
        assert_eq!(app.get("/health").await.status, StatusCode::OK);
    }
}
