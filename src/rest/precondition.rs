//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1).

use actix_web::{
    HttpRequest,
    http::header::{ETag, EntityTag, Header, IfMatch, IfNoneMatch},
};

use crate::{domain::batch::Batch, services::Expected};

/// The tag of a batch: its version.
pub fn etag(batch: &Batch) -> ETag {
    ETag(EntityTag::new_strong(batch.version.to_string()))
}

/// Which versions a request may change.
pub fn expected(request: &HttpRequest) -> Expected {
    if !request.headers().contains_key("if-match") {
        return Expected::Any;
    }
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => Expected::Any,
        Ok(IfMatch::Items(tags)) => {
            // A weak tag never matches, and one that is no version of ours neither.
            let versions = tags.iter().filter(|tag| !tag.weak).filter_map(|tag| tag.tag().parse().ok());
            Expected::Versions(versions.collect())
        }
        Err(_) => Expected::Versions(Vec::new()),
    }
}

/// Whether the client already has this version.
pub fn is_known(request: &HttpRequest, batch: &Batch) -> bool {
    let ETag(tag) = etag(batch);
    request.headers().contains_key("if-none-match")
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
            Err(_) => false,
        }
}
