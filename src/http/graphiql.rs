//! GraphiQL, complete without a network. `web/` says how it is built.

use std::io::Read;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Path, ServiceConfig, redirect, resource, to},
};
use flate2::read::GzDecoder;
use rust_embed::Embed;

use crate::rest::problem::{only_get, unknown_route};

/// The built page. All but `index.html` is there only compressed.
#[derive(Embed)]
#[folder = "web/dist"]
struct Assets;

/// The page runs its own scripts and talks to its own server, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// The routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(redirect("/", "/graphiql"))
        .service(resource(["/graphiql", "/graphiql/"]).get(page).default_service(to(only_get)))
        .service(resource("/graphiql/{file:.*}").get(file).default_service(to(only_get)));
}

async fn page(request: HttpRequest) -> HttpResponse {
    match Assets::get("index.html") {
        Some(page) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
            .body(page.data),
        None => unknown_route(request).await,
    }
}

async fn file(request: HttpRequest, name: Path<String>) -> HttpResponse {
    let Some(file) = Assets::get(&format!("{name}.gz")) else { return unknown_route(request).await };
    let content_type = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(content_type)
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY));
    if name.starts_with("assets/") {
        // Their names have a hash of what is in them.
        response.insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"));
    }
    if takes_gzip(&request) {
        return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(file.data);
    }
    let mut plain = Vec::new();
    match GzDecoder::new(&*file.data).read_to_end(&mut plain) {
        Ok(_) => response.body(plain),
        Err(_) => unknown_route(request).await,
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted.split(',').any(|coding| matches!(coding.trim().split(';').next(), Some("gzip" | "*")))
    })
}
