//! The window of a job, and where it comes from.

use async_graphql::{Enum, Object};

use crate::{
    domain::since::{self, EffectiveWindow},
    graphql::{
        inline::{Asked, AtHand, Write},
        json::Json,
        scalar::Since,
    },
};

/// Where a bound of a job's window comes from.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "since::WindowOrigin")]
pub enum WindowOrigin {
    /// The job has one of its own.
    Job,
    /// The batch has one, and the job none.
    Batch,
    /// The watermark of its incremental schedule: where the last success began, less the overlap.
    Watermark,
    /// There is none: everything is asked for.
    None,
}

/// The GraphQL type `JobWindow`.
pub struct JobWindow(pub EffectiveWindow);

/// What a worker must ask for, and why.
#[Object(serial)]
impl JobWindow {
    /// The earliest point in the data.
    async fn since(&self) -> Option<Since> {
        self.0.window.since.map(Since::from)
    }

    /// The earliest point in the data that is not asked for any more: the batch's.
    async fn until(&self) -> Option<Since> {
        self.0.until.map(Since::from)
    }

    /// Only records changed after this point, whatever dates they bear.
    async fn updated_since(&self) -> Option<Since> {
        self.0.window.updated_since.map(Since::from)
    }

    /// Where `since` comes from.
    async fn since_origin(&self) -> WindowOrigin {
        self.0.since_origin.into()
    }

    /// Where `updatedSince` comes from.
    async fn updated_since_origin(&self) -> WindowOrigin {
        self.0.updated_since_origin.into()
    }
}

impl AtHand for JobWindow {
    type View<'a> = EffectiveWindow;

    fn view(&self) -> EffectiveWindow {
        self.0
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "since" => Self::value(|it, json| json.nullable(it.window.since, Json::since)),
            "until" => Self::value(|it, json| json.nullable(it.until, Json::since)),
            "updatedSince" => Self::value(|it, json| json.nullable(it.window.updated_since, Json::since)),
            "sinceOrigin" => Self::value(|it, json| json.choice(WindowOrigin::from(it.since_origin))),
            "updatedSinceOrigin" => {
                Self::value(|it, json| json.choice(WindowOrigin::from(it.updated_since_origin)))
            }
            _ => return None,
        })
    }
}
