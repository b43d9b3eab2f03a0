//! The schema: what it is made of, and how an operation runs through it.

use std::sync::Arc;

use async_graphql::{Request, SDLExportOptions, SchemaBuilder, Variables, parser::types::OperationType};
use futures_util::{Stream, StreamExt};

use super::{
    document,
    loaders::Loaders,
    mutation::Mutation,
    query::Query,
    response::{Executed, Outcome},
    subscription::Subscription,
    types::node::Node,
};
use crate::{domain::access::Caller, services::Services};

type Inner = async_graphql::Schema<Query, Mutation, Subscription>;

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

/// Who wants it, and what it may want.
#[derive(Debug, Clone)]
pub struct Requester {
    /// Who it is.
    pub caller: Arc<Caller>,
    /// Which operations the way on which it came allows.
    pub allowed: Allowed,
}

/// Which operations a request may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Those that change nothing.
    Reads,
    /// All of them.
    All,
}

impl Default for Requester {
    /// Anybody, who may want anything: where a server is open.
    fn default() -> Self {
        Self { caller: Arc::new(Caller::ANYBODY), allowed: Allowed::All }
    }
}

impl Schema {
    /// The schema on top of these use cases.
    pub fn new(services: Arc<Services>) -> Self {
        Self { inner: builder().data(services.clone()).finish(), services }
    }

    /// Runs one query or mutation.
    pub async fn execute(&self, operation: Operation, requester: Requester) -> Executed {
        let (request, operation_type) = match self.request(operation, requester) {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        if operation_type == Some(OperationType::Subscription) {
            let message = "a subscription is a stream: ask for it with `Accept: text/event-stream`, or over \
                           a WebSocket";
            let refused = Executed::refusal("SUBSCRIPTION_NEEDS_STREAM", message);
            return Executed { outcome: Outcome::NotStreamed, ..refused };
        }
        Executed::of(self.inner.execute(request).await)
    }

    /// Runs one operation of any type as a stream: of one response for a query or a mutation, of one
    /// after the other for a subscription. The next one is worked out once it is asked for; whoever
    /// drops the stream stops the operation. An error is what was refused before anything ran.
    pub fn stream(
        &self,
        operation: Operation,
        requester: Requester,
    ) -> Result<impl Stream<Item = Executed> + Send + use<>, Executed> {
        let (request, _) = self.request(operation, requester)?;
        Ok(self.inner.execute_stream(request).map(Executed::of))
    }

    /// The operation as the executor takes it, with loaders of its own. Those keep nothing, so that
    /// each response of a subscription is read anew.
    fn request(
        &self,
        operation: Operation,
        requester: Requester,
    ) -> Result<(Request, Option<OperationType>), Executed> {
        let Requester { caller, allowed } = requester;
        let Operation { query, operation_name, variables } = operation;
        let mut document = document::parse(&query)
            .map_err(|error| Executed::refused(vec![error], "GRAPHQL_PARSE_FAILED"))?;
        let operation_type = document::operation_type(&document, operation_name.as_deref());
        if allowed == Allowed::Reads && operation_type == Some(OperationType::Mutation) {
            let refused =
                Executed::refusal("METHOD_NOT_ALLOWED", "mutations are sent with POST, not with GET");
            return Err(Executed { outcome: Outcome::NotAllowed, ..refused });
        }
        document::prepare_subscriptions(&mut document)
            .map_err(|error| Executed::refused(vec![error], "GRAPHQL_VALIDATION_FAILED"))?;
        let mut request = Request::new(query)
            .variables(Variables::from_json(variables))
            .data(Loaders::for_request(self.services.clone(), caller.clone()))
            .data(caller);
        request.operation_name = operation_name;
        request.set_parsed_query(document);
        Ok((request, operation_type))
    }
}

/// The schema in the schema definition language, as `schema.graphql` and `GET /schema.graphql` have it.
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new())
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription)
        .register_output_type::<Node>()
}
