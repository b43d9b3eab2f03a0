//! GraphQL as server-sent events.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::config::Config;

use crate::{
    history::whole,
    running::claim,
    subscriptions::{create, heavy, reprioritise},
    support::{Event, EventStream, Method, StatusCode, TestApp, on_both, text},
};

const ACCEPT: (&str, &str) = ("accept", "text/event-stream");

fn lively(config: &mut Config) {
    config.limits.live.keep_alive = Duration::from_millis(20);
}

fn impatient(config: &mut Config) {
    config.limits.live.patience = Duration::from_millis(200);
    config.limits.live.keep_alive = Duration::from_millis(20);
}

fn code(response: &Value) -> &str {
    response["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{response}"))
}

async fn get(app: &TestApp, parameters: &str) -> EventStream {
    let path = format!("/graphql?query={parameters}");
    let response = app.begin(Method::GET, &path, &[ACCEPT], Vec::new()).await;
    assert_eq!(response.status(), StatusCode::OK);
    EventStream::new(response)
}

on_both! {
    async fn a_query_gives_one_event_and_the_end(app: TestApp) {
        let mut stream = app.stream("{ connections { totalCount } }").await;
        assert_eq!(stream.header("content-type"), "text/event-stream");
        assert_eq!(stream.header("cache-control"), "no-store");
        assert_eq!(stream.header("x-accel-buffering"), "no");
        assert_eq!(stream.next().await, json!({ "data": { "connections": { "totalCount": 0 } } }));
        assert_eq!(stream.event().await, Some(Event::Complete));
        assert_eq!(stream.event().await, None);
    }

    async fn a_mutation_runs_by_post_and_not_by_get(app: TestApp) {
        let mutation = "mutation { createTenant(input: { name: \"x\" }) { userErrors { code } } }";
        let mut stream = app.stream(mutation).await;
        assert_eq!(stream.next().await, json!({ "data": { "createTenant": { "userErrors": [] } } }));
        assert_eq!(stream.event().await, Some(Event::Complete));

        let path = format!("/graphql?query={}", mutation.replace(' ', "%20"));
        let answer = app.send(Method::GET, &path, &[ACCEPT], Vec::new()).await;
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("POST")));
        assert_eq!(code(&answer.json()), "METHOD_NOT_ALLOWED");
    }

    async fn a_subscription_runs_by_get(app: TestApp) {
        let id = create(app).await;
        let mut stream = get(app, &format!("subscription{{batch(id:%22{id}%22){{priority}}}}")).await;
        assert_eq!(stream.next().await["data"]["batch"]["priority"], 0);
        reprioritise(app, &id, 3).await;
        assert_eq!(stream.next().await["data"]["batch"]["priority"], 3);
    }

    async fn what_is_refused_is_an_event_too(app: TestApp) {
        for (query, expected) in [
            ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED"),
            ("{", "GRAPHQL_PARSE_FAILED"),
        ] {
            let mut stream = app.stream(query).await;
            let response = stream.next().await;
            assert_eq!((code(&response), response.get("data")), (expected, None));
            assert_eq!(stream.event().await, Some(Event::Complete));
        }
    }

    async fn what_is_no_operation_is_an_answer_in_json(app: TestApp) {
        let json = ("content-type", "application/json");
        let cases = [
            (json, "{}", StatusCode::BAD_REQUEST),
            (json, "nonsense", StatusCode::BAD_REQUEST),
            (("content-type", "text/plain"), "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ];
        for (content_type, body, status) in cases {
            let answer = app.send(Method::POST, "/graphql", &[ACCEPT, content_type], body.into()).await;
            assert_eq!(answer.status, status, "{body}");
            assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        }
    }

    async fn a_subscription_that_is_not_asked_for_as_a_stream_is_refused(app: TestApp) {
        let query = "subscription { batch(id: \"x\") { id } }";
        for accept in ["*/*", "application/json", "application/graphql-response+json"] {
            let body = json!({ "query": query });
            let answer = app.send_json(Method::POST, "/graphql", &[("accept", accept)], &body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{accept}");
            assert_eq!(code(&answer.json()), "SUBSCRIPTION_NEEDS_STREAM");
        }
        let answer = app.get("/graphql?query=subscription%7Bbatch(id:%22x%22)%7Bid%7D%7D").await;
        assert_eq!((answer.status, code(&answer.json())), (StatusCode::BAD_REQUEST, "SUBSCRIPTION_NEEDS_STREAM"));
    }

    async fn the_media_type_that_the_client_likes_best_decides(app: TestApp) {
        let body = json!({ "query": "{ __typename }" });
        for (accept, content_type) in [
            ("application/json, text/event-stream", "application/json; charset=utf-8"),
            ("text/event-stream;q=0.5, application/json", "application/json; charset=utf-8"),
            ("text/event-stream, application/json", "text/event-stream"),
            ("text/html, text/event-stream;q=0.1", "text/event-stream"),
        ] {
            let answer = app.send_json(Method::POST, "/graphql", &[("accept", accept)], &body).await;
            assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
        }
    }

    async fn an_idle_stream_shows_that_it_lives(app: TestApp) with lively {
        let id = create(app).await;
        let mut stream = app.stream(&format!("subscription {{ batch(id: \"{id}\") {{ id }} }}")).await;
        stream.next().await;
        for _ in 0..3 {
            assert_eq!(stream.any().await, Some(Event::Comment(String::new())));
        }
    }

    async fn a_client_that_takes_nothing_is_cut_off_with_a_reason_and_without_a_gap(app: TestApp) with impatient {
        let mut stream = app.stream(&heavy(app).await).await;
        // That a server has lost its patience is not to be seen from here.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stream.next().await["data"]["batch"]["version"], 1);
        assert_eq!(
            stream.event().await,
            Some(Event::Comment("too slow: nothing was taken for 200ms".to_owned()))
        );
        assert_eq!(stream.event().await, None);
    }

    async fn a_follower_of_the_history_that_lags_is_cut_off_and_misses_nothing_when_it_comes_back(app: TestApp) with impatient {
        heavy(app).await;
        for _ in 0..15 {
            let lease = claim(app).await["Account"].clone();
            app.done("releaseJob", "job { id }", json!({ "lease": lease })).await;
        }
        let events = whole(app, 32).await;
        let all: Vec<String> = events.iter().map(|edge| text(&edge["cursor"])).collect();
        let follow = |after: &str, more: &str| {
            format!("subscription {{ events(after: \"{after}\") {{ cursor node {{ kind {more} }} }} }}")
        };
        // More than a megabyte for each event.
        let more: Vec<String> =
            (0..20).map(|number| format!("c{number}: batch {{ sourceConnection {{ config }} }}")).collect();
        let mut stream = app.stream(&follow(&all[0], &more.join(" "))).await;
        // That a server has lost its patience is not to be seen from here.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut heard = vec![all[0].clone()];
        let reason = loop {
            match stream.event().await {
                Some(Event::Next(response)) => heard.push(text(&response["data"]["events"]["cursor"])),
                other => break other,
            }
        };
        assert_eq!(reason, Some(Event::Comment("too slow: nothing was taken for 200ms".to_owned())));
        assert_eq!(stream.event().await, None);
        assert!(heard.len() < all.len(), "it was cut off");

        let mut stream = app.stream(&follow(heard.last().unwrap(), "")).await;
        while heard.len() < all.len() {
            heard.push(text(&stream.next().await["data"]["events"]["cursor"]));
        }
        assert_eq!(heard, all);
    }
}
