//! GraphQL over WebSockets: `graphql-transport-ws` and the older `graphql-ws`.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use sluice::config::Config;
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::{
    subscriptions::{create, heavy, reprioritise},
    support::{Socket, TestApp, on_both},
};

const MODERN: &str = "graphql-transport-ws";
const LEGACY: &str = "graphql-ws";

fn hasty(config: &mut Config) {
    config.limits.live.init = Duration::from_millis(50);
}

fn lively(config: &mut Config) {
    config.limits.live.keep_alive = Duration::from_millis(50);
}

fn impatient(config: &mut Config) {
    config.limits.live.patience = Duration::from_millis(200);
    // The first ping shall find the client busy with what it does not take.
    config.limits.live.keep_alive = Duration::from_millis(500);
}

fn narrow(config: &mut Config) {
    config.limits.live.operations = 2;
}

fn closed(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

fn follow(batch: &str) -> String {
    format!("subscription {{ batch(id: \"{batch}\") {{ priority }} }}")
}

fn next(id: &str, priority: i32) -> Value {
    json!({ "type": "next", "id": id, "payload": { "data": { "batch": { "priority": priority } } } })
}

/// What the server answers to an upgrade that it refuses.
async fn refused(app: &TestApp, headers: &[(&'static str, &str)]) -> u16 {
    match app.try_socket(headers).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        Ok(_) => panic!("a socket was opened"),
        Err(error) => panic!("{error}"),
    }
}

on_both! {
    async fn a_batch_is_followed(app: TestApp) {
        let id = create(app).await;
        let mut socket = app.open_socket().await;
        assert_eq!(socket.protocol.as_deref(), Some(MODERN));
        socket.subscribe("1", &follow(&id)).await;
        assert_eq!(socket.hear().await, next("1", 0));
        reprioritise(app, &id, 5).await;
        assert_eq!(socket.hear().await, next("1", 5));
        app.done("deleteBatch", "batch { id }", json!({ "id": id })).await;
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
    }

    async fn queries_and_mutations_give_one_response(app: TestApp) {
        let mut socket = app.open_socket().await;
        socket.subscribe("a", "{ connections { totalCount } }").await;
        let payload = json!({ "data": { "connections": { "totalCount": 0 } } });
        assert_eq!(socket.hear().await, json!({ "type": "next", "id": "a", "payload": payload }));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "a" }));
        socket.say(json!({ "id": "a", "type": "subscribe", "payload": {
            "query": "query Q { __typename } mutation M($name: String!) { createTenant(input: { name: $name }) { tenant { name } } }",
            "operationName": "M", "variables": { "name": "x" }, "extensions": {},
        } })).await;
        let payload = json!({ "data": { "createTenant": { "tenant": { "name": "x" } } } });
        assert_eq!(socket.hear().await, json!({ "type": "next", "id": "a", "payload": payload }));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "a" }));
    }

    async fn what_is_refused_is_an_error_and_ends_there(app: TestApp) {
        let mut socket = app.open_socket().await;
        for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED")] {
            socket.subscribe("1", query).await;
            let error = socket.hear().await;
            assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("1")));
            assert_eq!(error["payload"][0]["extensions"]["code"], code);
        }
        socket.subscribe("1", &follow("batch_01m8575bn9e4aatjdnkyvj3b8p")).await;
        let error = socket.hear().await;
        assert_eq!(error["payload"]["errors"][0]["extensions"]["code"], "NOT_FOUND", "{error}");
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
    }

    async fn an_operation_that_is_completed_by_the_client_says_no_more(app: TestApp) {
        let id = create(app).await;
        let mut socket = app.open_socket().await;
        socket.subscribe("stopped", &follow(&id)).await;
        assert_eq!(socket.hear().await, next("stopped", 0));
        socket.say(json!({ "id": "stopped", "type": "complete" })).await;
        socket.say(json!({ "id": "unknown", "type": "complete" })).await;
        socket.subscribe("other", &follow(&id)).await;
        assert_eq!(socket.hear().await, next("other", 0));
        reprioritise(app, &id, 1).await;
        assert_eq!(socket.hear().await, next("other", 1));
        // The id is free again.
        socket.subscribe("stopped", &follow(&id)).await;
        assert_eq!(socket.hear().await, next("stopped", 1));
    }

    async fn many_operations_share_a_socket_up_to_a_limit(app: TestApp) with narrow {
        let id = create(app).await;
        let mut socket = app.open_socket().await;
        for number in ["1", "2"] {
            socket.subscribe(number, &follow(&id)).await;
            assert_eq!(socket.hear().await, next(number, 0));
        }
        socket.subscribe("3", &follow(&id)).await;
        let error = socket.hear().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("3")));
        assert_eq!(error["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
        socket.say(json!({ "id": "1", "type": "complete" })).await;
        socket.subscribe("3", &follow(&id)).await;
        assert_eq!(socket.hear().await, next("3", 0));
    }

    async fn pings_are_answered(app: TestApp) with lively {
        let mut socket = app.socket(MODERN).await;
        socket.say(json!({ "type": "ping" })).await;
        assert_eq!(socket.hear().await, json!({ "type": "pong" }));
        socket.say(json!({ "type": "ping", "payload": { "a": [1] } })).await;
        assert_eq!(socket.hear().await, json!({ "type": "pong", "payload": { "a": [1] } }));
        socket.say(json!({ "type": "pong" })).await;
        socket.send(Message::Ping("here".into())).await;
        let mut awaited = vec![Message::Pong("here".into()), Message::Ping("".into())];
        while !awaited.is_empty() {
            let message = socket.stream.next().await.unwrap().unwrap();
            awaited.retain(|awaited| *awaited != message);
        }
    }

    async fn a_socket_without_connection_init_is_closed_in_time(app: TestApp) with hasty {
        for protocol in [MODERN, LEGACY] {
            let mut socket = app.socket(protocol).await;
            assert_eq!(socket.closed().await, closed(4408, "Connection initialisation timeout"));
        }
    }

    async fn a_second_connection_init_closes(app: TestApp) {
        let mut socket = app.open_socket().await;
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.closed().await, closed(4429, "Too many initialisation requests"));
    }

    async fn an_operation_before_connection_init_closes(app: TestApp) {
        let mut socket = app.socket(MODERN).await;
        socket.subscribe("1", "{ __typename }").await;
        assert_eq!(socket.closed().await, closed(4401, "Unauthorized"));
    }

    async fn an_id_that_is_taken_closes(app: TestApp) {
        let id = create(app).await;
        let mut socket = app.open_socket().await;
        socket.subscribe("x", &follow(&id)).await;
        socket.subscribe("x", &follow(&id)).await;
        assert_eq!(socket.closed().await, closed(4409, "Subscriber for x already exists"));

        let long = "ä".repeat(1000);
        let mut socket = app.open_socket().await;
        socket.subscribe(&long, &follow(&id)).await;
        socket.subscribe(&long, &follow(&id)).await;
        let (code, reason) = socket.closed().await;
        assert_eq!((code, reason), closed(4409, &format!("Subscriber for {}", "ä".repeat(54))));
    }

    async fn a_message_that_makes_no_sense_closes(app: TestApp) {
        let cases = [
            "", "nonsense", "null", "[]", "{}", "1", r#"{"type":1}"#, r#"{"type":"nonsense"}"#,
            r#"{"type":"start","id":"1","payload":{"query":"{ __typename }"}}"#,
            r#"{"type":"next","id":"1"}"#,
            r#"{"type":"connection_init","payload":"x"}"#, r#"{"type":"ping","payload":[]}"#,
            r#"{"type":"subscribe"}"#, r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{ __typename }"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","variables":"x"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","operationName":1}}"#,
            r#"{"type":"complete"}"#,
        ];
        for text in cases {
            let mut socket = app.socket(MODERN).await;
            socket.send(Message::text(text)).await;
            let (code, reason) = socket.closed().await;
            assert_eq!(code, 4400, "{text}: {reason}");
            assert!(!reason.is_empty() && reason.len() <= 123, "{reason}");
        }
        let mut socket = app.socket(MODERN).await;
        socket.send(Message::binary(r#"{"type":"connection_init"}"#)).await;
        assert_eq!(socket.closed().await.0, 4400);
        let mut socket = app.socket(MODERN).await;
        socket.send(Message::text(format!("{{\"type\":\"{}\"}}", "ö".repeat(5000)))).await;
        assert_eq!(socket.closed().await.0, 4400);
    }

    async fn a_message_that_is_too_long_closes(app: TestApp) {
        let limit = 4 * 1024 * 1024;
        let mut socket = app.socket(MODERN).await;
        let longest = format!("{{\"type\":\"connection_init\"{}}}", " ".repeat(limit - 26));
        assert_eq!(longest.len(), limit);
        socket.send(Message::text(longest)).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));

        let expected = closed(1009, "a message is longer than 4194304 bytes");
        let mut socket = app.socket(MODERN).await;
        socket.send(Message::text(" ".repeat(limit + 1))).await;
        assert_eq!(socket.closed().await, expected);

        let mut socket = app.socket(MODERN).await;
        for opcode in [Data::Text, Data::Continue] {
            let frame = Frame::message(vec![b' '; limit / 2 + 1], OpCode::Data(opcode), false);
            socket.send(Message::Frame(frame)).await;
        }
        assert_eq!(socket.closed().await, expected);
    }

    async fn what_is_no_frame_or_no_utf_8_closes(app: TestApp) {
        let mut socket = app.socket(MODERN).await;
        let mut frame = Frame::message("", OpCode::Data(Data::Text), true);
        frame.header_mut().rsv1 = true;
        socket.send(Message::Frame(frame)).await;
        assert_eq!(socket.closed().await, closed(1002, "a reserved bit is set in a frame"));
        let mut socket = app.socket(MODERN).await;
        socket.send(Message::Frame(Frame::message(vec![0xff], OpCode::Data(Data::Text), true))).await;
        assert_eq!(socket.closed().await, closed(1007, "a text is not UTF-8"));
        let mut socket = app.socket(MODERN).await;
        socket.send(Message::Frame(Frame::message(vec![0xff], OpCode::Data(Data::Continue), true))).await;
        assert_eq!(socket.closed().await.0, 1002);
    }

    async fn a_client_that_offers_no_known_protocol_is_turned_away(app: TestApp) {
        let mut socket = app.try_socket(&[]).await.unwrap();
        assert_eq!(socket.closed().await, closed(4406, "Subprotocol not acceptable"));
    }

    async fn of_several_protocols_the_first_that_is_known_is_spoken(app: TestApp) {
        for (offered, chosen) in [
            ("graphql-transport-ws, graphql-ws", MODERN),
            ("graphql-ws, graphql-transport-ws", LEGACY),
            ("x, graphql-transport-ws", MODERN),
        ] {
            let socket: Socket = app.socket(offered).await;
            assert_eq!(socket.protocol.as_deref(), Some(chosen), "{offered}");
        }
    }

    async fn only_pages_of_the_same_host_may_open_a_socket(app: TestApp) {
        let own = format!("http://{}", app.address);
        let port = app.address.port();
        let protocol = ("sec-websocket-protocol", MODERN);
        app.try_socket(&[protocol, ("origin", &own)]).await.unwrap();
        app.try_socket(&[protocol, ("origin", "https://sluice.example"), ("host", "Sluice.example:443")]).await.unwrap();
        app.try_socket(&[protocol, ("origin", "http://sluice.example:80"), ("host", "sluice.example")]).await.unwrap();
        for origin in ["null", "http://evil.example", &format!("http://localhost:{port}"), "http://127.0.0.1", ""] {
            assert_eq!(refused(app, &[protocol, ("origin", origin)]).await, 403, "{origin}");
        }
    }

    async fn what_is_no_handshake_is_a_bad_request(app: TestApp) {
        assert_eq!(refused(app, &[("sec-websocket-version", "12")]).await, 400);
    }

    async fn a_client_that_takes_nothing_is_closed_with_a_reason_and_without_a_gap(app: TestApp) with impatient {
        let query = heavy(app).await;
        let mut socket = app.open_socket().await;
        socket.subscribe("1", &query).await;
        // That a server has lost its patience is not to be seen from here.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(socket.hear().await["payload"]["data"]["batch"]["version"], 1);
        assert_eq!(socket.closed().await, closed(4503, "too slow: nothing was taken for 200ms"));
    }

    async fn a_client_that_answers_no_ping_is_closed(app: TestApp) with lively {
        let mut socket = app.open_socket().await;
        // It reads nothing, and so it answers nothing.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(socket.closed().await, closed(4503, "too slow: a ping was not answered"));
    }

    async fn a_client_that_says_goodbye_hears_it_back(app: TestApp) {
        let mut socket = app.open_socket().await;
        socket.stream.close(None).await.unwrap();
        while let Some(message) = socket.stream.next().await {
            assert!(matches!(message, Ok(Message::Close(_) | Message::Ping(_))), "{message:?}");
        }
    }

    async fn the_older_protocol_follows_a_batch(app: TestApp) {
        let id = create(app).await;
        let mut socket = app.socket(LEGACY).await;
        assert_eq!(socket.protocol.as_deref(), Some(LEGACY));
        socket.say(json!({ "type": "connection_init", "payload": {} })).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        assert_eq!(socket.hear().await, json!({ "type": "ka" }));
        socket.say(json!({ "id": "1", "type": "start", "payload": { "query": follow(&id) } })).await;
        let data = |priority| json!({ "type": "data", "id": "1", "payload": { "data": { "batch": { "priority": priority } } } });
        assert_eq!(socket.hear().await, data(0));
        reprioritise(app, &id, 5).await;
        assert_eq!(socket.hear().await, data(5));
        socket.say(json!({ "id": "1", "type": "stop" })).await;
        socket.say(json!({ "id": "2", "type": "start", "payload": { "query": "{ __typename }" } })).await;
        let payload = json!({ "data": { "__typename": "Query" } });
        assert_eq!(socket.hear().await, json!({ "type": "data", "id": "2", "payload": payload }));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "2" }));
        socket.say(json!({ "id": "3", "type": "start", "payload": { "query": "{ nonsense }" } })).await;
        let refused = socket.hear().await;
        assert_eq!(refused["payload"]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "3" }));
        socket.say(json!({ "type": "connection_terminate" })).await;
        assert_eq!(socket.closed().await, closed(1000, ""));
    }

    async fn the_older_protocol_keeps_its_clients_awake(app: TestApp) with lively {
        let mut socket = app.socket(LEGACY).await;
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        for _ in 0..3 {
            assert_eq!(socket.hear().await, json!({ "type": "ka" }));
        }
        socket.say(json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ __typename }" } })).await;
        assert_eq!(socket.closed().await.0, 4400);
    }
}
