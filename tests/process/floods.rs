//! Clients that ask for as much as they can: the server answers or closes, and there is room for others meanwhile.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{common::Server, create_batch, head, heard, open_socket};

/// How long an answer or a close may take. It is only there so that a test that waits for ever fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much more memory the server may take for all of it, in kB.
const ROOM: u64 = 200 * 1024;

/// How often each of the greedy requests is sent, at the same time.
const TIMES: usize = 4;

/// Requests that ask for too much, each with what it is.
fn greedy() -> Vec<(&'static str, String)> {
    let many = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<String>();
    let nested = |levels: usize, open: &str, close: &str| {
        format!("{{ batch(id: 1) {{ {} id {} }} }}", open.repeat(levels), close.repeat(levels))
    };
    let bomb = many(40, &|n| {
        format!(
            "fragment F{n} on Batch {{ a: tenant {{ batches {{ nodes {{ ...F{0} }} }} }} b: tenant {{ batches {{ nodes {{ ...F{0} }} }} }} }} ",
            n + 1
        )
    });
    let introspection = |levels: usize| {
        format!(
            "{{ __schema {{ types {{ {} name {} }} }} }}",
            "fields { type { ".repeat(levels),
            "} } ".repeat(levels)
        )
    };
    let documents = vec![
        ("10,000 aliases", format!("{{ {} }}", many(10_000, &|n| format!("a{n}:__typename ")))),
        ("20 MB", format!("{{ __typename }} #{}", "x".repeat(20_000_000))),
        ("64 levels", nested(64, "jobs { batch { ", "} } ")),
        ("400 levels", nested(400, "jobs { batch { ", "} } ")),
        (
            "400 levels in a value",
            format!("{{ batches(filter: {}1{}) {{ totalCount }} }}", "{ a: ".repeat(400), "}".repeat(400)),
        ),
        ("900 kB of __typename", format!("{{ {} }}", "__typename ".repeat(80_000))),
        ("introspection that goes in circles", introspection(6)),
        ("introspection that goes in circles for long", introspection(400)),
        ("a fragment bomb", format!("{{ batch(id: 1) {{ ...F0 }} }} {bomb} fragment F40 on Batch {{ id }}")),
        ("5,000 directives", format!("{{ __typename {} }}", "@include(if: true) ".repeat(5_000))),
    ];
    let operations = vec![json!({ "query": "{ __typename }" }); 1_000];
    let variables = format!(
        r#"{{"query":"{{ __typename }}","variables":{{"a":{}{}}}}}"#,
        "[".repeat(400),
        "]".repeat(400)
    );
    let mut bodies: Vec<(&str, String)> =
        documents.into_iter().map(|(what, query)| (what, json!({ "query": query }).to_string())).collect();
    bodies.push(("1,000 operations", Value::from(operations).to_string()));
    bodies.push(("400 levels in a variable", variables));
    bodies
}

/// The status of what comes on a connection; `None` when it is closed without a word.
fn status(mut stream: TcpStream) -> Option<u16> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // A server that does not want the rest of a request resets the connection.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("neither an answer nor a close: {error}"),
    }
    let status = answer.get(9..12)?;
    Some(str::from_utf8(status).unwrap().parse().unwrap())
}

/// Sends a request and sees that it is answered, or the connection closed.
fn send(server: &Server, what: &str, body: &str) {
    let mut stream = server.connect();
    let request = head("POST", "/graphql", body.len()) + body;
    // A server that has read enough does not wait for the end.
    let _ = stream.write_all(request.as_bytes());
    let status = status(stream);
    assert!(status.is_none_or(|status| status < 500 || status == 503), "{what}: {status:?}");
}

/// Opens 1,000 subscriptions on one socket; each must give a value, an error, or its socket be closed.
async fn subscribe(server: &Server, batch: &Value) {
    let mut socket = open_socket(server, &["graphql-transport-ws"]).await;
    socket.send(Message::text(r#"{"type":"connection_init"}"#)).await.unwrap();
    assert_eq!(heard(&mut socket).await, Message::text(r#"{"type":"connection_ack"}"#));
    let query = format!("subscription {{ batch(id: {batch}) {{ status }} }}");
    let mut open: BTreeSet<String> = (0..1_000).map(|number| number.to_string()).collect();
    for id in &open {
        let subscribe = json!({ "id": id, "type": "subscribe", "payload": { "query": query } });
        socket.feed(Message::text(subscribe.to_string())).await.unwrap();
    }
    socket.flush().await.unwrap();
    while !open.is_empty() {
        let Message::Text(message) = heard(&mut socket).await else { return };
        let message: Value = serde_json::from_str(&message).unwrap();
        open.remove(message["id"].as_str().unwrap());
    }
}

/// A figure of a process, in kB; `None` where nobody tells.
fn memory(server: &Server, figure: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.id())).ok()?;
    let line = text.lines().find(|line| line.starts_with(figure))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many connections just stand there. Each takes 18 kB, most of it two buffers that actix-http makes at once.
const IDLE: usize = 10_000;

/// [`IDLE`], or as many as this process and the server, which has its limit from it, may have open files, less what
/// the rest of the tests may need.
fn idle_sockets() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1_024_usize);
    let sockets = limit.saturating_sub(2_000).min(IDLE);
    if sockets < IDLE {
        eprintln!(
            "NOT TESTED WITH {IDLE} IDLE SOCKETS, BUT WITH {sockets}: no more than {limit} files may be open"
        );
    }
    sockets
}

/// The server has taken no more memory than allowed since it had this much.
fn has_stayed_small(server: &Server, before: Option<u64>) {
    match (before, memory(server, "VmHWM")) {
        (Some(before), Some(most)) => {
            assert!(most < before + ROOM, "the server took {most} kB, and {before} kB before");
        }
        (_, _) => eprintln!("MEMORY NOT WATCHED: there is no /proc"),
    }
}

#[test]
fn sockets_that_stay_idle_leave_room_for_others_and_are_closed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "sqlite:sluice.db");
    let before = memory(&server, "VmRSS");
    let idle: Vec<TcpStream> = (0..idle_sockets()).map(|_| server.connect()).collect();
    assert_eq!(server.graphql("{ __typename }"), json!({ "data": { "__typename": "Query" } }));
    for stream in idle {
        assert!(status(stream).is_none_or(|status| status == 408));
    }
    has_stayed_small(&server, before);
    server.stop();
}

#[test]
fn no_flood_takes_the_memory_or_the_time_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "sqlite:sluice.db");
    let batch = create_batch(&server, "flood");
    let before = memory(&server, "VmRSS");

    let body = json!({ "query": "{ __typename }" }).to_string();
    let (early, late) = body.split_at(body.len() / 2);
    let half_sent = |_| {
        let mut stream = server.connect();
        stream.write_all((head("POST", "/graphql", body.len()) + early).as_bytes()).unwrap();
        stream
    };
    let half_sent: Vec<TcpStream> = (0..200).map(half_sent).collect();

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(server.graphql("{ __typename }"), json!({ "data": { "__typename": "Query" } }));
            }
        });
        let subscriber = scope.spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                tokio::time::timeout(PATIENCE, subscribe(&server, &batch)).await.unwrap()
            });
        });
        for (what, body) in greedy() {
            thread::scope(|scope| {
                for _ in 0..TIMES {
                    scope.spawn(|| send(&server, what, &body));
                }
            });
        }
        subscriber.join().unwrap();
        done.store(true, Ordering::Relaxed);
        others.join().unwrap();
    });

    for (number, mut stream) in half_sent.into_iter().enumerate() {
        if number % 2 == 0 {
            // Some come too late: five seconds after the first half.
            let _ = stream.write_all(late.as_bytes());
            assert!(status(stream).is_none_or(|status| [200, 408].contains(&status)));
        } else {
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(status(stream).is_none_or(|status| status == 400));
        }
    }
    has_stayed_small(&server, before);
    server.stop();
}
