//! Request bodies, read to a limit.

use actix_web::{
    HttpMessage, HttpRequest,
    web::{Bytes, Payload},
};

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Its content type is none that we read.
    NotJson,
    /// It is longer than allowed.
    TooLong,
    /// The client broke off.
    BrokenOff,
}

/// Reads a JSON body of at most `limit` bytes.
pub async fn read_body(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, Unread> {
    if !is_json(request) {
        return Err(Unread::NotJson);
    }
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Unread::BrokenOff),
        Err(_) => Err(Unread::TooLong),
    }
}

/// `application/json`, in UTF-8: JSON has no other encoding.
fn is_json(request: &HttpRequest) -> bool {
    let charset =
        request.headers().get("content-type").and_then(|value| value.to_str().ok()).and_then(|value| {
            let parameters = value.split(';').skip(1).map(str::trim);
            parameters
                .filter_map(|parameter| parameter.split_once('='))
                .find(|(name, _)| name.eq_ignore_ascii_case("charset"))
        });
    let utf8 = charset.is_none_or(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    utf8 && request.content_type().eq_ignore_ascii_case("application/json")
}
