//! What a client wants to be run, in the two ways to write it.

use serde::Deserialize;
use serde_json::Value;

use crate::graphql::{CostShown, Operation};

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
        let query = query.ok_or("`query` is missing: the GraphQL document to be run")?;
        let object = |value: &Value| value.is_null() || value.is_object();
        if !object(&variables) {
            return Err("`variables` must be a JSON object".into());
        }
        if !object(&extensions) {
            return Err("`extensions` must be a JSON object".into());
        }
        let operation_name = operation_name.filter(|name| !name.is_empty());
        let cost = if extensions["cost"] == true { CostShown::Yes } else { CostShown::No };
        Ok(Operation { query, operation_name, variables, cost })
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
