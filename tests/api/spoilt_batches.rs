//! Requests to `/batch` that were right before something happened to them. Whatever it was, the answer says so, and
//! what the server has taken it keeps as it was sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{
    Answer, Dice, Method, TestApp, all_graphs_are_right, everything, meaning, on_both, spoil_bytes,
    spoil_value,
};

/// How many requests are made.
const REQUESTS: usize = 700;

/// The codes that a refusal may have.
const CODES: &[&str] = &[
    "BAD_REQUEST",
    "BODY_TOO_DEEP",
    "MALFORMED_JSON",
    "UNSUPPORTED_MEDIA_TYPE",
    "WRONG_TYPE",
    "MISSING",
    "UNKNOWN_FIELD",
    "NOT_FOUND",
    "WRONG_ID_KIND",
    "INVALID_ID",
    "BLANK",
    "TOO_LONG",
    "OUT_OF_RANGE",
    "INVALID_CHARACTER",
    "INVALID_VALUE",
    "DUPLICATE_JOB",
    "UNKNOWN_OBJECT",
    "DEPENDENCY_CYCLE",
    "INVALID_SINCE",
    "UNSAFE_DELETE",
    "STALE_VERSION",
    "IDEMPOTENCY_CONFLICT",
    "READ_ONLY",
];

/// The names that the objects of a body may know.
const NAMES: &[&str] = &[
    "id",
    "tenant_id",
    "source_connection_id",
    "destination_connection_id",
    "since",
    "updated_since",
    "updated\\since",
    "priority",
    "failure_policy",
    "jobs",
    "type",
    "object",
    "grain",
    "connection_id",
    "allow_delete",
    "max_attempts",
    "required_objects",
    "extract",
    "load",
    "load_result",
    "Since",
    "",
    "a\0b",
];

const TAGS: &[&str] = &[
    "*",
    "\"1\"",
    "\"2\"",
    "\"2\", \"1\"",
    "W/\"1\"",
    "1",
    "",
    "\"one\"",
    "\"99999999999999999999\"",
    "\"\"\"",
];
const KEYS: &[&str] = &["a", "b", "c", "", " ", "clé", "a\tb"];
const MEDIA: &[&str] =
    &["text/plain", "application/json; charset=latin1", "json", "multipart/form-data; boundary=x", ""];
const LIMITS: &[&str] =
    &["0", "1", "7", "100", "101", "-1", "1.5", "", "99999999999999999999", "%00", "%FF", "1%202"];

/// Who sends the requests, and knows what must come of them.
struct Client<'a> {
    app: &'a TestApp,
    dice: Dice,
    ends: (String, String),
    /// The batches that there are, as they were last shown.
    batches: BTreeMap<String, String>,
    cursors: Vec<String>,
    /// How many batches were made, replaced and deleted.
    done: [usize; 3],
    refusals: BTreeSet<String>,
}

impl Client<'_> {
    /// A body that is right.
    fn body(&mut self) -> Value {
        let objects = ["a", "b", "é"];
        let mut jobs = Vec::new();
        for object in &objects[..1 + self.dice.below(3)] {
            jobs.push(json!({ "type": "extract", "object": object }));
            let kinds =
                [json!({ "extract": [object] }), json!({ "extract": ["a"], "load_result": [] }), json!({})];
            let required = self.dice.pick(&kinds);
            jobs.push(
                json!({ "type": "load", "object": object, "grain": "daily", "required_objects": required }),
            );
        }
        let mut body = json!({ "source_connection_id": self.ends.0, "destination_connection_id": self.ends.1, "jobs": jobs });
        let optional = [
            ("since", json!("2010-01-01")),
            ("updated_since", json!(1_262_304_001)),
            ("priority", json!(7)),
            ("failure_policy", json!("cancel_batch")),
        ];
        for (name, value) in optional {
            if self.dice.one_in(3) {
                body[name] = value;
            }
        }
        body
    }

    /// The bytes of a body that is right, or of one that is not quite.
    fn bytes(&mut self) -> Vec<u8> {
        let mut body = self.body();
        for _ in 0..self.dice.below(3) {
            spoil_value(&mut self.dice, &mut body, NAMES);
        }
        let mut bytes = body.to_string().into_bytes();
        if self.dice.one_in(5) {
            spoil_bytes(&mut self.dice, &mut bytes);
        }
        bytes
    }

    /// The id of a batch, or something that is none.
    fn id(&mut self) -> String {
        let known: Vec<String> = self.batches.keys().cloned().collect();
        if known.is_empty() || self.dice.one_in(10) {
            let odd = ["batch_01h2xcejqtf2nbrexx3vqjhp41", &self.ends.0, "x", "%00", "%FF", "batch_%C3%A9"];
            return self.dice.pick(&odd).to_owned();
        }
        self.dice.pick(&known)
    }

    /// The parameters of a list.
    fn parameters(&mut self) -> String {
        let mut parameters = Vec::new();
        if self.dice.one_in(2) {
            parameters.push(format!("limit={}", self.dice.pick(LIMITS)));
        }
        if !self.cursors.is_empty() && self.dice.one_in(2) {
            let mut cursor = self.dice.pick(&self.cursors).into_bytes();
            if self.dice.one_in(2) {
                let at = self.dice.below(cursor.len());
                cursor[at] = self.dice.pick(b"aZ0-_=+%.");
            }
            parameters.push(format!("cursor={}", String::from_utf8_lossy(&cursor)));
        }
        if self.dice.one_in(6) {
            let odd = [
                "tenant_id=x",
                "tenant_id=tenant_0000000000e008000000000000",
                "limit=1",
                "a=b",
                "=",
                "&",
                "%",
            ];
            parameters.push(self.dice.pick(&odd).to_owned());
        }
        parameters.join("&")
    }

    /// Sends something, and checks what comes back.
    async fn send(&mut self) {
        match self.dice.below(10) {
            0..4 => self.post().await,
            4..8 => self.put().await,
            8 => self.delete().await,
            _ => self.list().await,
        }
    }

    async fn post(&mut self) {
        let (bytes, mut headers) = (self.bytes(), vec![("content-type", self.media())]);
        if self.dice.one_in(3) {
            headers.push(("idempotency-key", self.dice.pick(KEYS)));
        }
        let answer = self.app.send(Method::POST, "/batch", &headers, bytes.clone()).await;
        let shown = format!("POST {headers:?} {}", shown(&bytes));
        if answer.status.as_u16() != 201 {
            return self.refused(&answer, &shown);
        }
        let id = answer.id();
        if let Some(known) = self.batches.get(&id) {
            assert_eq!(&answer.text(), known, "{shown}: the key was used before");
            return;
        }
        assert_eq!(answer.header("location"), Some(&*format!("/batch/{id}")), "{shown}");
        self.done[0] += 1;
        self.taken(&answer, &bytes, &shown).await;
    }

    async fn put(&mut self) {
        let (id, bytes, mut headers) = (self.id(), self.bytes(), vec![("content-type", self.media())]);
        if self.dice.one_in(3) {
            headers.push(("if-match", self.dice.pick(TAGS)));
        }
        let answer = self.app.send(Method::PUT, &format!("/batch/{id}"), &headers, bytes.clone()).await;
        let shown = format!("PUT {id} {headers:?} {}", shown(&bytes));
        if answer.status.as_u16() != 200 {
            return self.refused(&answer, &shown);
        }
        assert_eq!(answer.id(), id, "{shown}");
        self.done[1] += 1;
        self.taken(&answer, &bytes, &shown).await;
    }

    async fn delete(&mut self) {
        let (id, tag) = (self.id(), ("if-match", self.dice.pick(TAGS)));
        let headers = if self.dice.one_in(3) { vec![] } else { vec![tag] };
        let answer = self.app.send(Method::DELETE, &format!("/batch/{id}"), &headers, Vec::new()).await;
        let shown = format!("DELETE {id} {headers:?}");
        if answer.status.as_u16() != 200 {
            return self.refused(&answer, &shown);
        }
        assert_eq!(Some(answer.text()), self.batches.remove(&id), "{shown}");
        assert_eq!(self.app.get_batch(&id).await.status.as_u16(), 404, "{shown}");
        self.done[2] += 1;
    }

    async fn list(&mut self) {
        let path = format!("/batch?{}", self.parameters());
        let answer = self.app.get(&path).await;
        if answer.status.as_u16() != 200 {
            return self.refused(&answer, &path);
        }
        for batch in answer.json().as_array().unwrap() {
            let id = batch["id"].as_str().unwrap();
            let known: Value = serde_json::from_str(&self.batches[id]).unwrap();
            assert_eq!(batch, &known, "{path}");
        }
        let cursor = answer.header("link").and_then(|link| link.split(['=', '&', '>']).nth(3));
        self.cursors.extend(cursor.map(str::to_owned));
    }

    fn media(&mut self) -> &'static str {
        if self.dice.one_in(20) { self.dice.pick(MEDIA) } else { "application/json" }
    }

    /// A refusal is a document of the documented shape, with a code that is documented.
    fn refused(&mut self, answer: &Answer, shown: &str) {
        assert!((400..500).contains(&answer.status.as_u16()), "{shown}: {} {}", answer.status, answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{shown}: {}",
            answer.status
        );
        let (_, codes) = answer.problem_codes();
        for code in codes {
            let code = code.split(' ').next().unwrap().to_owned();
            assert!(CODES.contains(&&*code), "{shown}: {}", answer.text());
            self.refusals.insert(code);
        }
    }

    /// What was taken is what was sent, and is read as it was answered.
    async fn taken(&mut self, answer: &Answer, sent: &[u8], shown: &str) {
        let id = answer.id();
        let sent: Value = serde_json::from_slice(sent).unwrap();
        assert_eq!(meaning(&answer.json()), meaning(&sent), "{shown}");
        let read = self.app.get_batch(&id).await;
        assert_eq!((read.text(), read.header("etag")), (answer.text(), answer.header("etag")), "{shown}");
        self.batches.insert(id, answer.text());
    }
}

/// A body as a message shows it.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(3_000).collect()
}

on_both! {
    async fn whatever_is_wrong_is_said_and_what_is_taken_is_kept(app: TestApp) {
        let ends = app.create_ends().await;
        let mut client = Client {
            app,
            dice: Dice::seeded(42),
            ends,
            batches: BTreeMap::new(),
            cursors: Vec::new(),
            done: [0; 3],
            refusals: BTreeSet::new(),
        };
        for _ in 0..REQUESTS {
            client.send().await;
        }
        let Client { batches, done, refusals, .. } = client;
        assert!(done.iter().all(|times| *times > 10), "hardly anything was taken: {done:?}");
        assert!(refusals.len() > 15, "hardly anything was refused: {refusals:?}");

        let all = everything(app).await;
        let known = batches.iter().map(|(id, text)| (id.clone(), serde_json::from_str(text).unwrap()));
        assert_eq!(all, known.collect::<BTreeMap<String, Value>>());
        all_graphs_are_right(app, batches.keys()).await;
        let count = |kind: &str| format!("{kind}: events(filter: {{ kinds: [{kind}] }}) {{ totalCount }}");
        let query = format!("{{ {} }}", ["BATCH_CREATED", "BATCH_REPLACED", "BATCH_DELETED"].map(count).join(" "));
        let expected = json!({
            "BATCH_CREATED": { "totalCount": done[0] },
            "BATCH_REPLACED": { "totalCount": done[1] },
            "BATCH_DELETED": { "totalCount": done[2] },
        });
        // PostgreSQL shows an event once all older transactions of the whole server have ended.
        while app.data(&query, json!({})).await != expected {}
        for (id, text) in batches {
            let written = app.send(Method::PUT, &format!("/batch/{id}"), &[("content-type", "application/json")], text.clone().into_bytes()).await;
            assert_eq!((written.status.as_u16(), written.text()), (200, text), "what is read can be written back");
        }
    }
}
