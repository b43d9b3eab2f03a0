//! What somebody finds who looks into the server's memory: nothing that was secret and is no longer needed.

use std::{
    fs::{self, File},
    os::unix::{fs::FileExt, process::ExitStatusExt},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    common::{Server, Starting, sluice},
    heard, open_socket,
};

/// How long it may take until a closed connection has left nothing. It is only there so that a test that waits for
/// ever fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read of the memory at once, in bytes.
const PAGE: usize = 4096;

/// Credentials that come as a variable, in the document, and over a WebSocket.
const PLANTED: [&str; 3] =
    ["planted-in-a-variable-5b1c9e", "planted-in-the-document-77d0a2", "planted-over-a-socket-c3f418"];

/// Starts a server whose memory may be looked into.
fn start(directory: &std::path::Path) -> Server {
    let mut command = sluice(directory, &["serve", "--bind", "127.0.0.1:0", "--core-dumps", "allowed"]);
    Starting(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()).ready()
}

/// How often each of these is found in what the process may write to.
fn found(server: &Server, secrets: &[String]) -> Vec<usize> {
    let id = server.id();
    let memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let mut counts = vec![0; secrets.len()];
    for line in fs::read_to_string(format!("/proc/{id}/maps")).unwrap().lines() {
        let mut parts = line.split_whitespace();
        let (range, mode) = (parts.next().unwrap(), parts.next().unwrap());
        if !mode.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut page = [0; PAGE];
        let mut used = Vec::new();
        for address in (from..to).step_by(PAGE) {
            // A mapping may be gone meanwhile.
            if memory.read_exact_at(&mut page, address).is_ok() && page != [0; PAGE] {
                used.extend_from_slice(&page);
            }
        }
        // Pages that are next to each other stay so: a secret may lie across two of them.
        let used = String::from_utf8_lossy(&used);
        for (count, secret) in counts.iter_mut().zip(secrets) {
            *count += used.matches(secret).count();
        }
    }
    counts
}

fn ask(server: &Server, token: Option<&str>, query: &str, variables: &Value) -> Value {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let answer = server.request_with(token, &body);
    let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    answer
}

/// Makes a token and gives its secret.
fn token(server: &Server, shown: Option<&str>, role: &str) -> String {
    let query = "mutation($role: Role!) { createToken(input: { name: \"x\", role: $role }) { secret } }";
    let made = ask(server, shown, query, &json!({ "role": role }));
    made["data"]["createToken"]["secret"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_secret_leaves_nothing_behind_once_its_connection_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let admin = token(&server, None, "ADMIN");
    let worker = token(&server, Some(&admin), "WORKER");
    let create = "mutation($credentials: JSON) { createConnection(input: { name: \"a\", provider: \"csv\",
        credentials: $credentials }) { connection { id } } }";
    let variables = json!({ "credentials": { "password": PLANTED[0] } });
    let made = ask(&server, Some(&admin), create, &variables);
    let id = made["data"]["createConnection"]["connection"]["id"].clone();
    let update = format!(
        "mutation {{ updateConnection(input: {{ id: {id}, credentials: {{ password: \"{}\" }} }}) {{ connection {{ id }} }} }}",
        PLANTED[1]
    );
    ask(&server, Some(&admin), &update, &Value::Null);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut socket = open_socket(&server, &["graphql-transport-ws"]).await;
        let init =
            json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {admin}") } });
        socket.send(Message::text(init.to_string())).await.unwrap();
        assert!(heard(&mut socket).await.to_text().unwrap().contains("connection_ack"));
        let query = update.replace(PLANTED[1], PLANTED[2]);
        let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
        socket.send(Message::text(subscribe.to_string())).await.unwrap();
        assert!(heard(&mut socket).await.to_text().unwrap().contains("next"));
        socket.close(None).await.unwrap();
    });
    let batch = format!(
        "mutation {{ createBatch(input: {{ sourceConnectionId: {id}, destinationConnectionId: {id},
            jobs: [{{ type: EXTRACT, object: \"a\" }}] }}) {{ batch {{ id }} }} }}"
    );
    ask(&server, Some(&admin), &batch, &Value::Null);
    let claim = "mutation { claimJobs(input: { worker: \"w\" }) { claims { lease credentials } } }";
    let claimed = ask(&server, Some(&worker), claim, &Value::Null);
    let claimed = &claimed["data"]["claimJobs"]["claims"][0];
    assert_eq!(claimed["credentials"]["password"], PLANTED[2]);
    let lease = claimed["lease"].as_str().unwrap();
    let complete =
        format!("mutation {{ completeJob(input: {{ lease: \"{lease}\" }}) {{ userErrors {{ code }} }} }}");
    ask(&server, Some(&worker), &complete, &Value::Null);

    let secrets: Vec<String> =
        PLANTED.map(str::to_owned).into_iter().chain([admin, worker, lease.to_owned()]).collect();
    let begun = Instant::now();
    loop {
        let counts = found(&server, &secrets);
        if counts.iter().all(|count| *count == 0) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "still found: {counts:?}");
    }
    server.stop();
}

#[test]
fn a_crash_leaves_no_memory_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let program = sluice(directory.path(), &[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" serve --bind 127.0.0.1:0"])
        .arg(program.get_program())
        .current_dir(directory.path());
    let server = Starting(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()).ready();
    server.signal("ABRT");
    let status = server.ended();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
