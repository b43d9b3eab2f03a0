//! The schema: what it is made of, and how an operation runs through it.

use std::sync::Arc;

use async_graphql::{
    EmptySubscription, Pos, Positioned, Request, Response, SDLExportOptions, SchemaBuilder, ServerError,
    Value, Variables,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
};
use serde::Serialize;

use super::{json::Json, loaders::Loaders, mutation::Mutation, query::Query, types::node::Node};
use crate::services::Services;

type Inner = async_graphql::Schema<Query, Mutation, EmptySubscription>;

/// The schema on top of the use cases.
#[derive(Clone)]
pub struct Schema {
    inner: Inner,
    services: Arc<Services>,
}

/// What a client wants to be run.
#[derive(Debug)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// Which of its operations; not needed where there is only one.
    pub operation_name: Option<String>,
    /// The values of its variables, a JSON object.
    pub variables: serde_json::Value,
}

/// Which operations a request may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Those that change nothing.
    Queries,
    /// All of them.
    All,
}

/// What became of an operation.
#[derive(Debug)]
pub struct Executed {
    /// The response, as JSON.
    pub json: Vec<u8>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran; single fields may have failed.
    Ran,
    /// It was refused before it ran.
    Refused,
    /// It is one that this request may not run.
    NotAllowed,
}

impl Schema {
    /// The schema on top of these use cases.
    pub fn new(services: Arc<Services>) -> Self {
        Self { inner: builder().data(services.clone()).finish(), services }
    }

    /// Runs one operation.
    pub async fn execute(&self, operation: Operation, allowed: Allowed) -> Executed {
        let Operation { query, operation_name, variables } = operation;
        let document = match parse_query(&query) {
            Ok(document) => document,
            Err(error) => return refused(vec![shortened(error.into())], "GRAPHQL_PARSE_FAILED"),
        };
        if allowed == Allowed::Queries && !is_query(&document, operation_name.as_deref()) {
            let message = "only queries can be sent with GET; send mutations with POST";
            let executed = refused(vec![ServerError::new(message, None)], "METHOD_NOT_ALLOWED");
            return Executed { outcome: Outcome::NotAllowed, ..executed };
        }
        let mut request = Request::new(query)
            .variables(Variables::from_json(variables))
            .data(Loaders::for_request(self.services.clone()));
        request.operation_name = operation_name;
        request.set_parsed_query(document);
        let mut response = self.inner.execute(request).await;
        // Whatever fails once an operation runs has a path.
        if response.data == Value::Null && response.errors.iter().all(|error| error.path.is_empty()) {
            return refused(response.errors, "GRAPHQL_VALIDATION_FAILED");
        }
        for error in &mut response.errors {
            // The executor's own complaints come without a code: they are about values that do not fit.
            let extensions = error.extensions.get_or_insert_default();
            if extensions.get("code").is_none() {
                extensions.set("code", "BAD_USER_INPUT");
            }
        }
        Executed { json: to_json(&response), outcome: Outcome::Ran }
    }
}

/// Whether the operation that would run is a query. A name that names none is left to the executor to
/// complain about.
fn is_query(document: &ExecutableDocument, name: Option<&str>) -> bool {
    let is_query = |operation: &Positioned<OperationDefinition>| operation.node.ty == OperationType::Query;
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => is_query(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name).is_none_or(is_query),
        // One that has a name stands here even if it is the only one, and runs without being named.
        (DocumentOperations::Multiple(operations), None) => operations.values().all(is_query),
    }
}

/// A syntax error quotes the line it is in. Where that is a long one, only what was expected is said;
/// the place stands in `locations`.
fn shortened(mut error: ServerError) -> ServerError {
    const LONGEST_LINE: usize = 200;
    if error.message.lines().any(|line| line.len() > LONGEST_LINE) {
        let expected = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
        error.message = expected.chars().take(LONGEST_LINE).collect();
    }
    error
}

fn refused(mut errors: Vec<ServerError>, code: &str) -> Executed {
    for error in &mut errors {
        error.extensions.get_or_insert_default().set("code", code);
        // A place in the document that is none, where the complaint is about the request.
        error.locations.retain(|place| *place != Pos::default());
    }
    // Specified: what did not run has no `data` at all, not even null.
    #[derive(Serialize)]
    struct Refusal {
        errors: Vec<ServerError>,
    }
    let json = serde_json::to_vec(&Refusal { errors }).unwrap_or_default();
    Executed { json, outcome: Outcome::Refused }
}

/// `errors` first, so that people see them; no `extensions` where there are none.
fn to_json(response: &Response) -> Vec<u8> {
    let mut json = Json::default();
    json.raw("{");
    if !response.errors.is_empty() {
        json.raw("\"errors\":");
        json.put(&response.errors);
        json.raw(",");
    }
    json.raw("\"data\":");
    json.tree(&response.data);
    json.raw("}");
    json.into_bytes()
}

/// The schema in the schema definition language, as `schema.graphql` and `GET /schema.graphql` have it.
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new())
}

fn builder() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .register_output_type::<Node>()
}
