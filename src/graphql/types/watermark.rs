//! How far the jobs of incremental schedules have got.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::{connection::ConnectionNode, job::JobType};
use crate::{
    domain::watermark::Watermark,
    graphql::{
        context::ContextExt,
        inline::{Asked, AtHand, Write},
        json::Json,
        scalar::DateTime,
    },
};

/// The GraphQL type `Watermark`.
#[derive(Clone)]
pub struct WatermarkNode(pub Arc<Watermark>);

/// How far a job of an incremental schedule has got. It is known by its type, object, grain and connection: one that uses
/// another connection than before starts anew.
#[Object(name = "Watermark")]
impl WatermarkNode {
    /// Which way the data goes.
    async fn r#type(&self) -> JobType {
        self.0.job.job_type.into()
    }

    /// What is extracted or loaded.
    async fn object(&self) -> &str {
        &self.0.job.object
    }

    /// The granularity of a summary report.
    async fn grain(&self) -> Option<&str> {
        self.0.job.grain.as_deref()
    }

    /// The connection; null when it was removed since.
    async fn connection(&self, ctx: &Context<'_>) -> Result<Option<ConnectionNode>> {
        Ok(ctx.load(self.0.job.connection_id).await?.map(ConnectionNode))
    }

    /// What was changed before this is done: the next batch asks for what was changed after it, less the overlap. Null:
    /// it asks for everything.
    async fn at(&self) -> Option<DateTime> {
        self.0.level.at.map(DateTime)
    }

    /// When it was last reset; null: it never was.
    async fn reset_at(&self) -> Option<DateTime> {
        self.0.level.reset_at.map(DateTime)
    }
}

impl AtHand for WatermarkNode {
    type View<'a> = &'a Watermark;

    fn view(&self) -> &Watermark {
        &self.0
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "type" => Self::value(|it, json| json.choice(JobType::from(it.job.job_type))),
            "object" => Self::value(|it, json| json.put(&*it.job.object)),
            "grain" => Self::value(|it, json| json.put(&it.job.grain.as_deref())),
            "at" => Self::value(|it, json| json.nullable(it.level.at, Json::time)),
            "resetAt" => Self::value(|it, json| json.nullable(it.level.reset_at, Json::time)),
            _ => return None,
        })
    }
}
