//! The schema: what it is made of, and how an operation runs through it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_graphql::{Request, SDLExportOptions, SchemaBuilder, ValidationMode, parser::types::OperationType};
use futures_util::{Stream, StreamExt, future::Either, stream::once};
use tokio::time::timeout;

use super::{
    documents::{Asked, Documents, Pages, Registered},
    loaders::Loaders,
    mutation::Mutation,
    query::Query,
    response::{Executed, Outcome},
    subscription::Subscription,
    timed::{Work, in_time},
    types::node::Node,
};
use crate::{
    domain::{access::Caller, denial::Denial, documents::DocumentLimits, refusal::Refusal},
    services::Services,
};

type Inner = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema on top of the use cases.
#[derive(Clone)]
pub struct Schema {
    inner: Inner,
    documents: Arc<Documents>,
    services: Arc<Services>,
}

/// What a client wants to be run.
#[derive(Debug)]
pub struct Operation {
    /// The document.
    pub document: Asked,
    /// Which of its operations; not needed where there is only one.
    pub operation_name: Option<String>,
    /// The values of its variables, a JSON object.
    pub variables: serde_json::Value,
    /// Whether the response says what it cost.
    pub cost: CostShown,
}

/// Whether a response says what its operation cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CostShown {
    /// It does, in `extensions.cost`.
    Yes,
    /// It does not.
    #[default]
    No,
}

/// An operation that may run.
struct Ready {
    request: Request,
    operation_type: OperationType,
    /// What it costs, where that shall be shown.
    cost: Option<u64>,
}

/// Who wants it, and what it may want.
#[derive(Debug, Clone)]
pub struct Requester {
    /// Who it is.
    pub caller: Arc<Caller>,
    /// Which operations the way on which it came allows.
    pub allowed: Allowed,
    /// Where it is.
    pub from: Option<IpAddr>,
}

/// Which operations a request may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Those that change nothing.
    Reads,
    /// All of them.
    All,
}

impl Requester {
    /// Anybody, who may want anything: where a server is open.
    pub fn anybody() -> Self {
        Self { caller: Arc::new(Caller::ANYBODY), allowed: Allowed::All, from: None }
    }
}

impl Schema {
    /// The schema on top of these use cases. Where documents are registered, no others are run; what is wrong with
    /// one of these is a sentence.
    pub fn new(
        services: Arc<Services>,
        limits: DocumentLimits,
        registered: Option<Registered>,
    ) -> Result<Self, String> {
        let inner = builder()
            .data(services.clone())
            // What `documents` lets through is valid, and no deeper than this.
            .validation_mode(ValidationMode::Fast)
            .limit_recursive_depth(limits.depth);
        let documents = Arc::new(Documents::new(limits, registered, services.metrics().clone())?);
        Ok(Self { inner: inner.finish(), documents, services })
    }

    /// Runs one query or mutation.
    pub async fn execute(&self, operation: Operation, requester: Requester) -> Executed {
        let from = requester.from;
        let executed = match self.ready(operation, requester) {
            Ok(ready) if ready.operation_type == OperationType::Subscription => {
                let message = "a subscription is a stream: ask for it with `Accept: text/event-stream`, or over \
                               a WebSocket";
                Executed::refusal(Refusal::SubscriptionNeedsStream, message)
            }
            Ok(Ready { request, cost, .. }) => Executed::of(self.inner.execute(request).await, cost),
            Err(refused) => refused,
        };
        count(&self.services, from, &executed);
        executed
    }

    /// Runs one operation of any type as a stream: of one response for a query or a mutation, of one
    /// after the other for a subscription. The next one is worked out once it is asked for; whoever
    /// drops the stream stops the operation. A query, a mutation or one result of a subscription that takes longer
    /// than `limit` is given up.
    /// An error is what was refused before anything ran.
    pub fn stream(
        &self,
        operation: Operation,
        requester: Requester,
        limit: Duration,
    ) -> Result<impl Stream<Item = Executed> + Send + use<>, Executed> {
        let (services, from) = (self.services.clone(), requester.from);
        let ready = self.ready(operation, requester).inspect_err(|refused| count(&services, from, refused));
        let Ready { request, operation_type, cost } = ready?;
        let executed = match operation_type {
            OperationType::Subscription => {
                let work = Work::begun();
                let responses = self.inner.execute_stream(request.data(work.clone()));
                let results = responses.map(move |response| Executed::of(response, cost));
                Either::Left(in_time(results, work, limit, move || Executed::result_too_slow(limit)))
            }
            OperationType::Query | OperationType::Mutation => {
                let inner = self.inner.clone();
                Either::Right(once(async move {
                    let response = timeout(limit, inner.execute(request)).await;
                    response
                        .map_or_else(|_| Executed::too_slow(limit), |response| Executed::of(response, cost))
                }))
            }
        };
        Ok(executed.inspect(move |executed| count(&services, from, executed)))
    }

    /// The response of an operation that whoever let it run has given up after this time.
    pub fn give_up(&self, limit: Duration) -> Executed {
        let given_up = Executed::too_slow(limit);
        count(&self.services, None, &given_up);
        given_up
    }

    /// The response of an operation that is refused before it comes here.
    pub fn refuse(&self, refusal: Refusal, message: &str) -> Executed {
        let refused = Executed::refusal(refusal, message);
        count(&self.services, None, &refused);
        refused
    }

    /// The operation as the executor takes it, with loaders of its own. Those keep nothing, so that
    /// each response of a subscription is read anew.
    fn ready(&self, asked: Operation, requester: Requester) -> Result<Ready, Executed> {
        let Requester { caller, allowed, .. } = requester;
        let document = self.documents.find(&asked.document)?;
        let operation = document.operation(asked.operation_name.as_deref())?;
        let operation_type = operation.operation_type();
        if allowed == Allowed::Reads && operation_type == OperationType::Mutation {
            let message = "mutations are sent with POST, not with GET";
            return Err(Executed::refusal(Refusal::MethodNotAllowed, message));
        }
        // Before it runs: what a mutation has done would stand, and its answer be lost.
        if operation_type == OperationType::Mutation && operation.pages() == Pages::Some {
            caller.may_read().map_err(|error| Executed::refusal(Refusal::Forbidden, &error.to_string()))?;
        }
        self.documents.check_variables(&asked.variables)?;
        let variables = operation.variables(asked.variables)?;
        let cost = operation.cost(&variables);
        self.documents.check_cost(cost)?;
        // It has the document: the text would be read by extensions only, and there are none.
        let mut request = Request::new(String::new())
            .variables(variables)
            .data(Loaders::for_request(self.services.clone(), caller.clone()))
            .data(caller);
        request.set_parsed_query(document.with(operation));
        Ok(Ready { request, operation_type, cost: (asked.cost == CostShown::Yes).then_some(cost) })
    }
}

/// Counts an operation that was refused, or whose caller may not do what it wanted.
fn count(services: &Services, from: Option<IpAddr>, executed: &Executed) {
    match executed.outcome {
        Outcome::Ran => {}
        Outcome::Forbidden => services.turned_away(from, Denial::Forbidden),
        Outcome::Refused(Refusal::Forbidden) => services.turned_away(from, Denial::Forbidden),
        Outcome::Refused(refusal) => services.metrics().refused(refusal),
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
