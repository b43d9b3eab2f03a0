//! Requests with several operations, with documents by hash, with operations that are registered; and slow ones.

use std::{cell::RefCell, fs, time::Duration};

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice::config::{Config, CrowdLimits};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    subscriptions,
    support::{Answer, Engine, Event, Method, StatusCode, TestApp, on_both, run, text},
};

const COUNT: &str = "query Count { tenants { totalCount } }";
const ONE: &str = "{ tenants { totalCount } }";

thread_local! {
    static DIRECTORY: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fn one_by_one(config: &mut Config) {
    config.limits.operations = 1;
}

fn hasty(config: &mut Config) {
    config.limits.sending = Duration::from_millis(50);
}

/// Long enough for what does not wait, also where much else is going on.
fn impatient(config: &mut Config) {
    config.limits.running = Duration::from_millis(500);
}

/// A server where nobody may have much under way.
pub fn crowded(config: &mut Config) {
    config.limits.crowd = CrowdLimits { requests: 2, live: 1 };
}

fn registered(config: &mut Config) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("count.graphql"), format!("\n{COUNT}\n")).unwrap();
    fs::write(directory.path().join("notes.txt"), "no operation").unwrap();
    config.operations = Some(directory.path().to_owned());
    DIRECTORY.set(Some(directory));
}

fn hash(document: &str) -> String {
    Sha256::digest(document.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body that names a document by its hash, and brings its text along if it has one.
fn by_hash(hash: &str, document: Option<&str>) -> Value {
    let mut body = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
    if let Some(document) = document {
        body["query"] = json!(document);
    }
    body
}

async fn post(app: &TestApp, body: &Value) -> Answer {
    app.send_json(Method::POST, "/graphql", &[], body).await
}

fn code(response: &Value) -> String {
    text(&response["errors"][0]["extensions"]["code"])
}

fn counted(tenants: i32) -> Value {
    json!({ "data": { "tenants": { "totalCount": tenants } } })
}

on_both! {
    async fn a_list_of_operations_is_run_in_its_order(app: TestApp) {
        let make = "mutation { createTenant(input: { name: \"acme\" }) { userErrors { code } } }";
        let list = json!([{ "query": ONE }, { "query": make }, { "query": ONE }, { "query": "{ nothing }" }]);
        let answer = post(app, &list).await;
        assert_eq!(answer.status, StatusCode::OK);
        let responses = answer.json();
        assert_eq!(responses[0], counted(1));
        assert_eq!(responses[1], json!({ "data": { "createTenant": { "userErrors": [] } } }));
        assert_eq!(responses[2], counted(2));
        assert_eq!(code(&responses[3]), "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(responses.as_array().unwrap().len(), 4);
    }

    async fn a_list_that_is_too_long_or_makes_no_sense_is_refused(app: TestApp) {
        let long: Vec<Value> = (0..11).map(|_| json!({ "query": ONE })).collect();
        let refused = post(app, &json!(long)).await;
        assert_eq!((refused.status, &*code(&refused.json())), (StatusCode::BAD_REQUEST, "TOO_MANY_OPERATIONS"));
        for list in [json!([]), json!([1]), json!([{}]), json!([[{ "query": ONE }]])] {
            let refused = post(app, &list).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{list}");
            assert_eq!(code(&refused.json()), "BAD_REQUEST");
        }
    }

    async fn lists_can_be_turned_off(app: TestApp) with one_by_one {
        let refused = post(app, &json!([{ "query": ONE }])).await;
        assert_eq!((refused.status, &*code(&refused.json())), (StatusCode::BAD_REQUEST, "TOO_MANY_OPERATIONS"));
        assert_eq!(post(app, &json!({ "query": ONE })).await.json(), counted(1));
    }

    async fn a_document_that_was_sent_with_its_hash_is_known_by_it(app: TestApp) {
        let hash = hash(COUNT);
        let unknown = post(app, &by_hash(&hash, None)).await.json();
        assert_eq!(code(&unknown), "PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(unknown["errors"][0]["message"], "PersistedQueryNotFound");
        assert_eq!(post(app, &by_hash(&hash, Some(COUNT))).await.json(), counted(1));
        assert_eq!(post(app, &by_hash(&hash.to_uppercase(), None)).await.json(), counted(1));
        let extensions = by_hash(&hash, None)["extensions"].to_string();
        let query = format!("/graphql?extensions={}", extensions.replace('"', "%22").replace(['{', '}'], ""));
        assert_eq!(app.get(&query).await.status, StatusCode::BAD_REQUEST, "not JSON");
        let encoded: String = extensions.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(app.get(&format!("/graphql?extensions={encoded}")).await.json(), counted(1));

        let other = post(app, &by_hash(&hash, Some(ONE))).await.json();
        assert_eq!(code(&other), "PERSISTED_QUERY_MISMATCH");
        let wrong = "{ nothing }";
        let invalid = post(app, &by_hash(&self::hash(wrong), Some(wrong))).await.json();
        assert_eq!(code(&invalid), "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(code(&post(app, &by_hash(&self::hash(wrong), None)).await.json()), "PERSISTED_QUERY_NOT_FOUND");
        for persisted in [json!(1), json!({}), json!({ "version": 2, "sha256Hash": hash }), json!({ "version": 1, "sha256Hash": "x" })] {
            let body = json!({ "query": ONE, "extensions": { "persistedQuery": persisted } });
            assert_eq!(post(app, &body).await.status, StatusCode::BAD_REQUEST, "{body}");
        }
    }

    async fn nothing_but_registered_operations_is_run(app: TestApp) with registered {
        assert_eq!(post(app, &json!({ "query": format!(" {COUNT}\n") })).await.json(), counted(1));
        assert_eq!(post(app, &by_hash(&hash(COUNT), None)).await.json(), counted(1));
        for body in [json!({ "query": ONE }), by_hash(&hash(ONE), Some(ONE)), json!({ "query": "{ __typename }" })] {
            assert_eq!(code(&post(app, &body).await.json()), "OPERATION_NOT_REGISTERED", "{body}");
        }
        assert_eq!(code(&post(app, &by_hash(&hash(ONE), None)).await.json()), "PERSISTED_QUERY_NOT_FOUND");
        let mut socket = app.open_socket().await;
        socket.subscribe("1", "subscription { events { cursor } }").await;
        assert_eq!(socket.hear().await["payload"][0]["extensions"]["code"], "OPERATION_NOT_REGISTERED");
    }

    async fn a_byte_order_mark_is_passed_over(app: TestApp) {
        let body = [b"\xef\xbb\xbf".as_slice(), json!({ "query": ONE }).to_string().as_bytes()].concat();
        let answer = app.send(Method::POST, "/graphql", &[("content-type", "application/json")], body).await;
        assert_eq!(answer.json(), counted(1));
    }

    async fn a_body_that_comes_too_slowly_is_given_up(app: TestApp) with hasty {
        for path in ["/graphql", "/batch"] {
            let mut stream = TcpStream::connect(app.address).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = vec![0; 4096];
            let length = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
            assert!(answer.contains("BODY_TOO_SLOW"), "{path}: {answer}");
        }
    }

    async fn an_operation_that_takes_too_long_is_given_up(app: TestApp) with impatient {
        // By the clock of this test the worker waits for ever.
        let claim = "mutation { claimJobs(input: { worker: \"w\", waitSeconds: 1 }) { claims { lease } } }";
        let refused = post(app, &json!({ "query": claim })).await;
        assert_eq!((refused.status, &*code(&refused.json())), (StatusCode::SERVICE_UNAVAILABLE, "TOO_SLOW"));
        let list = post(app, &json!([{ "query": ONE }, { "query": claim }, { "query": ONE }])).await;
        assert_eq!((list.status, &*code(&list.json())), (StatusCode::SERVICE_UNAVAILABLE, "TOO_SLOW"));
        assert_eq!(post(app, &json!({ "query": ONE })).await.json(), counted(1));

        let mut stream = app.stream(claim).await;
        assert_eq!(code(&stream.next().await), "TOO_SLOW");
        assert_eq!(stream.event().await, Some(Event::Complete));
        let mut socket = app.open_socket().await;
        socket.subscribe("1", "subscription { events { cursor } }").await;
        socket.subscribe("2", claim).await;
        let heard = socket.hear().await;
        assert_eq!((&heard["type"], &heard["id"]), (&json!("error"), &json!("2")));
        assert_eq!(heard["payload"][0]["extensions"]["code"], "TOO_SLOW");
        socket.subscribe("2", ONE).await;
        assert_eq!(socket.hear().await["payload"], counted(1), "the socket goes on, and so does its subscription");
    }

    async fn a_token_that_has_too_much_under_way_is_told_to_come_back(app: TestApp) with crowded {
        let admin = app.create_token("ADMIN", None).await;
        let worker = admin.create_token("WORKER", None).await;
        let claim = "mutation { claimJobs(input: { worker: \"w\", waitSeconds: 1 }) { claims { lease } } }";
        let body = json!({ "query": claim });
        let mut waiting = Vec::new();
        for _ in 0..2 {
            waiting.push(Box::pin(worker.send(Method::POST, "/graphql", Some(&body))));
        }
        let refused = loop {
            // The first two wait for ever, by the clock of this test; they are under way soon.
            let poll = futures_util::future::join_all(waiting.iter_mut());
            let _ = tokio::time::timeout(Duration::from_millis(20), poll).await;
            let third = worker.send(Method::POST, "/graphql", Some(&json!({ "query": ONE }))).await;
            if third.status != StatusCode::OK {
                break third;
            }
        };
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!((code(&refused.json()), refused.header("retry-after")), ("TOO_MANY_REQUESTS".into(), Some("1")));
        for path in ["/batch", "/batch/x", "/metrics"] {
            let rest = worker.send(Method::GET, path, None).await;
            assert_eq!(rest.problem_codes(), (429, vec!["TOO_MANY_REQUESTS".into()]));
            assert_eq!(rest.header("retry-after"), Some("1"));
        }
        admin.data(ONE, Value::Null).await;
        drop(waiting);
        while worker.send(Method::POST, "/graphql", Some(&json!({ "query": ONE }))).await.status != StatusCode::OK {}

        let socket = admin.open_socket().await;
        let mut second = app.socket("graphql-transport-ws").await;
        let payload = json!({ "Authorization": format!("Bearer {}", admin.secret) });
        second.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(second.closed().await.0, 1013);
        drop(socket);
        while admin.stream_status("subscription { events { cursor } }").await != StatusCode::OK {}
    }
}

/// On SQLite a reader can't be held back; the code is the same.
#[test]
fn a_result_of_a_subscription_that_takes_too_long_is_its_last() {
    run(Engine::Postgres, impatient, |app| {
        Box::pin(async move {
            let id = subscriptions::create(app).await;
            let query =
                format!("subscription {{ batch(id: \"{id}\") {{ status sourceConnection {{ name }} }} }}");
            let held = app.db_connect().await.begin().await.unwrap();
            held.execute_unprepared("LOCK TABLE connections").await.unwrap();
            let mut stream = app.stream(&query).await;
            assert_eq!(code(&stream.next().await), "TOO_SLOW");
            assert_eq!(stream.event().await, Some(Event::Complete));
            let mut socket = app.open_socket().await;
            socket.subscribe("1", &query).await;
            let heard = socket.hear().await;
            assert_eq!((&heard["type"], &heard["id"]), (&json!("error"), &json!("1")));
            assert_eq!(heard["payload"][0]["extensions"]["code"], "TOO_SLOW");

            held.commit().await.unwrap();
            socket.subscribe("1", &query).await;
            assert_eq!(socket.hear().await["payload"]["data"]["batch"]["status"], "PENDING");
        })
    });
}
