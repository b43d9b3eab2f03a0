//! By what is told apart that is counted.

use crate::domain::settle::Report;

/// By which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// GraphQL, answered at once.
    Graphql,
    /// GraphQL over a WebSocket: the request that opens it.
    WebSocket,
    /// GraphQL, answered with a stream of events.
    EventStream,
    /// `/batch`.
    Rest,
    /// The GraphiQL page, and what belongs to it.
    Graphiql,
    /// Everything else.
    Other,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Graphql, Self::WebSocket, Self::EventStream, Self::Rest, Self::Graphiql, Self::Other];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graphql => "graphql",
            Self::WebSocket => Live::WebSocket.name(),
            Self::EventStream => Live::EventStream.name(),
            Self::Rest => "rest",
            Self::Graphiql => "graphiql",
            Self::Other => "other",
        }
    }
}

/// The first digit of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// 1xx
    Informational,
    /// 2xx
    Success,
    /// 3xx
    Redirection,
    /// 4xx
    ClientError,
    /// 5xx
    ServerError,
}

impl StatusClass {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Success, Self::Redirection, Self::ClientError, Self::ServerError];

    /// The class of this status.
    pub fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// A kind of live connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// A WebSocket.
    WebSocket,
    /// A stream of server-sent events.
    EventStream,
}

impl Live {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::WebSocket, Self::EventStream];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::EventStream => "sse",
        }
    }
}

/// What a report said, or that it changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// The load was published.
    Published,
    /// The job was completed.
    Completed,
    /// The attempt failed.
    Failed,
    /// The job was given back.
    Released,
    /// The lease had expired.
    Expired,
    /// The report was refused: the lease was lost, for instance.
    Refused,
}

impl ReportOutcome {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Published, Self::Completed, Self::Failed, Self::Released, Self::Expired, Self::Refused];

    /// What this report says.
    pub fn of(report: &Report) -> Self {
        match report {
            Report::Published { .. } => Self::Published,
            Report::Completed { .. } => Self::Completed,
            Report::Failed { .. } => Self::Failed,
            Report::Released => Self::Released,
            Report::Expired => Self::Expired,
        }
    }

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// Whether something was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It was.
    Hit,
    /// It was not.
    Miss,
}

impl Lookup {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hit, Self::Miss];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}
