//! Plans: what would be made of a batch's definition, or what was.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::{
    connection::{ConnectionNode, load_connection},
    job::{JobNode, JobType, RequirementKind},
};
use crate::{
    domain::{
        graph::Link,
        plan::{BatchPlan, PlannedJob},
    },
    graphql::{error::UserError, scalar::Since},
    services::BatchGraph,
};

/// The GraphQL type `BatchPlan`.
pub struct PlanNode {
    plan: Arc<BatchPlan>,
    graph: Option<Arc<BatchGraph>>,
    user_errors: Vec<UserError>,
}

impl PlanNode {
    /// The plan of a batch that is there.
    pub fn stored(plan: BatchPlan, graph: Arc<BatchGraph>) -> Self {
        Self { plan: Arc::new(plan), graph: Some(graph), user_errors: Vec::new() }
    }

    /// The plan of a batch that could be made, or what is wrong with it.
    pub fn proposed((plan, user_errors): (Option<BatchPlan>, Vec<UserError>)) -> Self {
        Self { plan: Arc::new(plan.unwrap_or_default()), graph: None, user_errors }
    }

    fn job(&self, position: u32) -> Option<PlannedJobNode> {
        let inside = (position as usize) < self.plan.jobs.len();
        inside.then(|| PlannedJobNode { plan: self.plan.clone(), position, graph: self.graph.clone() })
    }
}

/// The order in which the jobs of a batch can run.
#[Object(name = "BatchPlan")]
impl PlanNode {
    /// The jobs, wave by wave: those of a wave require only jobs of the waves before it, and can run
    /// side by side. Empty when something is wrong.
    async fn waves(&self) -> Vec<Vec<PlannedJobNode>> {
        let wave = |wave: &Vec<u32>| wave.iter().filter_map(|position| self.job(*position)).collect();
        self.plan.waves.iter().map(wave).collect()
    }

    /// A longest chain of jobs that must run one after the other: the batch can't take fewer steps.
    async fn critical_path(&self) -> Vec<PlannedJobNode> {
        self.plan.critical_path.iter().filter_map(|position| self.job(*position)).collect()
    }

    /// Everything that is wrong with the definition; empty when it can run.
    async fn user_errors(&self) -> &[UserError] {
        &self.user_errors
    }
}

/// The GraphQL type `PlannedJob`.
#[derive(Clone)]
pub struct PlannedJobNode {
    plan: Arc<BatchPlan>,
    position: u32,
    graph: Option<Arc<BatchGraph>>,
}

impl PlannedJobNode {
    /// [`PlanNode::job`] has seen that it is there.
    fn planned(&self) -> &PlannedJob {
        &self.plan.jobs[self.position as usize]
    }
}

/// A job as the plan has it.
#[Object(name = "PlannedJob")]
impl PlannedJobNode {
    /// Its place in the batch, from 0, in the order given.
    async fn position(&self) -> u32 {
        self.position
    }

    /// Which way the data goes.
    async fn r#type(&self) -> JobType {
        self.planned().job_type.into()
    }

    /// What is extracted or loaded.
    async fn object(&self) -> &str {
        &self.planned().object
    }

    /// The granularity of a summary report.
    async fn grain(&self) -> Option<&str> {
        self.planned().grain.as_deref()
    }

    /// The connection it uses.
    async fn connection(&self, ctx: &Context<'_>) -> Result<ConnectionNode> {
        let id = self.planned().connection_id;
        let fetched = self.graph.as_ref().and_then(|graph| graph.connections.get(&id));
        match fetched {
            Some(connection) => Ok(ConnectionNode(connection.clone())),
            None => load_connection(ctx, id).await,
        }
    }

    /// The earliest point in the data that its worker will use.
    async fn effective_since(&self) -> Option<Since> {
        self.planned().effective_window.since.map(Since::from)
    }

    /// The earliest point of change that its worker will use.
    async fn effective_updated_since(&self) -> Option<Since> {
        self.planned().effective_window.updated_since.map(Since::from)
    }

    /// Its wave: 0 needs nothing, any other one more than the highest it requires.
    async fn wave(&self) -> u32 {
        self.planned().wave
    }

    /// What it will wait for.
    async fn dependencies(&self) -> Vec<PlannedDependencyNode> {
        let dependency = |link: &Link| PlannedDependencyNode {
            kind: link.kind.into(),
            job: Self { position: link.position, ..self.clone() },
        };
        self.planned().required.iter().map(dependency).collect()
    }

    /// The job itself, where it is there already; null in an answer of `planBatch`.
    async fn job(&self) -> Option<JobNode> {
        let graph = self.graph.as_ref()?;
        let job = graph.jobs.as_ref()?.get(self.position as usize)?;
        Some(JobNode::member(job, graph))
    }
}

/// The GraphQL type `PlannedDependency`.
pub struct PlannedDependencyNode {
    kind: RequirementKind,
    job: PlannedJobNode,
}

/// One resolved requirement of a plan.
#[Object(name = "PlannedDependency", serial)]
impl PlannedDependencyNode {
    /// What is waited for.
    async fn kind(&self) -> RequirementKind {
        self.kind
    }

    /// The job that is required.
    async fn job(&self) -> &PlannedJobNode {
        &self.job
    }
}
