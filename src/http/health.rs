//! Whether the server can work, for whoever keeps it running.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, ServiceConfig, resource},
};

use crate::{rest::problem::ProblemDocument, services::Services};

/// The routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/health").get(health));
}

async fn health(services: Data<Services>) -> HttpResponse {
    match services.ping().await {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        Err(error) => {
            tracing::warn!(%error, "the database does not answer");
            let detail = "the database does not answer";
            ProblemDocument::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", detail).response()
        }
    }
}
