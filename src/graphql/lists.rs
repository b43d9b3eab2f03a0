//! Lists that can grow without bound, as Relay connections
//! (<https://relay.dev/graphql/connections.htm>).

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::{
    context::ContextExt,
    error::query_error,
    fields::fields,
    inline::{Kept, Viewed},
    types::{
        backfill::{BackfillNode, BackfillWindowNode},
        batch::BatchNode,
        connection::ConnectionNode,
        event::EventNode,
        firing::FiringNode,
        job::JobNode,
        page_info::{Cursor, PageInfo},
        schedule::ScheduleNode,
        tenant::TenantNode,
        token::TokenNode,
        watermark::WatermarkNode,
    },
};
use crate::domain::{
    backfill::{Backfill, BackfillWindow, WindowStatus},
    batch::Batch,
    connection::Connection,
    event::{Event, EventFilter},
    firing::Firing,
    id::ScheduleId,
    job::Job,
    list::{BatchFilter, ConnectionFilter, JobFilter, Order, ScheduleFilter},
    page::{Keyed, Page, Slice},
    schedule::Schedule,
    tenant::Tenant,
    token::Token,
    watermark::Watermark,
};

/// What a node shows, which has a place in a list.
pub trait Node: Viewed {
    /// What it shows.
    type Object: Keyed;

    /// What it shows.
    fn object(&self) -> &Self::Object;
}

impl Node for TenantNode {
    type Object = Tenant;

    fn object(&self) -> &Tenant {
        &self.0
    }
}

impl Node for ConnectionNode {
    type Object = Connection;

    fn object(&self) -> &Connection {
        &self.0
    }
}

impl Node for BatchNode {
    type Object = Batch;

    fn object(&self) -> &Batch {
        &self.0.batch
    }
}

impl Node for JobNode {
    type Object = Job;

    fn object(&self) -> &Job {
        &self.job
    }
}

impl Node for TokenNode {
    type Object = Token;

    fn object(&self) -> &Token {
        &self.0
    }
}

impl Node for ScheduleNode {
    type Object = Schedule;

    fn object(&self) -> &Schedule {
        &self.0
    }
}

impl Node for FiringNode {
    type Object = Firing;

    fn object(&self) -> &Firing {
        &self.0
    }
}

impl Node for WatermarkNode {
    type Object = Watermark;

    fn object(&self) -> &Watermark {
        &self.0
    }
}

impl Node for BackfillNode {
    type Object = Backfill;

    fn object(&self) -> &Backfill {
        &self.0
    }
}

impl Node for BackfillWindowNode {
    type Object = BackfillWindow;

    fn object(&self) -> &BackfillWindow {
        &self.0
    }
}

impl Node for EventNode {
    type Object = Event;

    fn object(&self) -> &Event {
        &self.0
    }
}

/// Which rows a list counts when somebody asks for the total.
pub enum Counted {
    /// All tenants.
    Tenants,
    /// Connections that the filter lets through.
    Connections(ConnectionFilter),
    /// Batches that the filter lets through.
    Batches(BatchFilter),
    /// Jobs that the filter lets through.
    Jobs(JobFilter),
    /// Events that the filter lets through.
    Events(EventFilter),
    /// Tokens.
    Tokens,
    /// Schedules that the filter lets through.
    Schedules(ScheduleFilter),
    /// The firings of a schedule.
    Firings(ScheduleId),
    /// The watermarks of a schedule.
    Watermarks(ScheduleId),
    /// The backfills of a schedule.
    Backfills(ScheduleId),
    /// The windows of a backfill in one of these states; none named: in any.
    Windows(Arc<Backfill>, Vec<WindowStatus>),
    /// So many, which need not be counted.
    Known(u32),
}

/// A page of a list, whatever is in it.
pub struct List<N> {
    nodes: Vec<N>,
    has_previous: bool,
    has_next: bool,
    order: Order,
    counted: Counted,
}

impl<N: Node> List<N> {
    /// The answer to a request for `page`.
    pub fn new(slice: Slice<N>, page: &Page, counted: Counted) -> Self {
        let Slice { rows: nodes, has_previous, has_next } = slice;
        Self { nodes, has_previous, has_next, order: page.order, counted }
    }

    fn edges(&self) -> impl Iterator<Item = EdgeView<'_, N>> {
        self.nodes.iter().map(|node| EdgeView { node, order: self.order })
    }

    fn page_info(&self) -> PageInfo {
        PageInfo {
            has_previous: self.has_previous,
            has_next: self.has_next,
            start: self.edges().next().map(EdgeView::cursor),
            end: self.edges().last().map(EdgeView::cursor),
        }
    }

    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let (services, caller) = (ctx.services(), ctx.caller());
        let count = match &self.counted {
            Counted::Tenants => services.tenant_count(caller).await,
            Counted::Connections(filter) => services.connection_count(caller, filter).await,
            Counted::Batches(filter) => services.batch_count(caller, filter).await,
            Counted::Jobs(filter) => services.job_count(caller, filter).await,
            Counted::Tokens => services.token_count(caller).await,
            Counted::Schedules(filter) => services.schedule_count(caller, filter).await,
            Counted::Firings(schedule) => services.firing_count(caller, *schedule).await,
            Counted::Watermarks(schedule) => services.watermark_count(caller, *schedule).await,
            Counted::Backfills(schedule) => services.backfill_count(caller, *schedule).await,
            Counted::Windows(backfill, statuses) => {
                services.backfill_window_count(caller, backfill, statuses).await
            }
            Counted::Known(count) => Ok((*count).into()),
            Counted::Events(filter) => services.event_count(caller, filter).await,
        };
        Ok(i32::try_from(count.map_err(query_error)?).unwrap_or(i32::MAX))
    }
}

/// A node in its place in the list.
pub struct EdgeView<'a, N> {
    node: &'a N,
    order: Order,
}

impl<N> Clone for EdgeView<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for EdgeView<'_, N> {}

impl<N: Node> EdgeView<'_, N> {
    fn cursor(self) -> Cursor {
        Cursor { key: self.node.object().key(self.order), list: N::Object::LIST, order: self.order }
    }
}

macro_rules! lists {
    ($($connection:ident, $edge:ident, $node:ident, $what:literal;)*) => { $(
        #[doc = concat!("A page of a list of ", $what, ".")]
        pub struct $connection(pub List<$node>);

        impl Viewed for $connection {
            type View<'a> = &'a List<$node>;

            fn view(&self) -> &List<$node> {
                &self.0
            }
        }

        fields! {
            #[doc = concat!("A page of a list of ", $what, ".")]
            #[Object]
            $connection |list|;

            #[doc = concat!("The ", $what, " of this page, each with its cursor.")]
            list edges: $edge = list.edges();

            #[doc = concat!("The ", $what, " of this page, for who needs no cursor of each.")]
            list nodes: $node = list.nodes.iter().map(Viewed::view);

            /// Where this page lies in the list.
            object page_info: PageInfo = list.page_info();

            #[doc = concat!("How many ", $what, " the whole list has. Counted only when it is selected.")]
            async fn total_count(&self, ctx: &Context<'_>) -> Result<i32> {
                self.0.total_count(ctx).await
            }
        }

        #[doc = concat!("One of a list of ", $what, ", with its cursor.")]
        pub struct $edge { node: $node, order: Order }

        impl Viewed for $edge {
            type View<'a> = EdgeView<'a, $node>;

            fn view(&self) -> EdgeView<'_, $node> {
                EdgeView { node: &self.node, order: self.order }
            }
        }

        impl Kept for $edge {
            fn kept(EdgeView { node, order }: EdgeView<'_, $node>) -> Self {
                Self { node: node.clone(), order }
            }
        }

        fields! {
            #[doc = concat!("One of a list of ", $what, ", with its cursor.")]
            #[Object(serial)]
            $edge |edge|;

            /// Where it stands in the list: pass it as `after` or `before`.
            value cursor: Cursor = edge.cursor();

            /// What stands there.
            object node: $node = edge.node.view();
        }
    )* };
}

impl EventEdge {
    /// An event with its place in the history.
    pub fn of(node: EventNode) -> Self {
        Self { order: Order::OLDEST, node }
    }
}

lists! {
    TenantConnection, TenantEdge, TenantNode, "tenants";
    ConnectionConnection, ConnectionEdge, ConnectionNode, "connections";
    BatchConnection, BatchEdge, BatchNode, "batches";
    JobConnection, JobEdge, JobNode, "jobs";
    TokenConnection, TokenEdge, TokenNode, "tokens";
    ScheduleConnection, ScheduleEdge, ScheduleNode, "schedules";
    FiringConnection, FiringEdge, FiringNode, "firings";
    WatermarkConnection, WatermarkEdge, WatermarkNode, "watermarks";
    BackfillConnection, BackfillEdge, BackfillNode, "backfills";
    BackfillWindowConnection, BackfillWindowEdge, BackfillWindowNode, "windows";
    EventConnection, EventEdge, EventNode, "events";
}
