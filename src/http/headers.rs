//! What every answer says to browsers, and to whoever keeps copies.

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY, HeaderMap,
            HeaderName, HeaderValue, REFERRER_POLICY, SERVER, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
};

/// For a page that says nothing else about itself: it runs nothing, and stands in no frame.
const STRICT: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds it, where the answer does not say something else.
pub async fn add(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let is_post = request.method() == Method::POST;
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    say(headers, SERVER, "sluice");
    say(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    if is_post {
        // It may have a token in it, a lease, or credentials.
        say(headers, CACHE_CONTROL, "no-store");
    }
    if is_html(headers) {
        say(headers, CONTENT_SECURITY_POLICY, STRICT);
        say(headers, REFERRER_POLICY, "no-referrer");
        say(headers, CROSS_ORIGIN_OPENER_POLICY, "same-origin");
    }
    Ok(response)
}

fn say(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}
