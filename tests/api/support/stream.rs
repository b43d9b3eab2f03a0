//! A client of server-sent events.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::TestApp;

/// A stream of events.
pub struct EventStream {
    response: Response,
    buffer: String,
}

/// What stands between two empty lines.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Next(Value),
    Complete,
    Comment(String),
}

impl TestApp {
    /// Asks by POST for an operation as a stream.
    pub async fn stream(&self, query: &str) -> EventStream {
        let body = json!({ "query": query }).to_string();
        let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
        let response = self.begin(Method::POST, "/graphql", &headers, body.into_bytes()).await;
        assert_eq!(response.status(), StatusCode::OK);
        EventStream { response, buffer: String::new() }
    }
}

impl EventStream {
    pub fn new(response: Response) -> Self {
        Self { response, buffer: String::new() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.response.headers()[name].to_str().unwrap()
    }

    /// What comes next, comments included; `None` at the end.
    pub async fn any(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(match event.strip_prefix(':') {
                    Some(comment) => Event::Comment(comment.trim().to_owned()),
                    None if event == "event: complete\ndata: " => Event::Complete,
                    None => {
                        let data = event.strip_prefix("event: next\ndata: ");
                        let data = data.unwrap_or_else(|| panic!("{event:?}"));
                        Event::Next(serde_json::from_str(data).unwrap())
                    }
                });
            }
            self.buffer += str::from_utf8(&self.response.chunk().await.unwrap()?).unwrap();
        }
    }

    /// The next event that is no empty comment.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            let event = self.any().await;
            if event != Some(Event::Comment(String::new())) {
                return event;
            }
        }
    }

    /// The next response.
    pub async fn next(&mut self) -> Value {
        match self.event().await {
            Some(Event::Next(response)) => response,
            other => panic!("no response: {other:?}"),
        }
    }
}
