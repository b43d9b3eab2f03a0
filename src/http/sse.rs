//! GraphQL as server-sent events, one operation a connection: the "distinct connections mode" of
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>.
//!
//! Each response is an event `next`; `complete` says that there will be no more. A stream that ends
//! without it was cut off: the server is stopping, or the client took nothing for too long. A comment
//! before the end then says why.

use actix_web::{HttpResponse, http::header, rt, web::Bytes};
use futures_util::{
    Stream, StreamExt,
    future::Either,
    stream::{self, once},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{config::LiveLimits, graphql::Executed, rest::crowd::Place, telemetry::Open};

/// The end of an operation. Browsers pass over an event without data.
const COMPLETE: &str = "event: complete\ndata: \n\n";
/// What keeps a connection from being taken for a dead one.
const KEEP_ALIVE: &str = ":\n\n";

/// An operation as it happens, or the response of one that was refused before it began.
pub fn respond(
    operation: Result<impl Stream<Item = Executed> + Send + 'static, Executed>,
    limits: LiveLimits,
    ends: Ends<impl Future<Output = ()> + 'static>,
) -> HttpResponse {
    let items = match operation {
        Ok(items) => Either::Left(items),
        Err(refused) => Either::Right(once(async { refused })),
    };
    // One event waits for the connection to take it, and no more.
    let (events, queue) = mpsc::channel(1);
    let (farewell, last) = oneshot::channel();
    rt::spawn(async move {
        if let Some(reason) = drive(items, &events, limits, ends).await {
            // Whoever is gone needs no reason.
            let _ = farewell.send(Bytes::from(format!(": {reason}\n\n")));
        }
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body(queue, last))
}

/// The events, then the comment that explains an early end.
fn body(
    queue: mpsc::Receiver<Bytes>,
    last: oneshot::Receiver<Bytes>,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    let events = stream::unfold(queue, async |mut queue| Some((queue.recv().await?, queue)));
    events.chain(once(last).filter_map(async |last| last.ok())).map(Ok)
}

/// Passes the items on, each once the one before it was taken. Gives the reason where the stream ends
/// before the operation does.
async fn drive(
    items: impl Stream<Item = Executed>,
    events: &mpsc::Sender<Bytes>,
    limits: LiveLimits,
    ends: Ends<impl Future<Output = ()>>,
) -> Option<String> {
    let Ends { leaves, stop, place: _place, open: _open } = ends;
    let (mut items, mut leaves) = (std::pin::pin!(items), std::pin::pin!(leaves));
    let mut keep_alive = interval(limits.keep_alive);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => return Some(STOPPING.into()),
            () = &mut leaves => return Some(NOT_WELCOME.into()),
            slot = timeout(limits.patience, events.reserve()) => match slot {
                Ok(Ok(slot)) => slot,
                Ok(Err(_)) => return None,
                Err(_) => return Some(format!("too slow: nothing was taken for {:?}", limits.patience)),
            },
        };
        tokio::select! {
            () = stop.cancelled() => return Some(STOPPING.into()),
            () = &mut leaves => return Some(NOT_WELCOME.into()),
            () = events.closed() => return None,
            // The first comes at once: the client then knows that it is connected.
            _ = keep_alive.tick() => slot.send(Bytes::from_static(KEEP_ALIVE.as_bytes())),
            item = items.next() => match item {
                Some(executed) => slot.send(format!("event: next\ndata: {}\n\n", executed.json).into()),
                None => {
                    slot.send(Bytes::from_static(COMPLETE.as_bytes()));
                    return None;
                }
            },
        }
    }
}

/// What ends a stream early.
pub struct Ends<F> {
    /// The client may no longer be served.
    pub leaves: F,
    /// The server stops.
    pub stop: CancellationToken,
    /// What the stream takes in the crowd while it lasts.
    pub place: Place,
    /// Counts the stream while it lasts.
    pub open: Open,
}

const NOT_WELCOME: &str = "the token is no longer good";
const STOPPING: &str = "server is stopping";
