//! The program as its operators see it: a child process, its output, its status.

mod access;
#[path = "../common/mod.rs"]
mod common;
mod floods;
mod keys;
#[cfg(target_os = "linux")]
mod memory;
mod prune;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message,
    client::IntoClientRequest,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use common::{Server, Starting, execute, server, sluice};

/// Runs the program to its end.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    sluice(directory, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Runs the program, which must fail with status 1, and gives the one sentence that it says.
fn complaint(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert_eq!(out, "");
    let sentence = err.strip_suffix('\n').unwrap();
    assert!(sentence.starts_with("error: ") && !sentence.contains('\n'), "{err}");
    for noise in
        ["panicked", "backtrace", "Connection Error", "Execution Error", "Query Error", "error returned"]
    {
        assert!(!sentence.contains(noise), "{sentence}");
    }
    sentence.to_owned()
}

impl Server {
    /// Opens a connection.
    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Sends a whole request on a connection of its own and gives the whole response.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(head(method, path, body.len()).as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        response(stream)
    }

    /// Sends an operation for who shows this token and gives the whole response.
    fn request_with(&self, token: Option<&str>, body: &str) -> String {
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = head("POST", "/graphql", body.len()).replacen("\r\n", &format!("\r\n{bearer}"), 1);
        let mut stream = self.connect();
        stream.write_all((head + body).as_bytes()).unwrap();
        response(stream)
    }

    fn graphql(&self, query: &str) -> serde_json::Value {
        let body = serde_json::json!({ "query": query }).to_string();
        let response = self.request("POST", "/graphql", &body);
        let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{response}"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        serde_json::from_str(body).unwrap()
    }

    /// Whether new connections are still taken, asked until they are not.
    fn wait_until_it_takes_no_connections(&self) {
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }
}

fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// What the server sends until it closes the connection.
fn response(mut stream: TcpStream) -> String {
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

const CREATE: &str =
    r#"mutation { createConnection(input: { name: "kept", provider: "csv" }) { userErrors { code } } }"#;
const COUNT: &str = "{ connections { totalCount } }";

/// An empty schema of PostgreSQL, removed at the end.
struct Schema(String);

impl Schema {
    /// `None` where there is no PostgreSQL; with `CI=true` that is a failure.
    fn create() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("sluice_process_{}_{number}", std::process::id());
        match execute(&server(), &format!("CREATE SCHEMA {schema}")) {
            Ok(()) => Some(Self(schema)),
            Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("there is no PostgreSQL at {}: {error}", server());
            }
            Err(error) => {
                eprintln!("NOT TESTED ON POSTGRESQL: there is none at {}: {error}", server());
                None
            }
        }
    }

    fn url(&self) -> String {
        format!("{}?options=-csearch_path%3D{}", server(), self.0)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        execute(&server(), &format!("DROP SCHEMA {} CASCADE", self.0)).unwrap();
    }
}

/// A database of a newer version: it has a change that this one does not know.
const NEWER: &str = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)";

#[test]
fn the_first_start_makes_the_file_and_says_where_it_answers() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "sqlite:new.db");
    assert!(directory.path().join("new.db").exists());
    let address = server.address;
    assert_eq!(
        server.greeting,
        [
            format!("Sluice answers on http://{address}/graphql, with sqlite:new.db"),
            format!("GraphiQL: http://{address}/graphiql"),
        ]
    );
    assert_eq!(server.graphql(COUNT)["data"]["connections"]["totalCount"], 0);
    assert!(server.request("GET", "/graphiql", "").starts_with("HTTP/1.1 200 OK\r\n"));
    server.signal("TERM");
    assert_eq!(server.ended_well(), "Sluice has stopped\n");
}

#[test]
fn without_flags_the_data_is_kept_where_the_program_was_started() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = sluice(directory.path(), &["serve"]);
    command.env("SLUICE_BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Starting(command.spawn().unwrap()).ready();
    assert!(server.greeting[0].ends_with(", with sqlite:sluice.db"), "{:?}", server.greeting);
    server.stop();
    assert!(directory.path().join("sluice.db").exists());
}

#[test]
fn the_largest_batch_is_taken_by_a_server_without_flags() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "sqlite:large.db");
    let connection = |name: &str| {
        let create = format!(
            "mutation {{ createConnection(input: {{ name: \"{name}\", provider: \"csv\" }}) {{ connection {{ id }} }} }}"
        );
        server.graphql(&create)["data"]["createConnection"]["connection"]["id"].take()
    };
    let object = |number: u32| format!("sales.invoice_lines_{:05}", number % 5_000);
    let pair = |number: u32| {
        let required = json!({ "extract": [object(number)], "load": [object(number / 2)], "loadResult": [object(number / 3)] });
        let required = if number < 2 { json!({ "extract": [object(number)] }) } else { required };
        [
            json!({ "type": "EXTRACT", "object": object(number) }),
            json!({ "type": "LOAD", "object": object(number), "requiredObjects": required }),
        ]
    };
    let jobs: Vec<_> = (0..5_000).flat_map(pair).collect();
    let input = json!({
        "sourceConnectionId": connection("source"), "destinationConnectionId": connection("destination"), "jobs": jobs
    });
    let query = "mutation ($input: CreateBatchInput!) {
        createBatch(input: $input) { batch { jobCounts { total } } userErrors { message } } }";
    let body = json!({ "query": query, "variables": { "input": input } }).to_string();
    assert!(body.len() > 1024 * 1024, "{}", body.len());
    let response = server.request("POST", "/graphql", &body);
    let created = json!({ "data": { "createBatch": { "batch": { "jobCounts": { "total": 10_000 } }, "userErrors": [] } } });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(response.split_once("\r\n\r\n").unwrap().1).unwrap(),
        created
    );
}

#[test]
fn a_second_start_finds_the_data_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "sqlite:kept.db");
    assert_eq!(server.graphql(CREATE)["data"]["createConnection"]["userErrors"], serde_json::json!([]));
    server.stop();
    let server = Server::start(directory.path(), "sqlite:kept.db");
    assert_eq!(server.graphql(COUNT)["data"]["connections"]["totalCount"], 1);
    server.stop();
}

#[test]
fn a_signal_lets_open_requests_end_first() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["TERM", "INT"] {
        let server = Server::start(directory.path(), "sqlite:sluice.db");
        let body = serde_json::json!({ "query": CREATE.replace("kept", name) }).to_string();
        let (early, late) = body.as_bytes().split_at(body.len() / 2);
        let mut open = server.connect();
        open.write_all(b"POST /graphql HTTP/1.1\r\nexpect: 100-continue\r\n").unwrap();
        open.write_all(head("POST", "/graphql", body.len()).split_once("\r\n").unwrap().1.as_bytes())
            .unwrap();
        // It asks for the body: the request is being answered.
        let mut asked = [0; 25];
        open.read_exact(&mut asked).unwrap();
        assert_eq!(text(&asked), "HTTP/1.1 100 Continue\r\n\r\n");
        open.write_all(early).unwrap();

        server.signal(name);
        server.wait_until_it_takes_no_connections();
        open.write_all(late).unwrap();
        let answer = response(open);
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(r#""userErrors":[]}}}"#),
            "{answer}"
        );
        assert_eq!(server.ended_well(), "Sluice has stopped\n", "{name}");
    }
    let server = Server::start(directory.path(), "sqlite:sluice.db");
    assert_eq!(server.graphql(COUNT)["data"]["connections"]["totalCount"], 2, "what they wrote is kept");
    server.stop();
}

#[test]
fn a_signal_ends_live_streams_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["TERM", "INT"] {
        let server = Server::start(directory.path(), "sqlite:sluice.db");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut socket = open_socket(&server, &["graphql-transport-ws", "graphql-ws"]).await;
            let mut idle = open_socket(&server, &["graphql-ws"]).await;
            socket.send(Message::text(r#"{"type":"connection_init"}"#)).await.unwrap();
            assert_eq!(heard(&mut socket).await, Message::text(r#"{"type":"connection_ack"}"#));

            let batch = create_batch(&server, name);
            let query = format!("subscription {{ batch(id: {batch}) {{ status }} }}");
            let subscribe =
                serde_json::json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
            socket.send(Message::text(subscribe.to_string())).await.unwrap();
            assert!(heard(&mut socket).await.to_text().unwrap().contains("PENDING"));
            let mut events = server.connect();
            let body = serde_json::json!({ "query": query }).to_string();
            let head = head("POST", "/graphql", body.len());
            events
                .write_all(head.replace("connection: close", "accept: text/event-stream").as_bytes())
                .unwrap();
            events.write_all(body.as_bytes()).unwrap();
            let mut events = BufReader::new(events);
            let mut line = String::new();
            while !line.contains("PENDING") {
                line.clear();
                assert_ne!(events.read_line(&mut line).unwrap(), 0, "the stream ended");
            }

            let signaled = std::time::Instant::now();
            server.signal(name);
            for socket in [&mut socket, &mut idle] {
                let close = CloseFrame { code: CloseCode::Away, reason: "server is stopping".into() };
                assert_eq!(heard(socket).await, Message::Close(Some(close)));
            }
            let mut rest = String::new();
            events.read_to_string(&mut rest).unwrap();
            assert!(
                rest.contains(": server is stopping\n\n") && !rest.contains("event: complete"),
                "{rest:?}"
            );
            assert_eq!(server.ended_well(), "Sluice has stopped\n", "{name}");
            let taken = signaled.elapsed();
            assert!(taken.as_secs() < 15, "it waited for the streams: {taken:?}");
        });
    }
}

/// Makes a batch on a connection of this name and gives its id.
fn create_batch(server: &Server, name: &str) -> serde_json::Value {
    let created = server.graphql(&format!(
        r#"mutation {{ createConnection(input: {{ name: "{name}", provider: "csv" }}) {{ connection {{ id }} }} }}"#
    ));
    let connection = &created["data"]["createConnection"]["connection"]["id"];
    let mut created = server.graphql(&format!(
        r#"mutation {{ createBatch(input: {{ sourceConnectionId: {connection}, destinationConnectionId: {connection},
            jobs: [{{ type: EXTRACT, object: "Account" }}] }}) {{ batch {{ id }} }} }}"#
    ));
    created["data"]["createBatch"]["batch"]["id"].take()
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open_socket(server: &Server, protocols: &[&str]) -> Socket {
    let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols.join(", ").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

/// The next message that is no ping.
async fn heard(socket: &mut Socket) -> Message {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Ping(_) => {}
            message => return message,
        }
    }
}

#[test]
fn on_postgresql_a_second_start_finds_the_data_of_the_first() {
    let Some(schema) = Schema::create() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &schema.url());
    assert!(!server.greeting[0].contains("search_path"), "parameters are not shown: {:?}", server.greeting);
    assert_eq!(server.graphql(CREATE)["data"]["createConnection"]["userErrors"], serde_json::json!([]));
    server.signal("INT");
    assert_eq!(server.ended_well(), "Sluice has stopped\n");
    let server = Server::start(directory.path(), &schema.url());
    assert_eq!(server.graphql(COUNT)["data"]["connections"]["totalCount"], 1);
    server.stop();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no file is made");
}

#[test]
fn servers_that_start_at_once_on_an_empty_postgresql_all_come_up() {
    let Some(schema) = Schema::create() else { return };
    let directory = tempfile::tempdir().unwrap();
    let starting: Vec<Starting> = (0..3).map(|_| Server::spawn(directory.path(), &schema.url())).collect();
    let servers: Vec<Server> = starting.into_iter().map(Starting::ready).collect();
    servers[0].graphql(CREATE);
    for server in servers {
        assert_eq!(server.graphql(COUNT)["data"]["connections"]["totalCount"], 1);
        server.stop();
    }
}

#[test]
fn servers_that_start_at_once_on_a_new_file_all_come_up() {
    let directory = tempfile::tempdir().unwrap();
    let starting: Vec<Starting> = (0..3).map(|_| Server::spawn(directory.path(), "sqlite:new.db")).collect();
    let servers: Vec<Server> = starting.into_iter().map(Starting::ready).collect();
    servers[0].graphql(CREATE);
    for server in servers {
        assert_eq!(server.graphql(COUNT)["data"]["connections"]["totalCount"], 1);
        server.stop();
    }
}

#[test]
fn a_bad_flag_is_refused_before_anything_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 9] = [
        &["serve", "--nonsense"],
        &["serve", "--max-body-bytes", "0"],
        &["serve", "--max-jobs", "0"],
        &["serve", "--bind", "here"],
        &["serve", "--workers", "0"],
        &["serve", "--database-connections", "0"],
        &["serve", "--database-url", "mysql://db/x"],
        &["serve", "--database-url", "sqlite::memory:"],
        &["nonsense"],
    ];
    for arguments in cases {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).starts_with("error: "), "{}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_database_url_that_is_refused_is_not_repeated_with_its_password() {
    let directory = tempfile::tempdir().unwrap();
    for url in ["mysql://me:s3cret@db/x", "postgre://me:s3cret@db/x"] {
        let output = run(directory.path(), &["serve", "--database-url", url]);
        assert_eq!(output.status.code(), Some(2));
        assert!(!text(&output.stderr).contains("s3cret"), "{}", text(&output.stderr));
    }
}

#[test]
fn operations_that_can_not_be_registered_are_named() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["migrate", "up"]);
    let serve = ["serve", "--bind", "127.0.0.1:0", "--operations-dir", "operations"];
    let sentence = complaint(directory.path(), &serve);
    assert!(sentence.contains("cannot register the operations: operations: "), "{sentence}");
    std::fs::create_dir(directory.path().join("operations")).unwrap();
    std::fs::write(directory.path().join("operations/wrong.graphql"), "{ nothing }").unwrap();
    let sentence = complaint(directory.path(), &serve);
    assert!(sentence.contains("operations/wrong.graphql: ") && sentence.contains("nothing"), "{sentence}");
}

#[test]
fn an_address_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(
        complaint(directory.path(), &["serve", "--bind", &address]),
        format!("error: cannot listen on {address}: Address already in use (os error 98)")
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no database was made");
}

#[test]
fn an_unreachable_database_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens there any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/sluice?application_name=s3cret");
    for arguments in [
        &["serve", "--bind", "127.0.0.1:0", "--database-url", &url][..],
        &["migrate", "up", "--database-url", &url],
        &["migrate", "status", "--database-url", &url],
    ] {
        let said = complaint(directory.path(), arguments);
        assert!(
            said.starts_with(&format!(
                "error: cannot open the database postgres://me@127.0.0.1:{port}/sluice: "
            )),
            "{said}"
        );
        assert!(said.contains("Connection refused"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_postgresql_that_refuses_is_named_with_the_reason() {
    let Some(_schema) = Schema::create() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = server();
    let (host, _) = server.rsplit_once('/').unwrap();
    let url = format!("{host}/no_such_database");
    let said = complaint(directory.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", &url]);
    assert!(said.contains("no_such_database") && said.contains("does not exist"), "{said}");
}

#[test]
fn a_database_url_that_makes_no_sense_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let url = "postgres://me:s3cret@127.0.0.1:port/sluice";
    let said = complaint(directory.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", url]);
    assert!(said.contains("port") && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("newer.db");
    let url = format!("sqlite:{}", path.display());
    assert!(run(directory.path(), &["migrate", "up", "--database-url", &url]).status.success());
    execute(&url, NEWER).unwrap();
    let expected = format!(
        "error: cannot open the database {url}: this database was written by a newer version of Sluice \
         (it has m9999_future); use that version"
    );
    assert_eq!(
        complaint(directory.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", &url]),
        expected
    );
    assert_eq!(complaint(directory.path(), &["migrate", "up", "--database-url", &url]), expected);
    assert_eq!(complaint(directory.path(), &["migrate", "status", "--database-url", &url]), expected);

    let Some(schema) = Schema::create() else { return };
    let url = schema.url();
    assert!(run(directory.path(), &["migrate", "up", "--database-url", &url]).status.success());
    execute(&url, NEWER).unwrap();
    let said = complaint(directory.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", &url]);
    assert!(said.contains("newer version of Sluice (it has m9999_future)"), "{said}");
}

#[test]
fn a_file_that_can_not_be_a_database_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let serve =
        |url: &str| complaint(directory.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", url]);
    std::fs::write(
        directory.path().join("poem.txt"),
        "a poem is no database, however long it is ".repeat(100),
    )
    .unwrap();
    let said = serve("sqlite:poem.txt");
    assert!(
        said.starts_with("error: cannot open the database sqlite:poem.txt: ")
            && said.contains("not a database"),
        "{said}"
    );
    let poem = std::fs::read_to_string(directory.path().join("poem.txt")).unwrap();
    assert!(poem.ends_with("however long it is "), "it is left as it was");

    for url in ["sqlite:no/such/directory/sluice.db", "sqlite:/proc/sluice.db"] {
        let said = serve(url);
        let reason = said.strip_prefix(&format!("error: cannot open the database {url}: "));
        assert!(reason.is_some_and(|reason| reason.contains("unable to open database file")), "{said}");
    }
}

#[test]
fn migrate_says_what_the_database_has_and_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let mut urls = vec!["sqlite:sluice.db".to_owned()];
    let schema = Schema::create();
    urls.extend(schema.as_ref().map(Schema::url));
    for url in urls {
        let migrate = |action| {
            let output = run(directory.path(), &["migrate", action, "--database-url", &url]);
            assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
            text(&output.stdout).to_owned()
        };
        let names = [
            "m0001_tenants",
            "m0002_connections",
            "m0003_batches",
            "m0004_jobs",
            "m0005_dependencies",
            "m0006_runs",
            "m0007_attempts",
            "m0008_events",
            "m0009_dependents",
            "m0010_requires",
            "m0011_room",
            "m0012_tokens",
            "m0013_credentials",
            "m0014_schedules",
            "m0015_schedule_events",
            "m0016_server_secrets",
            "m0017_watermarks",
            "m0018_backfills",
            "m0020_lanes",
            "m0021_retention",
            "m0022_connection_changes",
            "m0023_room_for_jobs",
        ];
        let listed = |word: &str| names.map(|name| format!("{word}  {name}\n")).concat();
        assert_eq!(migrate("status"), listed("pending"));
        assert_eq!(migrate("status"), listed("pending"), "to ask changes nothing");
        assert_eq!(migrate("up"), listed("applied"));
        assert_eq!(migrate("status"), listed("applied"));
        assert_eq!(migrate("up"), "the database is up to date\n");
    }
}

#[test]
fn migrate_status_makes_no_database() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["migrate", "status", "--database-url", "sqlite:sluice.db"]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn the_schema_is_printed_as_it_was_committed() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["schema"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(text(&output.stdout) == committed, "sluice schema prints another schema than schema.graphql");
}

#[test]
fn a_demonstration_really_runs_on_a_database_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--bind", "127.0.0.1:0", "--workers", "1"];
    let child =
        sluice(directory.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let server = Starting(child).ready();
    let succeeded = || {
        let response = server.graphql("{ events(filter: { kinds: [JOB_SUCCEEDED] }) { totalCount } }");
        response["data"]["events"]["totalCount"].as_i64().unwrap()
    };
    while succeeded() == 0 {}
    assert!(directory.path().join("sluice-demo.db").exists());
    server.signal("TERM");
    assert_eq!(server.ended_well(), "A demonstration goes on in the tenant named demo\nSluice has stopped\n");
}

#[test]
fn a_lease_stands_in_no_table_and_in_no_log() {
    let schema = Schema::create();
    let urls = [Some("sqlite:leases.db".to_owned()), schema.as_ref().map(Schema::url)];
    for url in urls.into_iter().flatten() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command =
            sluice(directory.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", &url]);
        command.env("RUST_LOG", "debug").stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let server = Starting(command.spawn().unwrap()).ready();
        let connect = |name: &str| {
            let made = server.graphql(&format!(
                r#"mutation {{ createConnection(input: {{ name: "{name}", provider: "csv" }}) {{ connection {{ id }} }} }}"#
            ));
            made["data"]["createConnection"]["connection"]["id"].clone()
        };
        let (source, destination) = (connect("source"), connect("destination"));
        server.graphql(&format!(
            r#"mutation {{ createBatch(input: {{ sourceConnectionId: {source}, destinationConnectionId: {destination},
                jobs: [{{ type: EXTRACT, object: "a" }}, {{ type: EXTRACT, object: "b" }}] }}) {{ batch {{ id }} }} }}"#
        ));
        let claimed = server
            .graphql(r#"mutation { claimJobs(input: { worker: "w", limit: 2 }) { claims { lease } } }"#);
        let claims = claimed["data"]["claimJobs"]["claims"].as_array().unwrap();
        let leases: Vec<&str> = claims.iter().map(|claim| claim["lease"].as_str().unwrap()).collect();
        assert_eq!(leases.len(), 2);
        let reported = server.graphql(&format!(
            r#"mutation {{ heartbeat(input: {{ leases: [{{ lease: "{0}" }}, {{ lease: "{1}" }}] }}) {{ leases {{ stop }} }}
                completeJob(input: {{ lease: "{0}" }}) {{ job {{ id }} }}
                failJob(input: {{ lease: "{1}", code: "X", message: "x" }}) {{ job {{ id }} }}
                releaseJob(input: {{ lease: "{1}" }}) {{ userErrors {{ message }} }} }}"#,
            leases[0], leases[1]
        ));
        assert!(reported.get("errors").is_none(), "{reported}");
        // Neither does what the server says when it does not understand.
        server.graphql(&format!(
            r#"mutation {{ completeJob(input: {{ leases: "{}" }}) {{ job {{ id }} }} }}"#,
            leases[0]
        ));
        server.stop();
        for lease in leases {
            let secret = lease.strip_prefix("lease_").unwrap();
            for file in std::fs::read_dir(directory.path()).unwrap() {
                let path = file.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                assert!(
                    !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                    "{}",
                    path.display()
                );
            }
            let Some(schema) = schema.as_ref().filter(|_| url.starts_with("postgres")) else { continue };
            let found = ["attempts", "events", "jobs", "worker_calls"].map(|table| {
                let hex = format!("encode('{secret}'::bytea, 'hex')");
                format!("EXISTS (SELECT FROM {table} WHERE {table}::text LIKE '%{secret}%' OR {table}::text LIKE '%' || {hex} || '%')")
            });
            let found = found.join(" OR ");
            execute(&schema.url(), &format!("DO $$ BEGIN ASSERT NOT ({found}), 'a lease is stored'; END $$"))
                .unwrap();
        }
        assert!(std::fs::metadata(&log).unwrap().len() > 0, "the log says something");
    }
}
