//! Request bodies, read to a limit.

use std::time::Duration;

use actix_web::{
    HttpMessage, HttpRequest,
    http::StatusCode,
    web::{Bytes, BytesMut, Payload},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::config::Limits;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Its content type is none that we read.
    NotJson,
    /// It is compressed.
    Encoded,
    /// It is longer than allowed.
    TooLong,
    /// It nests deeper than JSON is read.
    TooDeep,
    /// The client broke off.
    BrokenOff,
    /// The client took too long to send it.
    TooSlow,
    /// The client sent nothing of it for too long.
    Stalled,
}

/// How long a client may send nothing of a body that it has announced.
const STALL: Duration = Duration::from_secs(5);

/// How many objects and arrays may stand in one another: as many as serde_json reads.
const DEEPEST: usize = 127;

impl Unread {
    /// What the client is told: the status, the code, and the message. `what` is what it should have sent.
    pub fn told(self, what: &str, limits: &Limits) -> (StatusCode, &'static str, String) {
        match self {
            Self::NotJson => {
                let message = format!("send the {what} as application/json, in UTF-8");
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message)
            }
            Self::Encoded => {
                let message = format!("send the {what} as it is, without `Content-Encoding`");
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message)
            }
            Self::TooDeep => {
                let message = format!("the body nests deeper than {DEEPEST} levels");
                (StatusCode::BAD_REQUEST, "BODY_TOO_DEEP", message)
            }
            Self::TooLong => {
                let message = format!("the body is longer than {} bytes", limits.body);
                (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message)
            }
            Self::TooSlow => {
                let message = format!("the body did not come within {:?}", limits.sending);
                (StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", message)
            }
            Self::Stalled => {
                let message = format!("nothing of the body came for {:?}", stall(limits));
                (StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", message)
            }
            Self::BrokenOff => {
                (StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body broke off before its end".to_owned())
            }
        }
    }
}

/// Reads a JSON body, as far as the limits allow.
pub async fn read_body(request: &HttpRequest, payload: Payload, limits: &Limits) -> Result<Bytes, Unread> {
    if !is_json(request) {
        return Err(Unread::NotJson);
    }
    if is_encoded(request) {
        return Err(Unread::Encoded);
    }
    let body = timeout(limits.sending, read(payload, limits)).await.unwrap_or(Err(Unread::TooSlow))?;
    if depth(&body) > DEEPEST { Err(Unread::TooDeep) } else { Ok(body) }
}

fn is_encoded(request: &HttpRequest) -> bool {
    let encoding = request.headers().get("content-encoding");
    encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// How deep this nests, if it is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match (in_string, byte) {
            (true, b'\\') => drop(bytes.next()),
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

async fn read(mut payload: Payload, limits: &Limits) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    loop {
        let chunk = match timeout(stall(limits), payload.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(_))) => return Err(Unread::BrokenOff),
            Ok(None) => return Ok(body.freeze()),
            Err(_) => return Err(Unread::Stalled),
        };
        if body.len() + chunk.len() > limits.body {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
}

fn stall(limits: &Limits) -> Duration {
    limits.sending.min(STALL)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_are_no_text() {
        for (json, levels) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{}],"b":[[]]}"#, 3),
            (r#"["[[[[", "\"[[[", "\\", []]"#, 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(json.as_bytes()), levels, "{json}");
        }
        for levels in [DEEPEST, DEEPEST + 1] {
            let json = "[".repeat(levels) + &"]".repeat(levels);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), levels <= DEEPEST);
        }
    }
}
