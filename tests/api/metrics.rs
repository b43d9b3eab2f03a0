//! What is counted, and who may see it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use sluice::config::Config;

use crate::{
    issuer::{by_file, vouched},
    requests::crowded,
    support::{Actor, Answer, Method, StatusCode, TestApp, on_both, text},
};

/// Notices soon that a client has gone, and gives one that has not the time to answer.
fn lively(config: &mut Config) {
    config.limits.live.keep_alive = Duration::from_secs(2);
}

const VIEWER: &str = "{ viewer { role } }";

/// Everything that is counted, by its name and its labels.
type Counted = BTreeMap<String, u64>;

/// Reads what was answered, each line of which must be as the text format of Prometheus has it.
fn read(answer: &Answer) -> Counted {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut counted = Counted::new();
    let mut kind = String::new();
    for line in answer.text().lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            assert!(described.starts_with("sluice_") && described.contains(' '), "{line}");
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, of) = described.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&of), "{line}");
            assert_eq!(of == "counter", name.ends_with("_total"), "{line}");
            kind = name.to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let labels = name.strip_prefix(&kind).unwrap_or_else(|| panic!("{line} stands under {kind}"));
            assert!(labels.is_empty() || labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
            let twice = counted.insert(name.trim_start_matches("sluice_").to_owned(), value.parse().unwrap());
            assert_eq!(twice, None, "{line}");
        }
    }
    counted
}

/// What is counted, as this one sees it.
async fn counted(actor: &Actor<'_>) -> Counted {
    read(&actor.send(Method::GET, "/metrics", None).await)
}

/// The counters of this name that are more than they were, and by how much.
fn news(name: &str, before: &Counted, after: &Counted) -> Vec<String> {
    let more =
        after.iter().filter(|(counter, value)| counter.starts_with(name) && before[*counter] < **value);
    more.map(|(counter, value)| {
        let labels: Vec<&str> = counter.split('"').skip(1).step_by(2).collect();
        format!("{} {}", labels.join(" "), value - before[counter]).trim().to_owned()
    })
    .collect()
}

async fn ask(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    app.send_json(Method::POST, "/graphql", headers, &json!({ "query": VIEWER })).await
}

/// Somebody who may see what is counted, one whose token was revoked, and one whose token has expired.
async fn actors(app: &TestApp) -> [Actor<'_>; 3] {
    let admin = app.create_token("ADMIN", None).await;
    let revoked = admin.create_token("VIEWER", None).await;
    admin.done("revokeToken", "token { id }", json!({ "id": revoked.id })).await;
    let input = json!({ "name": "x", "role": "VIEWER", "expiresAt": "2026-11-23T12:00:10Z" });
    let made = admin.done("createToken", "secret token { id }", input).await;
    let expired = admin.with(text(&made["secret"]), text(&made["token"]["id"]));
    app.advance(20);
    [admin, revoked, expired]
}

on_both! {
    async fn what_is_counted_is_there_from_the_start(app: TestApp) {
        let counted = read(&app.get("/metrics").await);
        assert_eq!(counted[&format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1);
        for name in [
            "requests_total{surface=\"graphql\",status=\"2xx\"}",
            "graphql_operations_refused_total{code=\"QUERY_TOO_DEEP\"}",
            "denials_total{reason=\"expired_token\"}",
            "live_connections{kind=\"websocket\"}",
            "live_connections{kind=\"sse\"}",
            "attempts_started_total",
            "reports_total{outcome=\"completed\"}",
            "document_cache_lookups_total{result=\"hit\"}",
            "graph_cache_lookups_total{result=\"miss\"}",
            "graph_cache_bytes",
            "pruned_batches_total",
            "pruned_jobs_total",
            "pruned_events_total",
        ] {
            assert_eq!(counted.get(name), Some(&0), "{name}");
        }
    }

    async fn only_who_may_read_of_all_tenants_sees_it(app: TestApp) {
        let tenant = app.create_tenant("acme").await;
        assert_eq!(app.send(Method::GET, "/metrics", &[("host", "evil.example")], Vec::new()).await.status, StatusCode::FORBIDDEN);
        let admin = app.create_token("ADMIN", None).await;
        for (role, of, may) in [
            ("VIEWER", None, true),
            ("OPERATOR", None, true),
            ("WORKER", None, false),
            ("VIEWER", Some(&*tenant), false),
            ("ADMIN", Some(&*tenant), false),
        ] {
            let actor = admin.create_token(role, of).await;
            let answer = actor.send(Method::GET, "/metrics", None).await;
            if may {
                read(&answer);
            } else {
                assert_eq!(answer.problem_codes(), (403, vec!["FORBIDDEN".into()]), "{role} {of:?}");
            }
        }
        assert_eq!(app.get("/metrics").await.problem_codes(), (401, vec!["UNAUTHENTICATED".into()]));
        let bad = app.showing("sluice_x".into()).send(Method::GET, "/metrics", None).await;
        assert_eq!(bad.problem_codes(), (401, vec!["UNAUTHENTICATED".into()]));
    }

    async fn who_is_turned_away_from_a_server_at_home_is_counted_by_the_reason(app: TestApp) {
        for (headers, reason) in [
            (&[("host", "evil.example")][..], "foreign_host 1"),
            (&[("host", "localhost"), ("via", "x")], "proxied 1"),
        ] {
            for surface in ["/graphql", "/batch"] {
                let before = read(&app.get("/metrics").await);
                let refused = match surface {
                    "/batch" => app.send(Method::GET, surface, headers, Vec::new()).await,
                    _ => ask(app, headers).await,
                };
                assert_eq!(refused.status, StatusCode::FORBIDDEN);
                assert_eq!(news("denials", &before, &read(&app.get("/metrics").await)), [reason]);
            }
        }
        let before = read(&app.get("/metrics").await);
        let page = [("origin", "https://evil.example"), ("sec-websocket-protocol", "graphql-transport-ws")];
        assert!(app.try_socket(&page).await.is_err());
        assert_eq!(news("denials", &before, &read(&app.get("/metrics").await)), ["foreign_origin 1"]);
    }

    async fn a_failed_login_is_counted_once_by_its_reason(app: TestApp) {
        let [admin, revoked, expired] = actors(app).await;
        let bearer = |secret: &str| format!("Bearer {secret}");
        let mut unknown = admin.secret.clone();
        unknown.replace_range(10..20, "zzzzzzzzzz");
        let other = format!("{}{}", &admin.secret[..34], &revoked.secret[34..]);
        for (shown, reason) in [
            (None, "no_token 1"),
            (Some("Basic x".into()), "unknown_token 1"),
            (Some(bearer("x")), "unknown_token 1"),
            (Some(bearer(&unknown)), "unknown_token 1"),
            (Some(bearer(&other)), "unknown_token 1"),
            (Some(bearer(&revoked.secret)), "revoked_token 1"),
            (Some(bearer(&expired.secret)), "expired_token 1"),
        ] {
            let headers: Vec<(&str, &str)> = shown.iter().map(|shown| ("authorization", &**shown)).collect();
            let before = counted(&admin).await;
            assert_eq!(ask(app, &headers).await.status, StatusCode::UNAUTHORIZED);
            let between = counted(&admin).await;
            assert_eq!(news("denials", &before, &between), [reason], "{shown:?}");
            assert_eq!(app.send(Method::GET, "/batch", &headers, Vec::new()).await.status, StatusCode::UNAUTHORIZED);
            let after = counted(&admin).await;
            assert_eq!(news("denials", &between, &after), [reason], "{shown:?}");

            let mut socket = app.socket("graphql-transport-ws").await;
            let payload = shown.map(|shown| json!({ "Authorization": shown }));
            socket.say(json!({ "type": "connection_init", "payload": payload })).await;
            assert_eq!(socket.closed().await.0, 4403);
            assert_eq!(news("denials", &after, &counted(&admin).await), [reason]);
        }
    }

    async fn a_web_token_that_is_no_good_is_counted(app: TestApp) with by_file {
        let admin = app.showing(vouched());
        let before = counted(&admin).await;
        assert_eq!(ask(app, &[("authorization", "Bearer a.b.c")]).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(news("denials", &before, &counted(&admin).await), ["bad_jwt 1"]);
    }

    async fn what_a_role_may_not_do_is_counted_once_an_operation(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        let worker = admin.create_token("WORKER", None).await;
        let before = counted(&admin).await;
        let twice = worker.graphql("{ a: tenants { totalCount } b: tenants { totalCount } }", Value::Null).await;
        assert_eq!(twice["errors"][0]["extensions"]["code"], "FORBIDDEN");
        let between = counted(&admin).await;
        assert_eq!(news("denials", &before, &between), ["forbidden 1"]);
        assert_eq!(worker.send(Method::GET, "/batch", None).await.status, StatusCode::FORBIDDEN);
        let after = counted(&admin).await;
        assert_eq!(news("denials", &between, &after), ["forbidden 1"]);
        let mut socket = worker.open_socket().await;
        socket.subscribe("1", "{ tenants { totalCount } }").await;
        assert_eq!(socket.hear().await["payload"]["errors"][0]["extensions"]["code"], "FORBIDDEN");
        assert_eq!(news("denials", &after, &counted(&admin).await), ["forbidden 1"]);
    }

    async fn who_has_too_much_under_way_is_counted(app: TestApp) with crowded {
        let admin = app.create_token("ADMIN", None).await;
        let socket = admin.open_socket().await;
        let before = counted(&admin).await;
        assert_eq!(admin.stream_status("subscription { events { cursor } }").await, StatusCode::TOO_MANY_REQUESTS);
        let between = counted(&admin).await;
        assert_eq!(news("denials", &before, &between), ["too_many_requests 1"]);
        let mut second = app.socket("graphql-transport-ws").await;
        let payload = json!({ "Authorization": format!("Bearer {}", admin.secret) });
        second.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(second.closed().await.0, 1013);
        assert_eq!(news("denials", &between, &counted(&admin).await), ["too_many_requests 1"]);
        drop(socket);
    }

    async fn requests_are_counted_by_door_and_status(app: TestApp) {
        let before = read(&app.get("/metrics").await);
        app.data(VIEWER, Value::Null).await;
        app.get("/graphql").await;
        app.get("/batch").await;
        app.get("/batch/x").await;
        app.get("/graphiql").await;
        app.get("/graphiql/none").await;
        app.get("/health").await;
        app.get("/nothing").await;
        let mut stream = app.stream(VIEWER).await;
        while stream.event().await.is_some() {}
        let socket = app.open_socket().await;
        drop(socket);
        let news = news("requests", &before, &read(&app.get("/metrics").await));
        // The first look at the metrics is one of the others.
        assert_eq!(news, [
            "graphiql 2xx 1", "graphiql 4xx 1", "graphql 2xx 1", "graphql 4xx 1", "other 2xx 2", "other 4xx 1",
            "rest 2xx 1", "rest 4xx 1", "sse 2xx 1", "websocket 1xx 1",
        ]);
    }

    async fn live_connections_are_counted_while_they_last(app: TestApp) with lively {
        let open = async || {
            let counted = read(&app.get("/metrics").await);
            ["websocket", "sse"].map(|kind| counted[&format!("live_connections{{kind=\"{kind}\"}}")])
        };
        let socket = app.open_socket().await;
        assert_eq!(open().await, [1, 0]);
        let mut stream = app.stream("subscription { events { cursor } }").await;
        stream.any().await;
        assert_eq!(open().await, [1, 1]);
        drop((socket, stream));
        while open().await != [0, 0] {}
    }

    async fn refused_operations_are_counted_by_their_code(app: TestApp) {
        let before = read(&app.get("/metrics").await);
        app.graphql("{ nothing }", Value::Null).await;
        app.graphql("{", Value::Null).await;
        app.graphql(&format!("{{ {} }}", "__typename ".repeat(101)), Value::Null).await;
        app.graphql("subscription { events { cursor } }", Value::Null).await;
        let mut stream = app.stream("{ nothing }").await;
        while stream.event().await.is_some() {}
        let mut socket = app.open_socket().await;
        socket.subscribe("1", "{ nothing }").await;
        socket.hear().await;
        app.data(VIEWER, Value::Null).await;
        app.data(VIEWER, Value::Null).await;
        let after = read(&app.get("/metrics").await);
        assert_eq!(news("graphql_operations_refused", &before, &after), [
            "GRAPHQL_PARSE_FAILED 1", "GRAPHQL_VALIDATION_FAILED 3", "SUBSCRIPTION_NEEDS_STREAM 1", "TOO_MANY_ROOT_FIELDS 1",
        ]);
        assert_eq!(news("document_cache", &before, &after), ["hit 1", "miss 7"]);
    }

    async fn attempts_and_reports_are_counted(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let input = json!({
            "sourceConnectionId": source, "destinationConnectionId": destination,
            "jobs": [{ "type": "EXTRACT", "object": "a" }, { "type": "EXTRACT", "object": "b" }]
        });
        app.done("createBatch", "batch { id }", input).await;
        let before = read(&app.get("/metrics").await);
        let claim = json!({ "worker": "w", "limit": 2 });
        let claims = app.data(
            "mutation ($input: ClaimJobsInput!) { claimJobs(input: $input) { claims { lease } } }",
            json!({ "input": claim }),
        ).await;
        let lease = |n: usize| claims["claimJobs"]["claims"][n]["lease"].clone();
        app.done("completeJob", "", json!({ "lease": lease(0) })).await;
        app.done("releaseJob", "", json!({ "lease": lease(1) })).await;
        app.refused("completeJob", json!({ "lease": lease(1) })).await;
        let after = read(&app.get("/metrics").await);
        assert_eq!(news("attempts_started", &before, &after), ["2"]);
        assert_eq!(news("reports", &before, &after), ["completed 1", "refused 1", "released 1"]);
    }
}
