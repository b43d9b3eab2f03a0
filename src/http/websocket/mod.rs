//! GraphQL over a WebSocket, on the path of all of GraphQL.
//!
//! One task serves one socket: what the client says, what its operations give, the time. It sends one
//! message at a time and goes on once the connection has taken it; only then the next response is
//! worked out.
//!
//! The codes that a socket is closed with:
//!
//! | code | why |
//! |---|---|
//! | 1001 | the server is stopping |
//! | 1002, 1007 | what came is no WebSocket frame, or no UTF-8 |
//! | 1009 | a message is longer than the longest request body |
//! | 1013 | the token has as many live connections as it may |
//! | 4400 | a message makes no sense |
//! | 4401 | an operation before `connection_init` |
//! | 4403 | no token that is good, or one that is no longer so |
//! | 4406 | the client offered no protocol that is spoken here |
//! | 4408 | no `connection_init` in time |
//! | 4409 | an operation with the id of one that still runs |
//! | 4429 | a second `connection_init` |
//! | 4503 | the client is too slow: it took nothing, or answered no ping |

mod door;
mod frames;
mod operations;
mod outlet;
mod protocol;
mod socket;

use std::io;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload as RawPayload,
    error::PayloadError,
    http::header,
    rt,
    web::{Bytes, Payload},
};
use actix_ws::{AggregatedMessageStream, ProtocolError};
use futures_util::StreamExt;

pub use self::door::Door;
use self::{
    frames::{BadFrame, FrameGuard},
    outlet::{Close, Outlet},
    protocol::Protocol,
    socket::Socket,
};
use super::graphql::Served;
use crate::telemetry::Live;

/// Whether the client wants a WebSocket.
pub fn is_wanted(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Makes a WebSocket of the connection. The response begins it.
pub async fn open(
    request: &HttpRequest,
    payload: Payload,
    door: Door,
    served: &Served,
) -> Result<HttpResponse, actix_web::Error> {
    let Served { schema, limits, stop, .. } = served.clone();
    let payload = guarded(request, payload, limits.body).await?;
    let (response, session, messages) = actix_ws::handle_with_protocols(request, payload, &Protocol::NAMES)?;
    let messages =
        messages.max_frame_size(limits.body).aggregate_continuations().max_continuation_size(limits.body);
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|name| name.to_str().ok());
    let protocol = chosen.and_then(Protocol::named);
    let (outlet, response) = Outlet::new(session, response, limits.live.patience, stop.clone());
    let open = served.services.metrics().opened(Live::WebSocket);
    rt::spawn(async move {
        let _open = open;
        match protocol {
            Some(protocol) => Socket::new(protocol, schema, door, limits, outlet).serve(messages, stop).await,
            None => outlet.close(Close::new(4406, "Subprotocol not acceptable")).await,
        }
    });
    Ok(response)
}

/// What the client sends, as far as its messages are not too long.
async fn guarded(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Payload, actix_web::Error> {
    let mut guard = FrameGuard::new(limit);
    let bytes = payload.into_inner().map(move |bytes: Result<Bytes, PayloadError>| {
        let bytes = bytes?;
        guard.check(&bytes).map_err(|bad| match bad {
            BadFrame::TooLong => PayloadError::Overflow,
            BadFrame::Reserved => PayloadError::EncodingCorrupted,
        })?;
        Ok(bytes)
    });
    Payload::from_request(request, &mut RawPayload::Stream { payload: Box::pin(bytes) }).await
}

/// With what a socket is closed whose client sent no valid frames.
fn close_for(error: &ProtocolError, limit: usize) -> Close {
    let too_long = || Close::new(1009, format!("a message is longer than {limit} bytes"));
    let ProtocolError::Io(io) = error else {
        return if matches!(error, ProtocolError::Overflow) {
            too_long()
        } else {
            Close::new(1002, error.to_string())
        };
    };
    match io.get_ref().and_then(|cause| cause.downcast_ref::<PayloadError>()) {
        Some(PayloadError::Overflow) => too_long(),
        Some(PayloadError::EncodingCorrupted) => Close::new(1002, "a reserved bit is set in a frame"),
        None if io.kind() == io::ErrorKind::InvalidData => Close::new(1007, "a text is not UTF-8"),
        Some(_) | None => Close::new(1002, error.to_string()),
    }
}

/// What a client sends, whole messages.
type Messages = AggregatedMessageStream;
