//! Follows the history by server-sent events.

use serde_json::{Value, json};

use super::{Client, client::Failed};

/// A subscription that is open.
pub struct Follower {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Follower {
    /// Follows what comes after this cursor. The server has taken the subscription up when this returns.
    pub async fn open(client: &Client, after: Option<&str>) -> Result<Self, Failed> {
        const EVENTS: &str = "subscription ($after: String) {
            events(after: $after) { cursor node { kind batchId jobId attempt at } } }";
        let response = client.send(EVENTS, &json!({ "after": after }), "text/event-stream").await?;
        Ok(Self { response, buffer: Vec::new() })
    }

    /// The next event; `None` when the stream has ended or broken off.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                if let Some(data) = event.strip_prefix("event: next\ndata: ") {
                    let mut next: Value = serde_json::from_str(data.trim_end()).unwrap();
                    if next.get("errors").is_some() {
                        assert_eq!(next["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{next}");
                        return None;
                    }
                    return Some(next["data"]["events"].take());
                }
            }
            self.buffer.extend_from_slice(&self.response.chunk().await.ok().flatten()?);
        }
    }
}
