//! The two vocabularies of GraphQL over a WebSocket. They say the same things in different words.
//!
//! [`Protocol::TransportWs`] is <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.
//! [`Protocol::LegacyWs`] is what Apollo's `subscriptions-transport-ws` spoke before; some clients still
//! choose it where both are offered.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    graphql::{Executed, Operation},
    http::parameters::Parameters,
};

/// Which of the two is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `graphql-transport-ws`.
    TransportWs,
    /// `graphql-ws`, of `subscriptions-transport-ws`.
    LegacyWs,
}

/// What a client says.
#[derive(Debug)]
pub enum ClientMessage {
    /// It opens the connection, and may say who it is.
    Init(Option<Map<String, Value>>),
    /// It wants to hear from the server, with what it wants to hear.
    Ping(Option<Map<String, Value>>),
    /// It answers a ping.
    Pong,
    /// It wants something to be run.
    Subscribe {
        /// What it calls it.
        id: String,
        /// What shall be run.
        operation: Operation,
    },
    /// It wants no more of it.
    Complete {
        /// What it calls it.
        id: String,
    },
    /// It is done.
    Terminate,
}

/// What the server says.
#[derive(Debug)]
pub enum ServerMessage<'a> {
    /// The connection is open.
    Ack,
    /// The answer to a ping.
    Pong(Option<Map<String, Value>>),
    /// The connection is alive.
    KeepAlive,
    /// A response, or why there is none.
    Item {
        /// What the client calls the operation.
        id: &'a str,
        /// The response.
        executed: &'a Executed,
    },
    /// There will be no more responses.
    Complete {
        /// What the client calls the operation.
        id: &'a str,
    },
}

/// A message as it is written. What else stands in it is ignored.
#[derive(Deserialize)]
#[serde(expecting = "a message is a JSON object with a `type`")]
struct Envelope {
    r#type: String,
    id: Option<String>,
    payload: Option<Value>,
}

impl Envelope {
    fn id(&mut self) -> Result<String, String> {
        let id = self.id.take().filter(|id| !id.is_empty());
        id.ok_or_else(|| format!("`{}` needs an `id`, a text that is not empty", self.r#type))
    }

    fn operation(&mut self) -> Result<Operation, String> {
        let payload = self.payload.take().unwrap_or_default();
        let parameters = Parameters::deserialize(payload).map_err(|error| error.to_string());
        parameters.and_then(Parameters::operation).map_err(|error| format!("payload: {error}"))
    }

    fn object(&mut self) -> Result<Option<Map<String, Value>>, String> {
        match self.payload.take() {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(format!("the payload of `{}` must be a JSON object", self.r#type))
            }
        }
    }
}

impl Protocol {
    /// Their names, as a client and a server agree on one of them.
    pub const NAMES: [&str; 2] = [Self::TransportWs.name(), Self::LegacyWs.name()];

    const fn name(self) -> &'static str {
        match self {
            Self::TransportWs => "graphql-transport-ws",
            Self::LegacyWs => "graphql-ws",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::TransportWs, Self::LegacyWs].into_iter().find(|protocol| protocol.name() == name)
    }

    /// What a client said, or what is wrong with it.
    pub fn read(self, text: &str) -> Result<ClientMessage, String> {
        let mut message: Envelope = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match (self, message.r#type.as_str()) {
            (_, "connection_init") => message.object().map(ClientMessage::Init),
            (Self::TransportWs, "ping") => message.object().map(ClientMessage::Ping),
            (Self::TransportWs, "pong") => message.object().map(|_| ClientMessage::Pong),
            (Self::TransportWs, "subscribe") | (Self::LegacyWs, "start") => {
                Ok(ClientMessage::Subscribe { id: message.id()?, operation: message.operation()? })
            }
            (Self::TransportWs, "complete") | (Self::LegacyWs, "stop") => {
                Ok(ClientMessage::Complete { id: message.id()? })
            }
            (Self::LegacyWs, "connection_terminate") => Ok(ClientMessage::Terminate),
            (Self::TransportWs | Self::LegacyWs, other) => {
                Err(format!("{} has no message of the type {other:?}", self.name()))
            }
        }
    }

    /// The texts that say this: none where there is no word for it.
    pub fn write(self, message: ServerMessage<'_>) -> Vec<String> {
        match (self, message) {
            (_, ServerMessage::Ack) => vec![envelope("connection_ack", None, None)],
            (Self::TransportWs, ServerMessage::Pong(payload)) => {
                let payload = payload.map(|payload| Value::Object(payload).to_string());
                vec![envelope("pong", None, payload.as_deref())]
            }
            (Self::LegacyWs, ServerMessage::KeepAlive) => vec![envelope("ka", None, None)],
            (Self::TransportWs, ServerMessage::KeepAlive) | (Self::LegacyWs, ServerMessage::Pong(_)) => {
                Vec::new()
            }
            (Self::TransportWs, ServerMessage::Item { id, executed }) => vec![match executed.errors() {
                Some(errors) => envelope("error", Some(id), Some(errors)),
                None => envelope("next", Some(id), Some(&executed.json)),
            }],
            // Its `error` has room for one error only; the server that it comes from sends them as data.
            (Self::LegacyWs, ServerMessage::Item { id, executed }) => {
                let data = envelope("data", Some(id), Some(&executed.json));
                let end = executed.errors().map(|_| envelope("complete", Some(id), None));
                [Some(data), end].into_iter().flatten().collect()
            }
            (_, ServerMessage::Complete { id }) => vec![envelope("complete", Some(id), None)],
        }
    }
}

/// A message, around a payload that is JSON already.
fn envelope(kind: &str, id: Option<&str>, payload: Option<&str>) -> String {
    let mut message = format!(r#"{{"type":"{kind}""#);
    if let Some(id) = id {
        message += &format!(r#","id":{}"#, json!(id));
    }
    if let Some(payload) = payload {
        message += r#","payload":"#;
        message += payload;
    }
    message.push('}');
    message
}
