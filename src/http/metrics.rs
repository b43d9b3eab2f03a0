//! What the server counts, for Prometheus and its kin; and the counting of requests.

use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{CONTENT_TYPE, HeaderValue},
    middleware::Next,
    web::{Data, ServiceConfig, resource},
};

use super::websocket;
use crate::{
    rest::auth::Asking,
    services::Services,
    telemetry::{self, StatusClass, Surface},
};

/// The routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/metrics").get(metrics));
}

/// For who may read, and of all tenants: what is counted is not told apart by them.
async fn metrics(asking: Asking, services: Data<Services>) -> HttpResponse {
    let shown = asking.caller.may_observe().map(|_| {
        let text = services.metrics().text();
        HttpResponse::Ok().content_type(telemetry::CONTENT_TYPE).body(text)
    });
    asking.answer(&services, shown.map_err(Into::into))
}

/// Counts a request once its answer has begun.
pub async fn count(
    services: Data<Services>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let response = next.call(request).await?;
    services.metrics().answered(surface(&response), StatusClass::of(response.status().as_u16()));
    Ok(response)
}

/// By which door it came.
fn surface<B>(response: &ServiceResponse<B>) -> Surface {
    let request = response.request();
    match request.path().split('/').nth(1) {
        Some("graphql") if websocket::is_wanted(request) => Surface::WebSocket,
        Some("graphql") if is_event_stream(response) => Surface::EventStream,
        Some("graphql") => Surface::Graphql,
        Some("batch") => Surface::Rest,
        Some("graphiql") => Surface::Graphiql,
        Some(_) | None => Surface::Other,
    }
}

fn is_event_stream<B>(response: &ServiceResponse<B>) -> bool {
    response.headers().get(CONTENT_TYPE) == Some(&HeaderValue::from_static("text/event-stream"))
}
