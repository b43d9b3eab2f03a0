//! Tokens on the command line, and a server that is not for everybody.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    common::{Server, Starting, sluice},
    complaint, run, text,
};

/// Makes a token and gives its secret.
fn create(directory: &Path, arguments: &[&str]) -> String {
    let output =
        run(directory, &[&["token", "create", "--database-url", "sqlite:sluice.db"], arguments].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(err.contains("never shown again") && !err.contains("sluice_"), "{err}");
    out.strip_suffix('\n').unwrap().to_owned()
}

/// The status, and the body, of an answer to somebody who shows this token.
fn ask(server: &Server, token: Option<&str>) -> (u16, Value) {
    let body = json!({ "query": "{ viewer { role tenant { name } } }" }).to_string();
    let answer = server.request_with(token, &body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn a_token_from_the_command_line_is_good_while_the_server_runs_and_until_it_is_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "sqlite:sluice.db");
    assert_eq!(ask(&server, None).0, 200, "open at home");
    let secret = create(directory.path(), &["--name", "ci", "--role", "operator", "--tenant", "default"]);
    let viewer = json!({ "data": { "viewer": { "role": "OPERATOR", "tenant": { "name": "default" } } } });
    assert_eq!(ask(&server, Some(&secret)), (200, viewer));
    // The server believes for two seconds that there is no token.
    while ask(&server, None).0 != 401 {}

    let list = run(directory.path(), &["token", "list"]);
    let list = text(&list.stdout);
    let id = list.split_whitespace().next().unwrap();
    assert!(id.starts_with("token_") && list.contains("operator") && list.contains("ci"), "{list}");
    assert!(!list.contains(&secret[34..]), "{list}");
    for _ in 0..2 {
        let revoked = run(directory.path(), &["token", "revoke", id]);
        assert_eq!(text(&revoked.stdout), format!("{id} is revoked\n"));
    }
    while ask(&server, Some(&secret)).0 != 401 {}
    let list = run(directory.path(), &["token", "list"]);
    assert!(text(&list.stdout).contains("revoked 20"), "{}", text(&list.stdout));
    server.stop();
}

#[test]
fn what_is_wrong_with_a_new_token_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let create = ["token", "create", "--name", "x", "--role"];
    for (arguments, said) in [
        (&["viewer"][..], "--tenant"),
        (&["viewer", "--tenant", "default", "--all-tenants"], "--all-tenants"),
        (&["root", "--all-tenants"], "viewer, operator, admin, worker"),
        (&["viewer", "--all-tenants", "--expires", "soon"], "RFC 3339"),
    ] {
        let output = run(directory.path(), &[&create, arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    for (arguments, said) in [
        (&["viewer", "--tenant", "nobody"][..], "this is not an id"),
        (&["viewer", "--tenant", "tenant_01h2xcejqtf2nbrexx3vqjhp41"], "there is no tenant with this id"),
        (&["viewer", "--all-tenants", "--expires", "2020-01-01"], "this is past"),
    ] {
        let sentence = complaint(directory.path(), &[&create, arguments].concat());
        assert!(sentence.contains(said), "{sentence}");
    }
    let sentence = complaint(directory.path(), &["token", "revoke", "token_01h2xcejqtf2nbrexx3vqjhp41"]);
    assert!(sentence.contains("there is no token with this id"), "{sentence}");
}

#[test]
fn a_server_that_others_can_reach_does_not_start_open() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["migrate", "up"]);
    let sentence = complaint(directory.path(), &["serve", "--bind", "0.0.0.0:0"]);
    for said in ["0.0.0.0:0", "sluice token create", "127.0.0.1", "--insecure-no-auth"] {
        assert!(sentence.contains(said), "{sentence}");
    }
}

#[test]
fn no_token_stands_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let secret = create(directory.path(), &["--name", "x", "--role", "admin", "--all-tenants"]);
    let log = directory.path().join("log");
    let arguments = ["serve", "--bind", "127.0.0.1:0"];
    let mut command = sluice(directory.path(), &arguments);
    command.env("RUST_LOG", "debug").stdout(std::process::Stdio::piped());
    command.stderr(std::fs::File::create(&log).unwrap());
    let server = Starting(command.spawn().unwrap()).ready();
    assert_eq!(ask(&server, Some(&secret)).0, 200);
    let bad = format!("{}x", &secret[..secret.len() - 1]);
    for _ in 0..20 {
        assert_eq!(ask(&server, Some(&bad)).0, 401);
    }
    server.stop();
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a request was not let in")).collect();
    assert_eq!(lines.len(), 5, "no more in a minute: {lines:#?}");
    for said in ["127.0.0.1", "UNAUTHENTICATED", "unknown_token"] {
        assert!(lines.iter().all(|line| line.contains(said)), "{lines:#?}");
    }
    assert!(!log.contains(&secret[34..70]), "the log has the token");
}
