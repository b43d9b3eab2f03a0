//! JSON Web Tokens of an issuer that is trusted.

use std::{
    cell::RefCell,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use sluice::{
    config::Config,
    issuer::{IssuerConfig, KeySet},
};
use tempfile::TempDir;

use crate::support::{Event, Method, StatusCode, TestApp, on_both, text};

/// Two keys, and what the issuer calls them.
const A: (&str, &str) = ("a", "MC4CAQAwBQYDK2VwBCIEIB0pEY3ez0Pd+0qstnobpTCtX2rGb+oqdzDwEmCb+rxu");
const B: (&str, &str) = ("b", "MC4CAQAwBQYDK2VwBCIEIJY/L2le1pPbRQZ5C9ez++ORl2r6qcHQh8Wg0uNrJisE");
/// Noon on 2026-11-23, when every test begins.
const NOON: i64 = 1_795_435_200;

thread_local! {
    /// Where the issuer of this test publishes its keys.
    static PUBLISHED: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fn key((_, der): (&str, &str)) -> EncodingKey {
    EncodingKey::from_ed_der(&BASE64_STANDARD.decode(der).unwrap())
}

fn key_set(keys: &[(&str, &str)]) -> String {
    let public = |name: &(&str, &str)| {
        let mut jwk = Jwk::from_encoding_key(&key(*name), Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(name.0.to_owned());
        jwk
    };
    json!({ "keys": keys.iter().map(public).collect::<Vec<_>>() }).to_string()
}

fn published() -> PathBuf {
    PUBLISHED.with_borrow(|directory| directory.as_ref().unwrap().path().join("keys.json"))
}

fn trust(config: &mut Config, keys: KeySet) {
    config.issuer = Some(IssuerConfig {
        issuer: "https://id.example".into(),
        audience: "sluice".into(),
        keys,
        role_claim: "https://sluice.example/role".into(),
        tenant_claim: "tenant".into(),
    });
}

/// A server that trusts an issuer, whose keys are in a file.
pub fn by_file(config: &mut Config) {
    PUBLISHED.set(Some(tempfile::tempdir().unwrap()));
    fs::write(published(), key_set(&[A])).unwrap();
    trust(config, KeySet::File(published()));
}

/// A server that gives the keys to whoever asks.
fn by_address(config: &mut Config) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).unwrap();
            let body = key_set(&[A]);
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    trust(config, url.parse().unwrap());
}

/// Claims that are good for an hour, with some changed; null takes one away.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example", "aud": ["other", "sluice"], "sub": "alice", "exp": NOON + 3600, "nbf": NOON,
        "https://sluice.example/role": "admin", "tenant": "*",
    });
    let map = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        map.insert(name.clone(), value.clone());
    }
    map.retain(|_, value| !value.is_null());
    claims
}

fn signed(by: (&str, &str), claims: &Value) -> String {
    let header = Header { kid: Some(by.0.into()), ..Header::new(Algorithm::EdDSA) };
    encode(&header, claims, &key(by)).unwrap()
}

/// A token of the issuer for who may do everything.
pub fn vouched() -> String {
    signed(A, &claims(json!({})))
}

async fn status(app: &TestApp, token: &str) -> StatusCode {
    let body = json!({ "query": "{ viewer { name } }" });
    app.showing(token.into()).send(Method::POST, "/graphql", Some(&body)).await.status
}

on_both! {
    async fn whom_the_issuer_vouches_for_is_let_in(app: TestApp) with by_file {
        assert_eq!(app.get("/batch").await.status, StatusCode::UNAUTHORIZED, "nobody else is");
        let admin = app.showing(signed(A, &claims(json!({}))));
        let viewer = "{ viewer { name role tenantId token { id } } }";
        let expected = json!({ "name": "alice", "role": "ADMIN", "tenantId": null, "token": null });
        assert_eq!(admin.data(viewer, Value::Null).await["viewer"], expected);
        let made = admin.done("createTenant", "tenant { id }", json!({ "name": "acme" })).await;
        let acme = text(&made["tenant"]["id"]);

        let changes = json!({ "sub": "bob", "https://sluice.example/role": "Viewer", "tenant": acme, "aud": "sluice" });
        let bob = app.showing(signed(A, &claims(changes)));
        let expected = json!({ "name": "bob", "role": "VIEWER", "tenantId": acme, "token": null });
        assert_eq!(bob.data(viewer, Value::Null).await["viewer"], expected);
        let names = bob.data("{ tenants { nodes { name } } }", Value::Null).await;
        assert_eq!(names["tenants"]["nodes"], json!([{ "name": "acme" }]));
        let own = admin.create_token("VIEWER", None).await;
        assert_eq!(own.data(viewer, Value::Null).await["viewer"]["name"], "viewer");
    }

    async fn changes_bear_the_name_that_the_issuer_gives(app: TestApp) with by_file {
        let admin = app.showing(signed(A, &claims(json!({}))));
        let input = json!({ "name": "x", "provider": "csv" });
        let id = admin.done("createConnection", "connection { id }", input).await["connection"]["id"].take();
        let jobs = json!([{ "type": "EXTRACT", "object": "a" }]);
        let input = json!({ "sourceConnectionId": id, "destinationConnectionId": id, "jobs": jobs });
        admin.done("createBatch", "batch { id }", input).await;
        let events = "{ events { nodes { actor { kind name tokenId } } } }";
        let events = admin.data_once(events, |data| data["events"]["nodes"] != json!([])).await;
        let actor = json!({ "kind": "CLIENT", "name": "alice", "tokenId": null });
        assert_eq!(events["events"]["nodes"], json!([{ "actor": actor }]));
    }

    async fn what_the_issuer_does_not_vouch_for_is_refused(app: TestApp) with by_file {
        assert_eq!(status(app, &signed(A, &claims(json!({})))).await, StatusCode::OK);
        for changes in [
            json!({ "iss": "https://evil.example" }),
            json!({ "iss": null }),
            json!({ "aud": "other" }),
            json!({ "aud": null }),
            json!({ "sub": null }),
            json!({ "sub": "" }),
            json!({ "sub": "a\u{0}b" }),
            json!({ "exp": null }),
            json!({ "exp": NOON - 60 }),
            json!({ "exp": 1e300 }),
            json!({ "nbf": NOON + 60 }),
            json!({ "https://sluice.example/role": null }),
            json!({ "https://sluice.example/role": "root" }),
            json!({ "https://sluice.example/role": ["admin"] }),
            json!({ "tenant": null }),
            json!({ "tenant": "" }),
            json!({ "tenant": "batch_01h2xcejqtf2nbrexx3vqjhp41" }),
        ] {
            assert_eq!(status(app, &signed(A, &claims(changes.clone()))).await, StatusCode::UNAUTHORIZED, "{changes}");
        }
        let good = signed(A, &claims(json!({})));
        let (head, signature) = good.rsplit_once('.').unwrap();
        let (_, payload) = head.split_once('.').unwrap();
        let unsigned = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"none","kid":"a"}"#);
        // The public key as if it were a shared secret.
        let public = key_set(&[A]);
        let confused = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(public.as_bytes());
        for token in [
            signed(B, &claims(json!({}))),
            encode(&Header { kid: Some("a".into()), ..Header::new(Algorithm::EdDSA) }, &claims(json!({})), &key(B)).unwrap(),
            encode(&confused, &claims(json!({})), &secret).unwrap(),
            format!("{unsigned}.{payload}."),
            format!("{unsigned}.{payload}.{signature}"),
            format!("{head}.{}", &signature[..signature.len() - 2]),
            "..".into(),
            "a.b.c".into(),
        ] {
            assert_eq!(status(app, &token).await, StatusCode::UNAUTHORIZED, "{token}");
        }
    }

    async fn a_token_ends_and_so_does_what_is_live_under_it(app: TestApp) with by_file {
        let token = signed(A, &claims(json!({ "exp": NOON + 600 })));
        let mut stream = app.showing(token.clone()).stream("subscription { events { cursor } }").await;
        assert_eq!(stream.any().await, Some(Event::Comment(String::new())));
        app.advance(620);
        assert_eq!(status(app, &token).await, StatusCode::OK, "clocks may differ by half a minute");
        app.advance(10);
        assert_eq!(status(app, &token).await, StatusCode::UNAUTHORIZED);
        assert_eq!(stream.event().await, Some(Event::Comment("the token is no longer good".into())));
    }

    async fn an_issuer_may_change_its_keys(app: TestApp) with by_file {
        let long = json!({ "exp": NOON + 86_400 });
        let (by_a, by_b) = (signed(A, &claims(long.clone())), signed(B, &claims(long)));
        fs::write(published(), key_set(&[A, B])).unwrap();
        assert_eq!(status(app, &by_b).await, StatusCode::UNAUTHORIZED, "it was looked at a moment ago");
        app.advance(10);
        assert_eq!(status(app, &by_b).await, StatusCode::OK);
        fs::write(published(), key_set(&[B])).unwrap();
        assert_eq!(status(app, &by_a).await, StatusCode::OK, "believed for an hour");
        app.advance(3_600);
        assert_eq!(status(app, &by_a).await, StatusCode::UNAUTHORIZED);
        fs::remove_file(published()).unwrap();
        app.advance(60);
        assert_eq!(status(app, &by_b).await, StatusCode::OK, "not to be read for a while is no reason");
        app.advance(3_600);
        assert_eq!(status(app, &by_b).await, StatusCode::UNAUTHORIZED);
    }

    async fn keys_come_from_an_address_too(app: TestApp) with by_address {
        assert_eq!(status(app, &signed(A, &claims(json!({})))).await, StatusCode::OK);
        assert_eq!(status(app, &signed(B, &claims(json!({})))).await, StatusCode::UNAUTHORIZED);
    }
}
