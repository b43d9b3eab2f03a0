//! Who shows a token.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{Answer, EventStream, Socket, TestApp, text};

/// A client with a token.
pub struct Actor<'a> {
    app: &'a TestApp,
    pub secret: String,
    pub id: String,
}

impl TestApp {
    /// Makes a token, for a tenant or for all, by whoever may: anybody while there is none.
    pub async fn create_token(&self, role: &str, tenant: Option<&str>) -> Actor<'_> {
        let input = json!({ "name": role.to_lowercase(), "role": role, "tenantId": tenant });
        let payload = self.done("createToken", "secret token { id }", input).await;
        Actor { app: self, secret: text(&payload["secret"]), id: text(&payload["token"]["id"]) }
    }
}

impl TestApp {
    /// Who shows this, for whom there is no token.
    pub fn showing(&self, secret: String) -> Actor<'_> {
        Actor { app: self, secret, id: String::new() }
    }
}

impl<'a> Actor<'a> {
    /// Makes a token for another one.
    pub async fn create_token(&self, role: &str, tenant: Option<&str>) -> Actor<'a> {
        let input = json!({ "name": role.to_lowercase(), "role": role, "tenantId": tenant });
        let payload = self.done("createToken", "secret token { id }", input).await;
        self.with(text(&payload["secret"]), text(&payload["token"]["id"]))
    }

    /// One with this token.
    pub fn with(&self, secret: String, id: String) -> Actor<'a> {
        Actor { app: self.app, secret, id }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.secret)
    }

    /// Sends a request.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bearer = self.bearer();
        let headers = [("authorization", &*bearer)];
        match body {
            Some(body) => self.app.send_json(method, path, &headers, body).await,
            None => self.app.send(method, path, &headers, Vec::new()).await,
        }
    }

    /// Runs a GraphQL operation and gives the whole response.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        self.send(Method::POST, "/graphql", Some(&body)).await.json()
    }

    /// Runs a GraphQL operation that must succeed and gives its data.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let mut response = self.graphql(query, variables).await;
        assert_eq!(response.get("errors"), None, "{query}");
        response["data"].take()
    }

    /// Runs a query about the history until it is as expected: PostgreSQL shows an event once every older
    /// transaction of the whole server has ended, those of other tests included.
    pub async fn data_once(&self, query: &str, expected: impl Fn(&Value) -> bool) -> Value {
        loop {
            let data = self.data(query, Value::Null).await;
            if expected(&data) {
                return data;
            }
        }
    }

    /// Runs a mutation that must succeed and gives its payload.
    pub async fn done(&self, name: &str, selection: &str, input: Value) -> Value {
        let (first, rest) = name.split_at(1);
        let input_type = format!("{}{rest}Input", first.to_uppercase());
        let document = format!(
            "mutation ($input: {input_type}!) {{ {name}(input: $input) {{
                {selection} userErrors {{ code message field }} }} }}"
        );
        let payload = self.data(&document, json!({ "input": input })).await[name].take();
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        payload
    }

    /// Asks for an operation as a stream, and gives the status of the answer.
    pub async fn stream_status(&self, query: &str) -> StatusCode {
        self.begin_stream(query).await.status()
    }

    /// Asks for an operation as a stream.
    pub async fn stream(&self, query: &str) -> EventStream {
        EventStream::new(self.begin_stream(query).await)
    }

    async fn begin_stream(&self, query: &str) -> Response {
        let (bearer, body) = (self.bearer(), json!({ "query": query }).to_string());
        let headers = [
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("authorization", &*bearer),
        ];
        self.app.begin(Method::POST, "/graphql", &headers, body.into_bytes()).await
    }

    /// Opens a WebSocket and says who it is in `connection_init`.
    pub async fn open_socket(&self) -> Socket {
        let mut socket = self.app.socket("graphql-transport-ws").await;
        let payload = json!({ "Authorization": self.bearer() });
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        socket
    }
}
