//! One socket from its first message to its last.

use std::{future::pending, sync::Arc, time::Duration};

use actix_ws::{AggregatedMessage, ProtocolError};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Door, Messages, close_for,
    operations::{Happening, Operations},
    outlet::{Close, End, Outgoing, Outlet},
    protocol::{ClientMessage, Protocol, ServerMessage},
};
use crate::{
    config::Limits,
    domain::{access::Caller, refusal::Refusal},
    graphql::{Allowed, Operation, Requester, Schema},
    rest::{auth::Turned, crowd::Place},
    services,
};

/// How long the client may take to close its side once the server has closed its own.
const FAREWELL: Duration = Duration::from_secs(5);

/// How far the two have come.
#[derive(Debug)]
enum Phase {
    /// The client has until then to say `connection_init`.
    Waiting(Instant),
    /// It has said it, and is let in; with what the socket takes in the crowd.
    Open(Arc<Caller>, #[expect(dead_code, reason = "dropping it leaves the place")] Place),
}

/// Whether the client shows that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pulse {
    /// It has said something since the last ping.
    Felt,
    /// It has not.
    Missing,
}

/// A socket and all that belongs to it.
pub struct Socket {
    protocol: Protocol,
    schema: Schema,
    door: Door,
    limits: Limits,
    outlet: Outlet,
    operations: Operations,
    phase: Phase,
    /// Ends once the client may no longer be served.
    leaves: BoxFuture<'static, ()>,
    pulse: Pulse,
}

impl Socket {
    /// A new socket.
    pub fn new(protocol: Protocol, schema: Schema, door: Door, limits: Limits, outlet: Outlet) -> Self {
        let phase = Phase::Waiting(Instant::now() + limits.live.init);
        let operations = Operations::default();
        let leaves = Box::pin(pending());
        Self { protocol, schema, door, limits, outlet, operations, phase, leaves, pulse: Pulse::Felt }
    }

    /// Serves it to its end.
    pub async fn serve(mut self, mut messages: Messages, stop: CancellationToken) {
        let Err(end) = self.run(&mut messages, &stop).await else { return };
        let Self { outlet, operations, .. } = self;
        drop(operations);
        if let End::Close(close) = end {
            outlet.close(close).await;
            // To go away with something unread would reset the connection, and what is on its way to the
            // client would be lost.
            let rest = async { while let Some(Ok(_)) = messages.recv().await {} };
            let _ = tokio::time::timeout(FAREWELL, rest).await;
        }
    }

    /// Never returns anything but an error, which is how it ends.
    async fn run(&mut self, messages: &mut Messages, stop: &CancellationToken) -> Result<(), End> {
        let mut keep_alive = ticks(self.limits.live.keep_alive);
        loop {
            let deadline = match self.phase {
                Phase::Waiting(deadline) => Some(deadline),
                Phase::Open(..) => None,
            };
            tokio::select! {
                // What the client says comes first: it may be the sign of life that the time asks for.
                biased;
                () = stop.cancelled() => return Err(Close::stopping().into()),
                message = messages.recv() => self.hear(message).await?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Err(Close::new(4408, "Connection initialisation timeout").into());
                }
                () = &mut self.leaves => {
                    return Err(Close::new(4403, "Forbidden: the token is no longer good").into());
                }
                _ = keep_alive.tick() => self.keep_alive().await?,
                Some((id, happening)) = self.operations.next() => self.tell(&id, happening).await?,
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        self.pulse = Pulse::Felt;
        match message.ok_or(End::Gone)?.map_err(|error| close_for(&error, self.limits.body))? {
            AggregatedMessage::Text(text) => match self.protocol.read(&text) {
                Ok(message) => self.obey(message).await,
                Err(error) => Err(Close::new(4400, error).into()),
            },
            AggregatedMessage::Binary(_) => Err(Close::new(4400, "messages are texts").into()),
            AggregatedMessage::Ping(payload) => self.outlet.send(Outgoing::Pong(payload)).await,
            AggregatedMessage::Pong(_) => Ok(()),
            AggregatedMessage::Close(_) => Err(Close::new(1000, "").into()),
        }
    }

    async fn obey(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::Init(payload) => match self.phase {
                Phase::Waiting(_) => self.open(payload.as_ref()).await,
                Phase::Open(..) => Err(Close::new(4429, "Too many initialisation requests").into()),
            },
            ClientMessage::Ping(payload) => self.say(ServerMessage::Pong(payload)).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { id, operation } => self.start(id, operation).await,
            ClientMessage::Complete { id } => {
                self.operations.stop(&id);
                Ok(())
            }
            ClientMessage::Terminate => Err(Close::new(1000, "").into()),
        }
    }

    async fn open(&mut self, payload: Option<&Map<String, Value>>) -> Result<(), End> {
        let (caller, place) = self.door.admit(payload).await.map_err(|turned| match turned {
            Turned::Failed(_) => Close::new(1011, services::UNAVAILABLE.1),
            // RFC 6455 knows no code for it, but the registry that it begins does: "try again later".
            Turned::Crowded(full) => Close::new(1013, full.to_string()),
            Turned::NoToken | Turned::BadToken(_) | Turned::ForeignHost(_) | Turned::ForeignOrigin => {
                Close::new(4403, format!("Forbidden: {turned}"))
            }
        })?;
        self.leaves = self.door.leaves(caller.clone());
        self.phase = Phase::Open(caller, place);
        self.say(ServerMessage::Ack).await?;
        self.say(ServerMessage::KeepAlive).await
    }

    async fn start(&mut self, id: String, operation: Operation) -> Result<(), End> {
        let Phase::Open(caller, _) = &self.phase else {
            return Err(Close::new(4401, "Unauthorized").into());
        };
        let (caller, from) = (caller.clone(), self.door.from());
        let requester = Requester { caller, allowed: Allowed::All, from };
        if self.operations.has(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
        }
        let most = self.limits.live.operations;
        if self.operations.len() >= most {
            let message = format!("no more than {most} operations run at once on one WebSocket");
            let executed = self.schema.refuse(Refusal::TooManyOperations, &message);
            return self.say(ServerMessage::Item { id: &id, executed: &executed }).await;
        }
        match self.schema.stream(operation, requester, self.limits.running) {
            Ok(items) => {
                self.operations.start(id, items);
                Ok(())
            }
            Err(executed) => self.say(ServerMessage::Item { id: &id, executed: &executed }).await,
        }
    }

    /// Passes on what an operation gives.
    async fn tell(&mut self, id: &str, happening: Happening) -> Result<(), End> {
        match happening {
            Happening::Item(executed) => {
                if executed.errors().is_some() {
                    self.operations.stop(id);
                }
                self.say(ServerMessage::Item { id, executed: &executed }).await
            }
            Happening::Ended => {
                self.operations.stop(id);
                self.say(ServerMessage::Complete { id }).await
            }
        }
    }

    async fn keep_alive(&mut self) -> Result<(), End> {
        if self.pulse == Pulse::Missing {
            return Err(Close::new(4503, "too slow: a ping was not answered").into());
        }
        self.pulse = Pulse::Missing;
        self.outlet.send(Outgoing::Ping).await?;
        match self.phase {
            Phase::Waiting(_) => Ok(()),
            Phase::Open(..) => self.say(ServerMessage::KeepAlive).await,
        }
    }

    async fn say(&mut self, message: ServerMessage<'_>) -> Result<(), End> {
        for text in self.protocol.write(message) {
            self.outlet.send(Outgoing::Text(text)).await?;
        }
        Ok(())
    }
}

/// The first tick comes after one period; ticks that were missed are not made up for.
fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
