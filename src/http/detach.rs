//! Takes what a request's head says out of the buffer that it was read into.
//!
//! actix keeps heads for the next request, and their headers refer to that buffer. The token in it, and the
//! credentials in the body behind it, would stay in memory as long as that; what nothing refers to is wiped when it is
//! freed.

use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};

use crate::rest::auth::Shown;

/// Copies each header, but for `Authorization`: that goes where it is forgotten with the request.
pub async fn detach(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(shown) = request.headers_mut().remove(AUTHORIZATION).next() {
        request.extensions_mut().insert(Shown(copy(&shown)));
    }
    let headers = request.headers_mut();
    *headers = copies(headers);
    next.call(request).await
}

fn copies(headers: &HeaderMap) -> HeaderMap {
    headers.iter().map(|(name, value): (&HeaderName, _)| (name.clone(), copy(value))).collect()
}

fn copy(value: &HeaderValue) -> HeaderValue {
    // What was a header's value is one.
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
