//! GraphQL over HTTP: `POST` and `GET /graphql`. What wants a stream is passed on to [`super::sse`] or
//! [`super::websocket`].
//!
//! After the draft of <https://graphql.github.io/graphql-over-http/draft/>. The handlers are our own:
//! the stock integration answers everything with 200 and runs mutations by GET.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
    web::{Data, Payload, Query, ServiceConfig, resource},
};
use serde_json::json;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    conditional,
    parameters::{Body, Parameters, UrlParameters},
    sse::{self, Ends},
    websocket::{self, Door},
};
use crate::{
    config::{Limits, Origin},
    domain::{denial::Denial, documents::Introspection, refusal::Refusal},
    graphql::{Allowed, Executed, Operation, Outcome, Requester, Schema, sdl},
    rest::{
        auth::{self, Credentials, Turned},
        crowd::{Crowd, Kind, Place},
        payload::read_body,
        problem::{only_get, unknown_route},
    },
    services::{self, Services},
    telemetry::Live,
};

/// The routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/graphql").get(get).post(post).default_service(actix_web::web::to(other_method)))
        .service(resource("/schema.graphql").get(schema_file).default_service(actix_web::web::to(only_get)));
}

/// How long an operation may go on whose caller may no longer be served. It may be what has brought that about: who makes
/// the first token shall hear its secret.
const GRACE: Duration = Duration::from_secs(1);

/// In which media type a client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    /// `application/json`, where the status says only whether the request was understood as HTTP.
    Json,
    /// `application/graphql-response+json`, where it also says whether the operation ran.
    GraphqlResponse,
    /// `text/event-stream`: one response after the other.
    EventStream,
}

impl Media {
    /// Of an answer that is no stream.
    fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::EventStream => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        }
    }

    /// The one that the client likes best; `None` when it takes none of them.
    fn negotiate(request: &HttpRequest) -> Option<Self> {
        let accept = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<(f32, &str)> = accept.flat_map(|value| value.split(',')).map(range).collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        ranges.sort_by(|left, right| right.0.total_cmp(&left.0));
        ranges.into_iter().filter(|(quality, _)| *quality > 0.0).find_map(|(_, media)| match media {
            "application/graphql-response+json" => Some(Self::GraphqlResponse),
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "text/event-stream" => Some(Self::EventStream),
            _ => None,
        })
    }
}

/// A media range of an `Accept` header with its quality.
fn range(range: &str) -> (f32, &str) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let quality = parts
        .find_map(|parameter| parameter.strip_prefix("q="))
        .map_or(Some(1.0), |quality| quality.parse().ok());
    (quality.unwrap_or(0.0), media)
}

/// What the handlers stand on.
#[derive(Clone)]
pub struct Served {
    /// What is asked.
    pub schema: Schema,
    /// What stands behind it, for who must know who asks.
    pub services: Arc<Services>,
    /// Where operations run: the runtime to which the database's connections belong. Run by the worker that
    /// has the client's connection, an operation would change threads for every packet of its rows.
    pub runtime: Handle,
    /// What is refused for its size or its slowness.
    pub limits: Limits,
    /// Ends the streams once the server shall stop.
    pub stop: CancellationToken,
    /// The pages of which other hosts may open a WebSocket.
    pub origins: Arc<[Origin]>,
    /// Who has how much under way.
    pub crowd: Arc<Crowd>,
}

async fn post(request: HttpRequest, payload: Payload, served: Data<Served>) -> HttpResponse {
    let limits = served.limits;
    let Some(media) = Media::negotiate(&request) else { return not_acceptable() };
    let (requester, place) = match admit(&request, &served, media, Allowed::All).await {
        Ok(admitted) => admitted,
        Err(turned) => return turned_away(&request, &served, &turned, media),
    };
    let body = match read_body(&request, payload, &limits).await {
        Ok(body) => body,
        Err(unread) => {
            let (status, code, message) = unread.told("operation", &limits);
            return error(media, status, code, &message);
        }
    };
    match Body::read(&body) {
        Ok(Body::One(parameters)) => match parameters.operation() {
            Ok(operation) => run(&served, operation, requester, place, media).await,
            Err(message) => bad_request(media, &message),
        },
        Ok(Body::Many(list)) => run_all(&served, list, requester, media).await,
        Err(message) => bad_request(media, &message),
    }
}

/// Runs the operations of a list one after the other, and answers with the list of their responses.
async fn run_all(served: &Served, list: Vec<Parameters>, requester: Requester, media: Media) -> HttpResponse {
    let most = served.limits.operations;
    if list.len() > most || most == 1 {
        let message = format!("these are {} operations in one request; at most {most} may be", list.len());
        return response(served.schema.refuse(Refusal::TooManyOperations, &message), media);
    }
    if list.is_empty() || media == Media::EventStream {
        return bad_request(media, "a list has at least one operation, and its answer is no stream");
    }
    let mut responses = Vec::with_capacity(list.len());
    for (index, parameters) in list.into_iter().enumerate() {
        match parameters.operation() {
            Ok(operation) => match execute(served, operation, requester.clone()).await {
                Ok(executed) if executed.outcome != Outcome::Refused(Refusal::TooSlow) => {
                    responses.push(executed.json);
                }
                executed => return ran(executed, media),
            },
            Err(message) => return bad_request(media, &format!("operation {index}: {message}")),
        }
    }
    let list = format!("[{}]", responses.join(","));
    HttpResponse::Ok().content_type(media.content_type()).body(list)
}

async fn get(request: HttpRequest, payload: Payload, served: Data<Served>) -> HttpResponse {
    if websocket::is_wanted(&request) {
        return web_socket(&request, payload, &served).await;
    }
    let names = |parameter: &str| parameter.starts_with("query=") || parameter.starts_with("extensions=");
    let has_query = request.query_string().split('&').any(names);
    if !has_query && wants_html(&request) {
        return HttpResponse::SeeOther().insert_header((header::LOCATION, "/graphiql")).finish();
    }
    let Some(media) = Media::negotiate(&request) else { return not_acceptable() };
    let (requester, place) = match admit(&request, &served, media, Allowed::Reads).await {
        Ok(admitted) => admitted,
        Err(turned) => return turned_away(&request, &served, &turned, media),
    };
    let parameters = Query::<UrlParameters>::from_query(request.query_string());
    let operation = parameters
        .map_err(|error| error.to_string())
        .and_then(|parameters| parameters.into_inner().operation());
    match operation {
        Ok(operation) => {
            let response = run(&served, operation, requester, place, media).await;
            conditional::unless_known(&request, response)
        }
        Err(message) => bad_request(media, &message),
    }
}

async fn other_method(request: HttpRequest) -> HttpResponse {
    let message = format!("{} does not work here; GET and POST do", request.method());
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((header::ALLOW, "GET, HEAD, POST"));
    with_error(response, Media::Json, "METHOD_NOT_ALLOWED", &message)
}

async fn schema_file(request: HttpRequest, served: Data<Served>) -> HttpResponse {
    match served.limits.documents.introspection {
        Introspection::Shown => {}
        Introspection::Hidden => return unknown_route(request).await,
    }
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(sdl())
}

fn wants_html(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.split(',').any(|part| range(part).1 == "text/html"))
}

/// `place` is what the request takes in the crowd: it is left when the answer is there, or the stream has ended.
async fn run(
    served: &Served,
    operation: Operation,
    requester: Requester,
    place: Place,
    media: Media,
) -> HttpResponse {
    if media == Media::EventStream {
        let leaves = served.services.leaves(requester.caller.clone());
        return match served.schema.stream(operation, requester, served.limits.running) {
            Err(executed) if executed.outcome == Outcome::Refused(Refusal::MethodNotAllowed) => {
                response(executed, media)
            }
            streamed => {
                let open = served.services.metrics().opened(Live::EventStream);
                let ends = Ends { leaves, stop: served.stop.clone(), place, open };
                sse::respond(streamed, served.limits.live, ends)
            }
        };
    }
    ran(execute(served, operation, requester).await, media)
}

/// Why an operation has no response of its own.
#[derive(Debug, Clone, Copy)]
enum Unfinished {
    /// It came to no end, which is our fault.
    Failed,
    /// Its caller may no longer be served.
    NotWelcome,
}

/// Runs an operation in its time. It is given up when the client hangs up, or may no longer be served: a worker may
/// wait long for a job.
async fn execute(
    served: &Served,
    operation: Operation,
    requester: Requester,
) -> Result<Executed, Unfinished> {
    let (schema, caller) = (served.schema.clone(), requester.caller.clone());
    let running = served.runtime.spawn(async move { schema.execute(operation, requester).await });
    let running = AbortOnDropHandle::new(running);
    let unwelcome = async {
        served.services.leaves_the_queue(caller).await;
        sleep(GRACE).await;
    };
    tokio::select! {
        finished = timeout(served.limits.running, running) => match finished {
            Ok(Ok(executed)) => Ok(executed),
            Ok(Err(failure)) => {
                tracing::error!(%failure, "an operation came to no end");
                Err(Unfinished::Failed)
            }
            Err(_) => Ok(served.schema.give_up(served.limits.running)),
        },
        () = unwelcome => Err(Unfinished::NotWelcome),
    }
}

fn ran(executed: Result<Executed, Unfinished>, media: Media) -> HttpResponse {
    match executed {
        Ok(executed) => response(executed, media),
        Err(Unfinished::Failed) => {
            let (code, message) = services::INTERNAL;
            error(media, StatusCode::INTERNAL_SERVER_ERROR, code, message)
        }
        Err(Unfinished::NotWelcome) => challenge(&Turned::BadToken(Denial::RevokedToken), media),
    }
}

fn response(executed: Executed, media: Media) -> HttpResponse {
    let status = match (executed.outcome, media) {
        (Outcome::Ran | Outcome::Forbidden, _) => StatusCode::OK,
        (Outcome::Refused(Refusal::MethodNotAllowed), _) => StatusCode::METHOD_NOT_ALLOWED,
        (Outcome::Refused(Refusal::TooSlow), _) => StatusCode::SERVICE_UNAVAILABLE,
        (Outcome::Refused(Refusal::SubscriptionNeedsStream | Refusal::TooManyOperations), _)
        | (Outcome::Refused(_), Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
        (Outcome::Refused(_), Media::Json | Media::EventStream) => StatusCode::OK,
    };
    let mut response = HttpResponse::build(status);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.insert_header((header::ALLOW, "POST"));
    }
    response.content_type(media.content_type()).body(executed.json)
}

async fn web_socket(request: &HttpRequest, payload: Payload, served: &Served) -> HttpResponse {
    let door = match Door::of(request, served).await {
        Ok(door) => door,
        Err(turned) => return turned_away(request, served, &turned, Media::Json),
    };
    match websocket::open(request, payload, door, served).await {
        Ok(response) => response,
        Err(error) => bad_request(Media::Json, &error.to_string()),
    }
}

/// Who asks, with a place in the crowd.
async fn admit(
    request: &HttpRequest,
    served: &Served,
    media: Media,
    allowed: Allowed,
) -> Result<(Requester, Place), Turned> {
    let caller = Credentials::of(request)?.admit(&served.services).await?;
    let kind = match media {
        Media::EventStream => Kind::Live,
        Media::Json | Media::GraphqlResponse => Kind::Request,
    };
    let place = served.crowd.enter(&caller, kind)?;
    Ok((Requester { caller, allowed, from: auth::from(request) }, place))
}

fn turned_away(request: &HttpRequest, served: &Served, turned: &Turned, media: Media) -> HttpResponse {
    turned.note(&served.services, auth::from(request));
    challenge(turned, media)
}

/// What is told to who is turned away.
fn challenge(turned: &Turned, media: Media) -> HttpResponse {
    let (status, code, message) = turned.told();
    let mut response = HttpResponse::build(status);
    turned.challenge(&mut response);
    with_error(response, media, code, &message)
}

fn bad_request(media: Media, message: &str) -> HttpResponse {
    error(media, StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

fn not_acceptable() -> HttpResponse {
    let message = "answers are application/graphql-response+json, application/json or text/event-stream; accept one of them";
    error(Media::Json, StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message)
}

fn error(media: Media, status: StatusCode, code: &str, message: &str) -> HttpResponse {
    with_error(HttpResponse::build(status), media, code, message)
}

fn with_error(mut response: HttpResponseBuilder, media: Media, code: &str, message: &str) -> HttpResponse {
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
    response.content_type(media.content_type()).body(body.to_string())
}
