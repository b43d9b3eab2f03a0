//! GraphQL over HTTP: what a server must stand, what it must refuse, and how it says so.

use std::{collections::BTreeSet, io::Read};

use serde_json::{Value, json};

use crate::support::{Answer, Method, StatusCode, TestApp, on_both, text};

const JSON: (&str, &str) = ("content-type", "application/json");
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

async fn post(app: &TestApp, headers: &[(&str, &str)], body: &str) -> Answer {
    app.send(Method::POST, "/graphql", headers, body.as_bytes().to_vec()).await
}

/// The code of the only error of a response.
fn code(response: &Value) -> String {
    match response["errors"].as_array().map(Vec::as_slice) {
        Some([error]) => text(&error["extensions"]["code"]),
        _ => panic!("not one error: {response}"),
    }
}

/// A text as it stands in a URL.
fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// One id of each kind.
pub struct Ids {
    pub tenant: String,
    pub connection: String,
    pub batch: String,
    pub job: String,
}

pub async fn ids(app: &TestApp) -> Ids {
    let tenant = app.create_tenant("acme").await;
    let (connection, destination) = app.create_ends().await;
    let made = app
        .create_batch(json!({
            "sourceConnectionId": connection,
            "destinationConnectionId": destination,
            "jobs": [
                { "type": "EXTRACT", "object": "a" },
                { "type": "LOAD", "object": "a", "requiredObjects": { "extract": ["a"] } },
            ],
        }))
        .await;
    let batch = text(&made["batch"]["id"]);
    Ids { tenant, connection, batch, job: text(&made["batch"]["jobs"][0]["id"]) }
}

/// What a client asks a server about its schema.
pub const INTROSPECTION: &str = "query IntrospectionQuery { __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types { kind name description specifiedByURL
        fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...V } type { ...T } }
        inputFields(includeDeprecated: true) { ...V } interfaces { name }
        enumValues(includeDeprecated: true) { name description } possibleTypes { name } }
    directives { name description locations args { ...V } } } }
fragment V on __InputValue { name description defaultValue type { ...T } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name } } } } } }";

on_both! {
    async fn what_is_no_request_is_refused(app: TestApp) {
        for body in [
            "",
            "{",
            "nonsense",
            "[]",
            "null",
            "1",
            "\"{ __typename }\"",
            "{}",
            "{\"query\":null}",
            "{\"query\":1}",
            "{\"query\":{}}",
            "{\"query\":\"{ __typename }\",\"variables\":[]}",
            "{\"query\":\"{ __typename }\",\"variables\":\"{}\"}",
            "{\"query\":\"{ __typename }\",\"variables\":1}",
            "{\"query\":\"{ __typename }\",\"extensions\":[]}",
            "{\"query\":\"{ __typename }\",\"operationName\":1}",
            "{\"query\":\"{ __typename }\"} x",
            "{\"query\":\"{ __typename }\",\"variables\":{\"a\":1e999}}",
        ] {
            let answer = post(app, &[JSON], body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
            assert_eq!(code(&answer.json()), "BAD_REQUEST", "{body}");
            assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        }
        let deep = format!("{{\"query\":\"{{ __typename }}\",\"variables\":{{\"a\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(post(app, &[JSON], &deep).await.status, StatusCode::BAD_REQUEST);
        let invalid_utf8 = b"{\"query\":\"{ __typename }\xff\"}".to_vec();
        let answer = app.send(Method::POST, "/graphql", &[JSON], invalid_utf8).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }

    async fn what_is_left_empty_is_as_if_it_were_left_out(app: TestApp) {
        for body in [
            r#"{"query":"{ __typename }"}"#,
            r#"{"query":"{ __typename }","variables":null,"operationName":null,"extensions":null}"#,
            r#"{"query":"{ __typename }","variables":{},"operationName":"","extensions":{},"more":[1]}"#,
        ] {
            let answer = post(app, &[JSON], body).await;
            assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, r#"{"data":{"__typename":"Query"}}"#));
        }
    }

    async fn only_json_in_utf_8_is_read(app: TestApp) {
        let body = r#"{"query":"{ __typename }"}"#;
        for refused in [
            "text/plain",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/jsonp",
            "",
        ] {
            let answer = post(app, &[("content-type", refused)], body).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{refused}");
            assert_eq!(code(&answer.json()), "UNSUPPORTED_MEDIA_TYPE");
        }
        assert_eq!(post(app, &[], body).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        for read in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert_eq!(post(app, &[("content-type", read)], body).await.status, StatusCode::OK, "{read}");
        }
    }

    async fn a_compressed_body_is_refused(app: TestApp) {
        for path in ["/graphql", "/batch"] {
            let headers = [JSON, ("content-encoding", "gzip")];
            let answer = app.send(Method::POST, path, &headers, b"\x1f\x8b".to_vec()).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
            assert!(answer.text().contains("without `Content-Encoding`"), "{}", answer.text());
        }
        let answer = post(app, &[JSON, ("content-encoding", "identity")], r#"{"query":"{ __typename }"}"#).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    async fn a_body_that_nests_too_deep_is_refused_with_the_limit(app: TestApp) {
        for path in ["/graphql", "/batch"] {
            let body = "[".repeat(128) + &"]".repeat(128);
            let answer = app.send(Method::POST, path, &[JSON], body.into_bytes()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            let told = answer.text();
            assert!(told.contains("BODY_TOO_DEEP") && told.contains("127 levels"), "{told}");
        }
    }

    async fn other_methods_are_refused_with_those_that_work(app: TestApp) {
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = app.send(method.clone(), "/graphql", &[JSON], b"{}".to_vec()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
            assert_eq!(code(&answer.json()), "METHOD_NOT_ALLOWED");
        }
    }

    async fn a_body_over_the_limit_is_refused(app: TestApp) {
        let body = format!(r#"{{"query":"{{ __typename }} #{}"}}"#, "x".repeat(4 * 1024 * 1024));
        let answer = post(app, &[JSON], &body).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(code(&answer.json()), "BODY_TOO_LARGE");
        assert!(answer.text().contains("4194304"), "the limit is named: {}", answer.text());
        assert_eq!(app.get("/health").await.status, StatusCode::OK);
    }

    async fn a_document_that_cannot_run_is_refused_before_it_runs(app: TestApp) {
        let ids = ids(app).await;
        for (query, variables) in [
            ("", json!({})),
            ("{", json!({})),
            ("{ nothing }", json!({})),
            ("{ batches { nodes { nothing } } }", json!({})),
            ("{ batches { nodes } }", json!({})),
            ("{ batches(nothing: 1) { totalCount } }", json!({})),
            ("{ batches(filter: { nothing: 1 }) { totalCount } }", json!({})),
            ("query ($f: BatchFilter) { batches(filter: $f) { totalCount } }", json!({ "f": { "nothing": 1 } })),
            ("query ($f: BatchFilter) { batches(filter: $f) { totalCount } }", json!({ "f": { "statuses": ["NOTHING"] } })),
            ("query A { __typename } query B { __typename }", json!({})),
            ("{ ...F } fragment F on Query { ...F }", json!({})),
            ("{ ...Nothing }", json!({})),
            ("mutation { createTenant(input: { name: \"x\", nothing: 1 }) { tenant { id } } }", json!({})),
            ("mutation ($i: CreateTenantInput!) { createTenant(input: $i) { tenant { id } } }", json!({ "i": { "name": "x", "nothing": 1 } })),
            ("mutation ($i: CreateTenantInput!) { createTenant(input: $i) { tenant { id } } }", json!({ "i": { "name": 1 } })),
            ("mutation { deleteBatch(input: { id: 1, version: 1e3 }) { userErrors { code } } }", json!({ "id": ids.batch })),
        ] {
            let body = json!({ "query": query, "variables": variables });
            let answer = app.send_json(Method::POST, "/graphql", &[], &body).await;
            assert_eq!(answer.status, StatusCode::OK, "{query}");
            assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
            let response = answer.json();
            assert_eq!(response.get("data"), None, "{query} {variables}: {response}");
            let code = text(&response["errors"][0]["extensions"]["code"]);
            assert!(["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"].contains(&code.as_str()), "{query}: {response}");

            let headers = [("accept", GRAPHQL_RESPONSE)];
            let answer = app.send_json(Method::POST, "/graphql", &headers, &body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
            let media = format!("{GRAPHQL_RESPONSE}; charset=utf-8");
            assert_eq!((answer.header("content-type"), answer.json()), (Some(media.as_str()), response));
        }
        let data = app.data("{ tenants { totalCount } }", json!({})).await;
        assert_eq!(data["tenants"]["totalCount"], 2, "nothing ran");
    }

    async fn a_value_that_does_not_fit_is_refused(app: TestApp) {
        let query = "query ($n: Int) { batches(first: $n) { totalCount } }";
        for (query, variables) in [
            ("{ batches(first: 2147483648) { totalCount } }", json!({})),
            ("{ batches(first: -2147483649) { totalCount } }", json!({})),
            ("{ batches(first: 99999999999999999999999999) { totalCount } }", json!({})),
            (query, json!({ "n": 2_147_483_648_u64 })),
            (query, json!({ "n": 1.5 })),
            (query, json!({ "n": "1" })),
            ("query ($id: ID!) { batch(id: $id) { id } }", json!({})),
            ("query ($id: ID!) { batch(id: $id) { id } }", json!({ "id": null })),
            ("query ($id: ID!) { batch(id: $id) { id } }", json!({ "id": {} })),
        ] {
            let refused = app.graphql(query, variables.clone()).await;
            assert_eq!(refused["data"], Value::Null, "{query} {variables}");
            assert_ne!(refused["errors"][0]["message"], Value::Null, "{refused}");
        }
    }

    async fn a_document_nested_too_deep_is_refused(app: TestApp) {
        for query in [
            format!("{{ batches {}{} }}", "{ nodes { jobs { batch ".repeat(10_000), "} } }".repeat(10_000)),
            format!("query ($a: {}Int{}) {{ __typename }}", "[".repeat(50_000), "]".repeat(50_000)),
            format!("{{ batches(filter: {}{}) {{ totalCount }} }}", "[".repeat(50_000), "]".repeat(50_000)),
            format!("{{ batches(filter: {}1{}) {{ totalCount }} }}", "{a:".repeat(50_000), "}".repeat(50_000)),
        ] {
            let response = app.graphql(&query, json!({})).await;
            assert_eq!(response.get("data"), None);
            assert_ne!(response["errors"], json!([]));
        }
        assert_eq!(app.get("/health").await.status, StatusCode::OK);
    }

    async fn the_answer_has_the_media_type_that_is_asked_for(app: TestApp) {
        let body = json!({ "query": "{ __typename }" });
        let json_type = "application/json; charset=utf-8";
        let graphql_type = &format!("{GRAPHQL_RESPONSE}; charset=utf-8");
        for (accept, expected) in [
            ("application/json", json_type),
            ("*/*", json_type),
            ("application/*", json_type),
            (GRAPHQL_RESPONSE, graphql_type),
            ("application/graphql-response+json, application/json;q=0.9", graphql_type),
            ("application/json;q=0.5, application/graphql-response+json", graphql_type),
            ("text/html, application/json;q=0.5", json_type),
            ("application/json; charset=utf-8", json_type),
        ] {
            let answer = app.send_json(Method::POST, "/graphql", &[("accept", accept)], &body).await;
            assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some(expected)), "{accept}");
        }
        for accept in ["text/html", "application/xml", "application/json;q=0", "image/png, text/*"] {
            let answer = app.send_json(Method::POST, "/graphql", &[("accept", accept)], &body).await;
            assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
            assert_eq!(code(&answer.json()), "NOT_ACCEPTABLE");
        }
        let failed = json!({ "query": "{ nodes(ids: [\"x\"]) { id } }" });
        let answer = app.send_json(Method::POST, "/graphql", &[("accept", GRAPHQL_RESPONSE)], &failed).await;
        assert_eq!((answer.status, &answer.json()["data"]), (StatusCode::OK, &json!({ "nodes": [null] })), "it ran");
    }

    async fn a_get_runs_queries_with_variables(app: TestApp) {
        let ids = ids(app).await;
        let query = url_encoded("query A ($id: ID!) { batch(id: $id) { id } } query B { __typename }");
        let variables = url_encoded(&json!({ "id": ids.batch }).to_string());
        let answer = app.get(&format!("/graphql?query={query}&variables={variables}&operationName=A")).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "data": { "batch": { "id": ids.batch } } })));
        let answer = app.get(&format!("/graphql?operationName=B&query={query}")).await;
        assert_eq!(answer.json(), json!({ "data": { "__typename": "Query" } }));
        for parameters in ["", "query=", "variables={}", "query=%7B__typename%7D&variables=x", "query=%7B__typename%7D&variables=1"] {
            let answer = app.get(&format!("/graphql?{parameters}")).await;
            assert!(answer.status == StatusCode::BAD_REQUEST || answer.json().get("data").is_none(), "{parameters}");
        }
    }

    async fn a_get_never_runs_a_mutation(app: TestApp) {
        let mutation = "mutation M { createTenant(input: { name: \"x\" }) { tenant { id } } }";
        let both = format!("query Q {{ __typename }} {mutation}");
        for parameters in [
            format!("query={}", url_encoded(mutation)),
            format!("query={}&operationName=M", url_encoded(&both)),
        ] {
            let answer = app.get(&format!("/graphql?{parameters}")).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.header("allow"), Some("POST"));
            assert_eq!(code(&answer.json()), "METHOD_NOT_ALLOWED");
        }
        let answer = app.get(&format!("/graphql?query={}&operationName=Q", url_encoded(&both))).await;
        assert_eq!(answer.json()["data"], json!({ "__typename": "Query" }));
        let data = app.data("{ tenants { totalCount } }", json!({})).await;
        assert_eq!(data["tenants"]["totalCount"], 1, "nothing was made");
    }

    async fn over_long_texts_are_refused_with_the_limit(app: TestApp) {
        let ids = ids(app).await;
        let long = "x".repeat(300);
        for (name, input, field, limit) in [
            ("createTenant", json!({ "name": long }), "name", "255"),
            ("updateTenant", json!({ "id": ids.tenant, "name": long }), "name", "255"),
            ("createConnection", json!({ "name": long, "provider": "csv" }), "name", "255"),
            ("createConnection", json!({ "name": "x", "provider": long }), "provider", "100"),
            ("updateConnection", json!({ "id": ids.connection, "name": long }), "name", "255"),
            ("createBatch", batch(&ids, json!({ "idempotencyKey": long })), "idempotencyKey", "255"),
            ("createBatch", batch(&ids, json!({ "jobs": [{ "type": "LOAD", "object": long }] })), "object", "255"),
            ("createBatch", batch(&ids, json!({ "jobs": [{ "type": "LOAD", "object": "x", "grain": long }] })), "grain", "64"),
        ] {
            let refused = app.mutate(name, "", input).await;
            let error = &refused["userErrors"][0];
            assert_eq!((&error["code"], error["field"].as_array().unwrap().last().unwrap()), (&json!("TOO_LONG"), &json!(field)));
            assert!(text(&error["message"]).contains(&format!("at most {limit} ")), "{error}");
        }
        for (filter, limit) in [
            ("connections(filter: { name: $text }) { totalCount }", "255"),
            ("connections(filter: { provider: $text }) { totalCount }", "100"),
            ("jobs(filter: { object: $text }) { totalCount }", "255"),
        ] {
            let refused = app.graphql(&format!("query ($text: String!) {{ {filter} }}"), json!({ "text": long })).await;
            assert_eq!(code(&refused), "TOO_LONG");
            assert!(text(&refused["errors"][0]["message"]).contains(limit), "{refused}");
        }
    }

    async fn a_nul_character_is_refused_wherever_a_text_is_taken(app: TestApp) {
        let ids = ids(app).await;
        let nul = "a\0b";
        let job = |fields: Value| batch(&ids, json!({ "jobs": [with(json!({ "type": "LOAD", "object": "x" }), fields)] }));
        for (name, input) in [
            ("createTenant", json!({ "name": nul })),
            ("updateTenant", json!({ "id": ids.tenant, "name": nul })),
            ("updateTenant", json!({ "id": nul })),
            ("deleteTenant", json!({ "id": nul })),
            ("createConnection", json!({ "name": nul, "provider": "csv" })),
            ("createConnection", json!({ "name": "x", "provider": nul })),
            ("createConnection", json!({ "name": "x", "provider": "csv", "config": { "a": nul } })),
            ("createConnection", json!({ "name": "x", "provider": "csv", "config": { nul: "a" } })),
            ("createConnection", json!({ "name": "x", "provider": "csv", "tenantId": nul })),
            ("updateConnection", json!({ "id": ids.connection, "name": nul })),
            ("updateConnection", json!({ "id": ids.connection, "config": [{ "a": nul }] })),
            ("updateConnection", json!({ "id": nul })),
            ("archiveConnection", json!({ "id": nul })),
            ("deleteConnection", json!({ "id": nul })),
            ("createBatch", batch(&ids, json!({ "tenantId": nul }))),
            ("createBatch", batch(&ids, json!({ "sourceConnectionId": nul }))),
            ("createBatch", batch(&ids, json!({ "destinationConnectionId": nul }))),
            ("createBatch", batch(&ids, json!({ "since": nul }))),
            ("createBatch", batch(&ids, json!({ "updatedSince": nul }))),
            ("createBatch", batch(&ids, json!({ "idempotencyKey": nul }))),
            ("createBatch", job(json!({ "object": nul }))),
            ("createBatch", job(json!({ "grain": nul }))),
            ("createBatch", job(json!({ "connectionId": nul }))),
            ("createBatch", job(json!({ "since": nul }))),
            ("createBatch", job(json!({ "updatedSince": nul }))),
            ("createBatch", job(json!({ "requiredObjects": { "extract": [nul] } }))),
            ("createBatch", job(json!({ "requiredObjects": { "load": [nul] } }))),
            ("createBatch", job(json!({ "requiredObjects": { "loadResult": [nul] } }))),
            ("createBatches", json!({ "batches": [job(json!({ "object": nul }))] })),
            ("updateBatch", with(job(json!({ "object": nul })), json!({ "id": ids.batch, "version": 1 }))),
            ("updateBatch", with(job(json!({})), json!({ "id": nul, "version": 1 }))),
            ("deleteBatch", json!({ "id": nul })),
        ] {
            app.refused(name, input).await;
        }
        for query in [
            "connections(filter: { name: $text }) { totalCount }",
            "connections(filter: { provider: $text }) { totalCount }",
            "jobs(filter: { object: $text }) { totalCount }",
            "batches(after: $text) { totalCount }",
            "jobs(before: $text) { totalCount }",
        ] {
            let refused = app.graphql(&format!("query ($text: String!) {{ {query} }}"), json!({ "text": nul })).await;
            assert!(["INVALID_CHARACTER", "INVALID_VALUE"].contains(&code(&refused).as_str()), "{refused}");
        }
        let query = "query ($id: ID!, $text: String!) { batch(id: $id) { jobs(filter: { object: $text }) { id } } }";
        let data = app.data(query, json!({ "id": ids.batch, "text": nul })).await;
        assert_eq!(data["batch"]["jobs"], json!([]));
    }

    async fn an_id_of_another_kind_is_refused_wherever_an_id_is_taken(app: TestApp) {
        let ids = ids(app).await;
        for (query, id) in [
            ("tenant(id: $id) { id }", &ids.batch),
            ("connection(id: $id) { id }", &ids.tenant),
            ("batch(id: $id) { id }", &ids.job),
            ("job(id: $id) { id }", &ids.connection),
            ("connections(filter: { tenantId: $id }) { totalCount }", &ids.connection),
            ("batches(filter: { tenantId: $id }) { totalCount }", &ids.job),
            ("batches(filter: { sourceConnectionId: $id }) { totalCount }", &ids.tenant),
            ("batches(filter: { destinationConnectionId: $id }) { totalCount }", &ids.batch),
            ("batches(filter: { connectionId: $id }) { totalCount }", &ids.job),
            ("jobs(filter: { tenantId: $id }) { totalCount }", &ids.job),
            ("jobs(filter: { batchId: $id }) { totalCount }", &ids.job),
            ("jobs(filter: { connectionId: $id }) { totalCount }", &ids.batch),
        ] {
            let document = format!("query ($id: ID!) {{ {query} }}");
            let refused = app.graphql(&document, json!({ "id": id })).await;
            assert_eq!(code(&refused), "WRONG_ID_KIND", "{query}");
            for garbage in ["", "x", "batch_", "\0", "batch_zzzzzzzzzzzzzzzzzzzzzzzzzz", &"x".repeat(100_000)] {
                assert_eq!(code(&app.graphql(&document, json!({ "id": garbage })).await), "INVALID_ID", "{query}");
            }
            assert_eq!(code(&app.graphql(&document, json!({ "id": 7 })).await), "INVALID_ID", "{query}");
        }
        let other = "user_01h2xcejqtf2nbrexx3vqjhp41";
        let refused = app.graphql("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": other })).await;
        assert_eq!(code(&refused), "WRONG_ID_KIND");
    }

    async fn an_id_that_nothing_has_is_null(app: TestApp) {
        for kind in ["tenant", "connection", "batch", "job"] {
            let id = format!("{kind}_01h2xcejqtf2nbrexx3vqjhp41");
            let query = format!("query ($id: ID!) {{ {kind}(id: $id) {{ id }} node(id: $id) {{ id }} nodes(ids: [$id]) {{ id }} }}");
            assert_eq!(app.data(&query, json!({ "id": id })).await, json!({ kind: null, "node": null, "nodes": [null] }));
        }
    }

    async fn one_bad_id_leaves_the_other_nodes(app: TestApp) {
        let ids = ids(app).await;
        let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Job { object } ... on Tenant { name }
            ... on Batch { jobs { object } } ... on Connection { provider } } }";
        let all = json!([ids.tenant, "bad", ids.connection, ids.batch, ids.job, ids.tenant]);
        let response = app.graphql(query, json!({ "ids": all })).await;
        let tenant = json!({ "__typename": "Tenant", "id": ids.tenant, "name": "acme" });
        assert_eq!(response["data"]["nodes"], json!([
            tenant,
            null,
            { "__typename": "Connection", "id": ids.connection, "provider": "csv" },
            { "__typename": "Batch", "id": ids.batch, "jobs": [{ "object": "a" }, { "object": "a" }] },
            { "__typename": "Job", "id": ids.job, "object": "a" },
            tenant,
        ]));
        assert_eq!(code(&response), "INVALID_ID");
        assert_eq!(response["errors"][0]["path"], json!(["nodes", 1]));
        let many = vec![ids.tenant; 101];
        assert_eq!(code(&app.graphql(query, json!({ "ids": many })).await), "TOO_MANY");
    }

    async fn an_answer_has_the_order_of_its_selection(app: TestApp) {
        ids(app).await;
        let query = "query Q ($yes: Boolean!, $no: Boolean!) {
            z: batches { totalCount ...B a: totalCount nodes { status jobs { type object } priority } }
            tenants { nodes { name } }
            left: tenants @skip(if: $yes) { totalCount } out: tenants @include(if: $no) { totalCount }
            in: tenants @include(if: $yes) { totalCount } a: tenants @skip(if: $no) { totalCount }
            b: __typename
        } fragment B on BatchConnection { nodes { version } ... on BatchConnection { pageInfo { hasNextPage } } }";
        let body = json!({ "query": query, "variables": { "yes": true, "no": false } });
        let answer = app.send_json(Method::POST, "/graphql", &[], &body).await;
        assert_eq!(answer.text(), concat!(
            r#"{"data":{"z":{"totalCount":1,"nodes":[{"version":1,"status":"PENDING","#,
            r#""jobs":[{"type":"EXTRACT","object":"a"},{"type":"LOAD","object":"a"}],"priority":0}],"#,
            r#""pageInfo":{"hasNextPage":false},"a":1},"#,
            r#""tenants":{"nodes":[{"name":"default"},{"name":"acme"}]},"in":{"totalCount":2},"a":{"totalCount":2},"b":"Query"}}"#,
        ));
    }

    async fn mutations_of_one_request_run_one_after_the_other(app: TestApp) {
        let mutation = "mutation {
            a: createTenant(input: { name: \"x\" }) { tenant { name } userErrors { code } }
            b: createTenant(input: { name: \"x\" }) { tenant { name } userErrors { code } }
            c: createTenant(input: { name: \"y\" }) { tenant { name } userErrors { code } }
        }";
        assert_eq!(app.data(mutation, json!({})).await, json!({
            "a": { "tenant": { "name": "x" }, "userErrors": [] },
            "b": { "tenant": null, "userErrors": [{ "code": "NAME_TAKEN" }] },
            "c": { "tenant": { "name": "y" }, "userErrors": [] },
        }));
    }

    async fn a_browser_ends_up_on_graphiql_with_everything_it_needs(app: TestApp) {
        let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let page = app.get("/graphiql").await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, Some("text/html; charset=utf-8")));
        for path in ["/", "/graphql", "/graphiql", "/graphiql/"] {
            let answer = app.send(Method::GET, path, &html, Vec::new()).await;
            assert_eq!((answer.status, answer.text()), (StatusCode::OK, page.text()), "{path}");
        }
        let mut todo = referenced(&page.text());
        let mut seen = BTreeSet::new();
        assert!(!todo.is_empty(), "{}", page.text());
        while let Some(name) = todo.pop_first() {
            let path = format!("/graphiql/assets/{name}");
            let plain = app.get(&path).await;
            assert_eq!(plain.status, StatusCode::OK, "{path}");
            let content_type = if name.ends_with(".css") { "text/css" } else { "text/javascript" };
            assert_eq!(plain.header("content-type"), Some(format!("{content_type}; charset=utf-8").as_str()));
            assert_eq!(plain.header("content-encoding"), None);
            let packed = app.send(Method::GET, &path, &[("accept-encoding", "br, gzip")], Vec::new()).await;
            assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == plain.body, "{path}");
            let further = referenced(&plain.text());
            seen.insert(name);
            todo.extend(further.difference(&seen).cloned());
        }
        assert!(seen.len() > 10, "{seen:?}");
        for path in ["/graphiql/nothing.js", "/graphiql/../Cargo.toml", "/graphiql/%2e%2e/Cargo.toml", "/graphiql/assets/"] {
            assert_eq!(app.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    async fn the_served_schema_is_the_committed_one(app: TestApp) {
        let answer = app.get("/schema.graphql").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text() == include_str!("../../schema.graphql"), "schema.graphql is stale");
    }

    async fn whatever_the_schema_has_is_described(app: TestApp) {
        let data = app.data(INTROSPECTION, json!({})).await;
        let types = data["__schema"]["types"].as_array().unwrap();
        assert!(types.len() > 40);
        let mut bare = Vec::new();
        let mut check = |described: &Value, place: String| {
            if described["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
                bare.push(place);
            }
        };
        for shown in types.iter().filter(|shown| !text(&shown["name"]).starts_with("__")) {
            let name = text(&shown["name"]);
            if name == "ID" {
                continue; // The specification's own.
            }
            check(shown, name.clone());
            for list in ["fields", "inputFields", "enumValues"] {
                for member in shown[list].as_array().into_iter().flatten() {
                    let place = format!("{name}.{}", text(&member["name"]));
                    check(member, place.clone());
                    for arg in member["args"].as_array().into_iter().flatten() {
                        check(arg, format!("{place}({})", text(&arg["name"])));
                    }
                }
            }
        }
        assert_eq!(bare, [""; 0]);
    }

    async fn an_unknown_route_says_what_is_there(app: TestApp) {
        for path in ["/nothing", "/graphql/", "/schema.json", "/health/x"] {
            let answer = app.get(path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            let problem = answer.json();
            assert_eq!((&problem["status"], &problem["code"]), (&json!(404), &json!("NOT_FOUND")));
            assert!(text(&problem["detail"]).contains(path), "{problem}");
        }
    }

    async fn other_methods_are_refused_where_there_is_only_something_to_get(app: TestApp) {
        for path in ["/graphiql", "/graphiql/", "/graphiql/assets/x.js", "/schema.graphql"] {
            let answer = app.send(Method::PUT, path, &[JSON], b"{}".to_vec()).await;
            assert_eq!(answer.problem_codes(), (405, vec!["METHOD_NOT_ALLOWED".into()]), "{path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }

    async fn health_is_plain(app: TestApp) {
        let answer = app.get("/health").await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "ok\n"));
        assert_eq!(answer.header("server"), Some("sluice"));
    }
}

/// What `createBatch` takes, with some fields in place of good ones.
fn batch(ids: &Ids, fields: Value) -> Value {
    let good = json!({
        "sourceConnectionId": ids.connection,
        "destinationConnectionId": ids.connection,
        "jobs": [{ "type": "LOAD", "object": "x" }],
    });
    with(good, fields)
}

fn with(mut object: Value, fields: Value) -> Value {
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

/// The names of the assets in a text: they end in a hash of eight characters.
fn referenced(text: &str) -> BTreeSet<String> {
    let of_name = |byte: char| byte.is_ascii_alphanumeric() || "-_.".contains(byte);
    let is_asset = |name: &&str| {
        let stem = name.strip_suffix(".js").or_else(|| name.strip_suffix(".css"));
        stem.is_some_and(|stem| stem.len() > 9 && stem.as_bytes()[stem.len() - 9] == b'-')
    };
    text.split(|byte| !of_name(byte)).filter(is_asset).map(str::to_owned).collect()
}
