//! The keys that seal credentials.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::{
    Schema,
    common::{Server, Starting, sluice},
    complaint, run, text,
};

const SECRET: &str = "correct horse battery staple";
const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
/// Another key under the same id.
const FALSE: &str = "old:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// Starts a server with these keys; what it logs goes to the file `log`.
fn start(directory: &Path, url: &str, keys: Option<&str>) -> Server {
    let mut command = sluice(directory, &["serve", "--bind", "127.0.0.1:0", "--database-url", url]);
    command.env("RUST_LOG", "debug").stdout(Stdio::piped());
    if let Some(keys) = keys {
        command.env("SLUICE_SECRET_KEY", keys);
    }
    let log = fs::File::options().create(true).append(true).open(directory.join("log")).unwrap();
    Starting(command.stderr(log).spawn().unwrap()).ready()
}

/// A key file, and the complaint of a server that starts with it.
fn complaint_with(directory: &Path, url: &str, keys: &str) -> String {
    fs::write(directory.join("keys"), keys).unwrap();
    complaint(
        directory,
        &["serve", "--bind", "127.0.0.1:0", "--database-url", url, "--secret-key-file", "keys"],
    )
}

/// Makes a connection with credentials, and a batch that uses it.
fn make(server: &Server) -> Value {
    let made = server.graphql(&format!(
        r#"mutation {{ createConnection(input: {{ name: "x", provider: "csv", credentials: {{ password: "{SECRET}" }} }}) {{
            connection {{ id }} userErrors {{ message field }} }} }}"#
    ));
    let id = made["data"]["createConnection"]["connection"]["id"].clone();
    if id.is_string() {
        server.graphql(&format!(
            r#"mutation {{ createBatch(input: {{ sourceConnectionId: {id}, destinationConnectionId: {id},
                jobs: [{{ type: EXTRACT, object: "a" }}, {{ type: EXTRACT, object: "b" }}] }}) {{ batch {{ id }} }} }}"#
        ));
    }
    made["data"]["createConnection"].clone()
}

fn claimed(server: &Server) -> Value {
    let answer =
        server.graphql(r#"mutation { claimJobs(input: { worker: "w" }) { claims { credentials } } }"#);
    answer["data"]["claimJobs"]["claims"][0]["credentials"].clone()
}

#[test]
fn beside_an_sqlite_database_a_key_is_made_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("sluice.db.key");
    let mut first = None;
    for _ in 0..2 {
        let server = start(directory.path(), "sqlite:sluice.db", None);
        if first.is_none() {
            make(&server);
        }
        assert_eq!(claimed(&server), json!({ "password": SECRET }));
        server.stop();
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).unwrap().permissions()) & 0o777,
            0o600
        );
        let text = fs::read_to_string(&key).unwrap();
        assert_eq!(*first.get_or_insert(text.clone()), text, "the key is another one");
    }
    let names = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("new-")), "half a key is left");
    fs::remove_file(&key).unwrap();
    let serve = ["serve", "--bind", "127.0.0.1:0", "--database-url", "sqlite:sluice.db"];
    let sentence = complaint(directory.path(), &serve);
    assert!(sentence.contains("sluice.db.key is missing") && sentence.contains("put it back"), "{sentence}");
    assert!(!key.exists(), "a new key hides that the old one is gone");
    let sentence = complaint_with(directory.path(), "sqlite:sluice.db", NEW);
    assert!(sentence.contains("sealed with the key 1, which is not there"), "{sentence}");
    for file in fs::read_dir(directory.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "a file has the credentials");
    }
}

#[test]
fn keys_are_rotated_while_a_server_runs_and_wrong_ones_are_refused_at_the_start() {
    let schema = Schema::create();
    let urls = [Some("sqlite:sluice.db".to_owned()), schema.as_ref().map(Schema::url)];
    for url in urls.into_iter().flatten() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let server = start(directory, &url, Some(OLD));
        make(&server);
        server.stop();
        for (keys, said) in [
            (FALSE, "the key old is not the one that this database knows"),
            (NEW, "sealed with the key old, which is not there"),
            ("", "there is no key"),
            ("old", "ID:KEY"),
        ] {
            let sentence = complaint_with(directory, &url, keys);
            assert!(sentence.contains(said), "{sentence}");
        }

        let server = start(directory, &url, Some(&format!("{NEW},{OLD}")));
        fs::write(directory.join("keys"), format!("{NEW}\n{OLD}\n")).unwrap();
        let rotate = ["secrets", "rotate", "--database-url", &url, "--secret-key-file", "keys"];
        for connections in [1, 0] {
            let output = run(directory, &rotate);
            let said = format!("sealed the credentials of {connections} connections anew\n");
            assert_eq!(text(&output.stdout), said, "{}", text(&output.stderr));
        }
        assert_eq!(claimed(&server), json!({ "password": SECRET }));
        server.stop();
        let server = start(directory, &url, Some(NEW));
        assert_eq!(claimed(&server), json!({ "password": SECRET }));
        server.stop();
        let log = fs::read_to_string(directory.join("log")).unwrap();
        for secret in [SECRET, &OLD[4..20], &NEW[4..20]] {
            assert!(!log.contains(secret), "the log has {secret}");
        }
    }
}

#[test]
fn a_postgresql_without_a_key_takes_no_credentials() {
    let Some(schema) = Schema::create() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path(), &schema.url(), None);
    let refused = make(&server);
    assert_eq!(refused["connection"], Value::Null);
    assert_eq!(refused["userErrors"][0]["field"], json!(["credentials"]));
    let message = refused["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.contains("--secret-key-file") && !message.contains(SECRET), "{message}");
    server.stop();
}
