//! All routes on one server.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_cors::Cors;
use actix_web::{
    App, HttpServer,
    dev::Server,
    http::header,
    middleware::{Condition, from_fn},
    web::{self, Data},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{compress, detach, graphiql, graphql, head, headers, health, metrics};
use crate::{
    config::{Config, Origin},
    graphql::Schema,
    rest::{self, crowd::Crowd, problem::unknown_route},
    services::Services,
};

/// How long open requests may take to end once the server shall stop.
const DRAIN: Duration = Duration::from_secs(30);
/// How long an idle connection is kept for the next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a browser may remember what it was told here, in seconds.
const PREFLIGHT: usize = 3600;

/// What pages from these origins may do: all that the API has. Tokens travel in `Authorization`, so that a browser
/// sends nothing by itself that could be abused.
fn cors(origins: &[Origin]) -> Cors {
    let cors = origins.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin.as_str()));
    cors.allowed_methods(["GET", "POST", "PUT", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::LINK, header::WWW_AUTHENTICATE])
        .max_age(PREFLIGHT)
}

/// A server on `listener` that stops once `stop` is there: then it takes no new connections, ends its
/// live streams at once and the requests it has in their time, and closes.
pub fn start(
    listener: TcpListener,
    config: &Config,
    services: Arc<Services>,
    schema: Schema,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<Server> {
    let limits = config.limits;
    let stopping = CancellationToken::new();
    let crowd = Arc::new(Crowd::new(limits.crowd));
    let served = graphql::Served {
        schema,
        services: services.clone(),
        runtime: Handle::current(),
        limits,
        stop: stopping.clone(),
        origins: config.origins.clone().into(),
        crowd: crowd.clone(),
    };
    let origins = config.origins.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(served.clone()))
            .app_data(Data::from(services.clone()))
            .app_data(Data::from(crowd.clone()))
            .app_data(Data::new(limits))
            .wrap(from_fn(compress::compress))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(headers::add))
            .wrap(from_fn(metrics::count))
            .wrap(from_fn(head::as_get))
            .wrap(from_fn(detach::detach))
            .configure(graphql::routes)
            .configure(graphiql::routes)
            .configure(health::routes)
            .configure(metrics::routes)
            .configure(rest::routes)
            .default_service(web::to(unknown_route))
    });
    let server = server
        .workers(config.workers)
        .keep_alive(KEEP_ALIVE)
        // Whoever hangs up wants no answer: what it has under way ends, a worker's wait for a job for instance.
        .h1_allow_half_closed(false)
        .shutdown_timeout(DRAIN.as_secs())
        .shutdown_signal(async move {
            stop.await;
            stopping.cancel();
        })
        .listen(listener)?;
    Ok(server.run())
}
