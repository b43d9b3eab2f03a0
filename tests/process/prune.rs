//! `sluice prune`, beside a server.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::{
    Schema,
    common::{Server, sluice},
    complaint, run, text,
};

/// Makes a batch of so many extracts that ends at once: it is canceled.
fn ended(server: &Server, connection: &Value, jobs: usize) {
    let jobs: Vec<String> =
        (0..jobs).map(|number| format!(r#"{{ type: EXTRACT, object: "object{number}" }}"#)).collect();
    let created = server.graphql(&format!(
        "mutation {{ createBatch(input: {{ sourceConnectionId: {connection}, destinationConnectionId: {connection},
            jobs: [{}] }}) {{ batch {{ id }} userErrors {{ message }} }} }}",
        jobs.join(", ")
    ));
    let id = &created["data"]["createBatch"]["batch"]["id"];
    let canceled = server
        .graphql(&format!("mutation {{ cancelBatch(input: {{ id: {id} }}) {{ batch {{ status }} }} }}"));
    assert_eq!(canceled["data"]["cancelBatch"]["batch"]["status"], "CANCELED", "{created} {canceled}");
}

fn connection(server: &Server) -> Value {
    let mutation =
        r#"mutation { createConnection(input: { name: "c", provider: "csv" }) { connection { id } } }"#;
    server.graphql(mutation)["data"]["createConnection"]["connection"]["id"].take()
}

fn batches(server: &Server) -> Value {
    server.graphql("{ batches { totalCount } }")["data"]["batches"]["totalCount"].take()
}

/// Runs `sluice prune`, which must succeed, and gives its last line.
fn prune(directory: &Path, database: &str, arguments: &[&str]) -> String {
    let output = run(directory, &[&["prune", "--database-url", database], arguments].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    out.lines().last().unwrap().to_owned()
}

fn prunes_beside_a_server(database: &str) {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let server = Server::start(directory, database);
    let connection = connection(&server);
    ended(&server, &connection, 2);
    ended(&server, &connection, 1);
    assert_eq!(
        prune(directory, database, &["--older-than", "1h"]),
        "deleted 0 batches with 0 jobs and 0 events"
    );
    let dry = prune(directory, database, &["--older-than", "0s", "--dry-run"]);
    assert_eq!(dry, "would delete 2 batches with 3 jobs and 0 events");
    assert_eq!(batches(&server), 2);
    assert_eq!(
        prune(directory, database, &["--older-than", "0s"]),
        "deleted 2 batches with 3 jobs and 0 events"
    );
    assert_eq!(batches(&server), 0);
    assert_eq!(server.graphql("{ events { nodes { kind } } }")["errors"], Value::Null);
    ended(&server, &connection, 1);
    server.stop();
}

#[test]
fn what_is_old_is_deleted_beside_a_server_on_sqlite() {
    prunes_beside_a_server("sqlite:sluice.db");
}

#[test]
fn what_is_old_is_deleted_beside_a_server_on_postgresql() {
    let Some(schema) = Schema::create() else { return };
    prunes_beside_a_server(&schema.url());
}

fn is_killed_and_run_again(database: &str) {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let server = Server::start(directory, database);
    let connection = connection(&server);
    for _ in 0..4 {
        ended(&server, &connection, 1_500);
    }
    let arguments = ["prune", "--older-than", "0s", "--database-url", database];
    let mut killed =
        sluice(directory, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Some step has been done: the batches are out of sight.
    while batches(&server) != 0 {}
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(server.graphql("{ jobs { totalCount } }")["data"]["jobs"], json!({ "totalCount": 0 }));
    let rest = prune(directory, database, &["--older-than", "0s"]);
    let jobs: u64 = rest.split(' ').nth(4).unwrap().parse().unwrap();
    assert!(jobs <= 6_000, "{rest}");
    let nothing = prune(directory, database, &["--older-than", "0s"]);
    assert_eq!(nothing, "deleted 0 batches with 0 jobs and 0 events");
    server.stop();
}

#[test]
fn what_a_killed_one_has_left_is_deleted_by_the_next_on_sqlite() {
    is_killed_and_run_again("sqlite:sluice.db");
}

#[test]
fn what_a_killed_one_has_left_is_deleted_by_the_next_on_postgresql() {
    let Some(schema) = Schema::create() else { return };
    is_killed_and_run_again(&schema.url());
}

#[test]
fn a_time_that_is_none_is_refused_before_anything_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["prune"][..], "--older-than"),
        (&["prune", "--older-than", "90"], "90d for ninety days"),
        (&["prune", "--older-than", "1d", "--events-older-than", "1y"], "90d for ninety days"),
        (&["prune", "--older-than", "999999w"], "a hundred years"),
        (&["serve", "--keep-finished", "59m"], "an hour at least"),
        (&["serve", "--keep-events", "x"], "90d for ninety days"),
    ] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let complaint =
        complaint(directory.path(), &["prune", "--older-than", "1d", "--database-url", "sqlite:no/such.db"]);
    assert!(complaint.contains("no/such.db"), "{complaint}");
}
