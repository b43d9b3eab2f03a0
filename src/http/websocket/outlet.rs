//! What goes to the client of a WebSocket, one message at a time.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use actix_ws::{CloseCode, CloseReason, Session};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

/// Why a socket is closed by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code: those of RFC 6455 below 4000, those of the GraphQL protocols above.
    pub code: u16,
    /// The reason, for people. No more than 123 bytes of it reach the client: a longer one would make
    /// the frame invalid.
    pub reason: String,
}

impl Close {
    /// With this code, for this reason.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The server is being stopped.
    pub fn stopping() -> Self {
        Self::new(1001, "server is stopping")
    }

    /// The client did not take what was there for it.
    pub fn too_slow(patience: Duration) -> Self {
        Self::new(4503, format!("too slow: nothing was taken for {patience:?}"))
    }
}

/// How a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server closes it.
    Close(Close),
    /// The client is gone.
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

/// What can be sent.
#[derive(Debug)]
pub enum Outgoing {
    /// A message of the protocol.
    Text(String),
    /// Is the client still there?
    Ping,
    /// The answer to its ping.
    Pong(Bytes),
}

/// The way to a client. What is sent has been taken by the connection when [`Outlet::send`] returns, so
/// that no more than one message waits for a slow client, beside what its connection has in its buffer.
pub struct Outlet {
    session: Session,
    taken: Arc<Notify>,
    patience: Duration,
    stop: CancellationToken,
}

impl Outlet {
    /// The way to the client that gets this response, whose body is watched from now on.
    pub fn new(
        session: Session,
        response: HttpResponse,
        patience: Duration,
        stop: CancellationToken,
    ) -> (Self, HttpResponse) {
        let taken = Arc::new(Notify::new());
        let watch = taken.clone();
        let response = response.map_body(|_, body| BoxBody::new(WatchedBody { body, taken: watch }));
        (Self { session, taken, patience, stop }, response)
    }

    /// Sends something and waits until it was taken, unless the server is stopped meanwhile.
    pub async fn send(&mut self, message: Outgoing) -> Result<(), End> {
        let Self { session, taken, patience, stop } = self;
        let sent = async {
            let handed_over = match message {
                Outgoing::Text(text) => session.text(text).await,
                Outgoing::Ping => session.ping(b"").await,
                Outgoing::Pong(payload) => session.pong(&payload).await,
            };
            handed_over.map_err(|_| End::Gone)?;
            taken.notified().await;
            Ok(())
        };
        tokio::select! {
            () = stop.cancelled() => Err(Close::stopping().into()),
            sent = timeout(*patience, sent) => sent.unwrap_or_else(|_| Err(Close::too_slow(*patience).into())),
        }
    }

    /// Closes the connection.
    pub async fn close(self, close: Close) {
        let reason = CloseReason { code: CloseCode::from(close.code), description: Some(close.reason) };
        // Whoever is gone needs no reason.
        let _ = self.session.close(Some(reason)).await;
    }
}

/// The body that the connection takes messages from. It says when one was taken, and when the
/// connection has ended.
struct WatchedBody {
    body: BoxBody,
    taken: Arc<Notify>,
}

impl MessageBody for WatchedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_next(context));
        self.taken.notify_one();
        Poll::Ready(next)
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.taken.notify_one();
    }
}
