//! How far the jobs of incremental schedules have got.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::{connection::ConnectionNode, job::JobType};
use crate::{
    domain::watermark::Watermark,
    graphql::{context::ContextExt, fields::fields, inline::viewed, scalar::DateTime},
};

/// The GraphQL type `Watermark`.
#[derive(Clone)]
pub struct WatermarkNode(pub Arc<Watermark>);

viewed!(WatermarkNode(Arc<Watermark>));

fields! {
    /// How far a job of an incremental schedule has got. It is known by its type, object, grain and connection: one that uses
    /// another connection than before starts anew.
    #[Object(name = "Watermark")]
    WatermarkNode |it|;

    /// Which way the data goes.
    value r#type: JobType = it.job.job_type.into();

    /// What is extracted or loaded.
    value object: &str = &it.job.object;

    /// The granularity of a summary report.
    value grain: Option<&str> = it.job.grain.as_deref();

    /// The connection; null when it was removed since.
    async fn connection(&self, ctx: &Context<'_>) -> Result<Option<ConnectionNode>> {
        Ok(ctx.load(self.0.job.connection_id).await?.map(ConnectionNode))
    }

    /// What was changed before this is done: the next batch asks for what was changed after it, less the overlap. Null:
    /// it asks for everything.
    value at: Option<DateTime> = it.level.at.map(DateTime);

    /// When it was last reset; null: it never was.
    value reset_at: Option<DateTime> = it.level.reset_at.map(DateTime);
}
