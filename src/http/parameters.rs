//! What a client wants to be run, in the two ways to write it.

use serde::Deserialize;
use serde_json::Value;

use crate::graphql::{Asked, CostShown, DocumentHash, Operation};

/// The body of a POST, and what a WebSocket client wants to be run. What else stands in it is left to
/// other servers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the body must be one JSON object with the field `query`")]
pub struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    #[serde(default)]
    variables: Value,
    #[serde(default)]
    extensions: Value,
}

/// The parameters of a GET. Those that are no text are JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlParameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Parameters {
    /// The operation they make, or what is wrong with them.
    pub fn operation(self) -> Result<Operation, String> {
        let Self { query, operation_name, variables, extensions } = self;
        let object = |value: &Value| value.is_null() || value.is_object();
        if !object(&variables) {
            return Err("`variables` must be a JSON object".into());
        }
        if !object(&extensions) {
            return Err("`extensions` must be a JSON object".into());
        }
        let document = match (query, persisted(&extensions)?) {
            (Some(text), None) => Asked::Text(text),
            (Some(text), Some(hash)) => Asked::Both(text, hash),
            (None, Some(hash)) => Asked::Hash(hash),
            (None, None) => return Err("`query` is missing: the GraphQL document to be run".into()),
        };
        let operation_name = operation_name.filter(|name| !name.is_empty());
        let cost = if extensions["cost"] == true { CostShown::Yes } else { CostShown::No };
        Ok(Operation { document, operation_name, variables, cost })
    }
}

/// The hash by which a client names a document
/// (<https://www.apollographql.com/docs/apollo-server/performance/apq>).
fn persisted(extensions: &Value) -> Result<Option<DocumentHash>, String> {
    let persisted = &extensions["persistedQuery"];
    if persisted.is_null() {
        return Ok(None);
    }
    let hash = persisted["sha256Hash"].as_str().and_then(DocumentHash::named);
    match (persisted["version"].as_i64(), hash) {
        (Some(1), Some(hash)) => Ok(Some(hash)),
        _ => Err("`extensions.persistedQuery` must have the `version` 1 and a `sha256Hash` of 64 hexadecimal digits".into()),
    }
}

/// The body of a POST: one operation, or several in a list.
pub enum Body {
    /// One.
    One(Parameters),
    /// Several, to be run one after the other.
    Many(Vec<Parameters>),
}

impl Body {
    /// Reads a body. A byte order mark is passed over, as RFC 8259 (section 8.1) allows.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let read = if is_list {
            serde_json::from_slice(bytes).map(Self::Many)
        } else {
            serde_json::from_slice(bytes).map(Self::One)
        };
        read.map_err(|error| error.to_string())
    }
}

impl UrlParameters {
    /// The operation they make, or what is wrong with them.
    pub fn operation(self) -> Result<Operation, String> {
        let Self { query, operation_name, variables, extensions } = self;
        let parse = |text: Option<String>, name| match text.filter(|text| !text.is_empty()) {
            None => Ok(Value::Null),
            Some(text) => {
                serde_json::from_str(&text).map_err(|error| format!("`{name}` is not JSON: {error}"))
            }
        };
        let variables = parse(variables, "variables")?;
        let extensions = parse(extensions, "extensions")?;
        Parameters { query, operation_name, variables, extensions }.operation()
    }
}
