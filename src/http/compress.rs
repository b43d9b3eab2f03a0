//! Compressed answers, for clients that can read them.

use actix_http::encoding::Encoder;
use actix_web::{
    body::{BodySize, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{ACCEPT_ENCODING, AcceptEncoding, ContentEncoding, Encoding, Header, HeaderValue, VARY},
    middleware::Next,
};

/// An answer that is no longer than this is sent as it is, in bytes: it fits into one packet anyway.
const SHORT: u64 = 1024;

/// Compresses what is long, in the way that the client likes best, and quickly rather than well. Streams are sent as
/// they come.
pub async fn compress(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let liked = liked(&request);
    let response = next.call(request).await?;
    Ok(response.map_body(|head, body| {
        let BodySize::Sized(SHORT..) = body.size() else {
            return Encoder::response(ContentEncoding::Identity, head, body);
        };
        if liked == ContentEncoding::Identity {
            // The encoder says so where it compresses.
            head.headers_mut().append(VARY, HeaderValue::from_static(ACCEPT_ENCODING.as_str()));
        }
        Encoder::response(liked, head, body)
    }))
}

fn liked(request: &ServiceRequest) -> ContentEncoding {
    let ours = [Encoding::zstd(), Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
    let accepted = AcceptEncoding::parse(request).ok();
    match accepted.and_then(|accepted| accepted.negotiate(ours.iter())) {
        Some(Encoding::Known(encoding)) => encoding,
        Some(Encoding::Unknown(_)) | None => ContentEncoding::Identity,
    }
}
