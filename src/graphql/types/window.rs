//! The window of a job, and where it comes from.

use async_graphql::{Enum, Object};

use crate::{
    domain::since::{self, EffectiveWindow},
    graphql::{
        fields::fields,
        inline::{Kept, Viewed},
        leaf::choices,
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

choices!(WindowOrigin);

impl Viewed for JobWindow {
    type View<'a> = EffectiveWindow;

    fn view(&self) -> EffectiveWindow {
        self.0
    }
}

impl Kept for JobWindow {
    fn kept(window: EffectiveWindow) -> Self {
        Self(window)
    }
}

fields! {
    /// What a worker must ask for, and why.
    #[Object(serial)]
    JobWindow |it|;

    /// The earliest point in the data.
    value since: Option<Since> = it.window.since.map(Since::from);

    /// The earliest point in the data that is not asked for any more: the batch's.
    value until: Option<Since> = it.until.map(Since::from);

    /// Only records changed after this point, whatever dates they bear.
    value updated_since: Option<Since> = it.window.updated_since.map(Since::from);

    /// Where `since` comes from.
    value since_origin: WindowOrigin = it.since_origin.into();

    /// Where `updatedSince` comes from.
    value updated_since_origin: WindowOrigin = it.updated_since_origin.into();
}
