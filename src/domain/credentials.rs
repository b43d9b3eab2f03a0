//! Credentials of connections: they go in, are sealed, and come out only for the worker that needs them.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::problem::{At, Problem, ProblemCode};

/// Credentials as a client sent them. `Debug` does not show them.
#[derive(Clone)]
pub struct CredentialsDraft(pub Value);

impl fmt::Debug for CredentialsDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What opens a system: a JSON object. `Debug` does not show it, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Credentials(SecretString);

impl Credentials {
    /// How long the JSON text may be, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Checks credentials that came from outside.
    pub fn parse(CredentialsDraft(value): CredentialsDraft, at: &At<'_>) -> Result<Self, Problem> {
        match &value {
            Value::Object(_) => {}
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let message = "this must be a JSON object, {\"password\": \"…\"} for instance";
                return Err(at.problem(ProblemCode::InvalidValue, message));
            }
        }
        let text = SecretString::from(value.to_string());
        let length = text.expose_secret().len();
        if length > Self::MAX_BYTES {
            let message = format!("this has {length} bytes of JSON; at most {} are allowed", Self::MAX_BYTES);
            return Err(at.problem(ProblemCode::TooLong, message));
        }
        Ok(Self(text))
    }

    /// Credentials that were sealed; `None` when they are no JSON.
    pub fn unsealed(text: Vec<u8>) -> Option<Self> {
        String::from_utf8(text).ok().map(|text| Self(SecretString::from(text)))
    }

    /// The JSON text. The same credentials always make the same text.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What may be known of credentials that a connection has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsMark {
    /// Tells them from others.
    pub fingerprint: Fingerprint,
    /// When they were last changed, UTC.
    pub updated_at: DateTime<Utc>,
}

/// Tells credentials from others, for who has the same key and means the same connection. It says nothing
/// about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<u8>);

impl Fingerprint {
    /// One that was worked out, or stored.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
