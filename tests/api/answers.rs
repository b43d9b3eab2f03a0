//! Answers on their way: compressed, and left out where the client has them.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::{Answer, Method, StatusCode, TestApp, on_both};

const SHORT: &str = "/graphql?query=%7B__typename%7D";
/// Longer than a kilobyte.
const LONG: &str = "/graphql?query=%7B__schema%7Btypes%7Bname%20description%7D%7D%7D";

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.send(Method::GET, path, headers, Vec::new()).await
}

async fn encoding(app: &TestApp, path: &str, accepted: &str) -> Option<String> {
    let answer = get(app, path, &[("accept-encoding", accepted)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{path} {accepted}");
    answer.header("content-encoding").map(str::to_owned)
}

on_both! {
    async fn long_answers_are_compressed_as_the_client_likes_it(app: TestApp) {
        let plain = get(app, LONG, &[]).await;
        assert_eq!((plain.header("content-encoding"), plain.body.len() > 10_000), (None, true));
        let compressed = get(app, LONG, &[("accept-encoding", "gzip")]).await;
        assert_eq!(compressed.header("content-encoding"), Some("gzip"));
        assert!(compressed.body.len() < plain.body.len() / 2);
        let mut read = String::new();
        GzDecoder::new(&compressed.body[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, plain.text());
        for (accepted, encoding_of_it) in [
            ("gzip, deflate, br, zstd", "br"),
            ("zstd", "zstd"),
            ("br;q=0.5, gzip;q=0.9", "gzip"),
            ("deflate", ""),
            ("identity", ""),
            ("gzip;q=0", ""),
        ] {
            let encoding = encoding(app, LONG, accepted).await.unwrap_or_default();
            assert_eq!(encoding, encoding_of_it, "{accepted}");
        }
        for headers in [&[][..], &[("accept-encoding", "gzip")]] {
            let vary = get(app, LONG, headers).await;
            let vary: Vec<&str> = vary.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
            assert!(vary.join(",").contains("accept-encoding"), "{vary:?}");
        }
        let posted = app
            .send_json(Method::POST, "/graphql", &[("accept-encoding", "gzip")], &json!({ "query": "{ __schema { types { name description } } }" }))
            .await;
        assert_eq!(posted.header("content-encoding"), Some("gzip"));
    }

    async fn short_answers_and_streams_are_sent_as_they_are(app: TestApp) {
        assert_eq!(encoding(app, SHORT, "gzip").await, None);
        let headers = [("accept-encoding", "gzip"), ("accept", "text/event-stream")];
        let stream = get(app, LONG, &headers).await;
        assert_eq!((stream.header("content-type"), stream.header("content-encoding")), (Some("text/event-stream"), None));
    }

    async fn an_answer_that_the_client_has_is_not_sent_again(app: TestApp) {
        app.create_connection("first").await;
        let path = "/graphql?query=%7Bconnections%7Bnodes%7Bname%7D%7D%7D";
        let first = get(app, path, &[]).await;
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(first.header("cache-control"), Some("private, no-cache"));
        for shown in [&*tag, "*", &format!("\"other\", {tag}")] {
            let again = get(app, path, &[("if-none-match", shown)]).await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{shown}");
            assert_eq!(again.header("etag"), Some(&*tag));
        }
        app.create_connection("second").await;
        let changed = get(app, path, &[("if-none-match", &tag)]).await;
        assert_eq!(changed.status, StatusCode::OK);
        assert_eq!(changed.json()["data"]["connections"]["nodes"].as_array().map(Vec::len), Some(2));
        assert_ne!(changed.header("etag"), Some(&*tag));
        let refused = get(app, "/graphql?query=%7Bnothing%7D", &[("accept", "application/graphql-response+json")]).await;
        assert_eq!((refused.status, refused.header("etag")), (StatusCode::BAD_REQUEST, None));
        let compressed = get(app, LONG, &[("accept-encoding", "gzip")]).await;
        let plain = get(app, LONG, &[]).await;
        assert_eq!(compressed.header("etag"), plain.header("etag"));
        assert_eq!(plain.json()["errors"], Value::Null);
    }
}
