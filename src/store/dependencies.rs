//! Dependencies: which job waits for which. For who reads whole batches, the same stands on the rows of their
//! jobs, see [`jobs::of_batches`].

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, RelationDef,
    sea_query::{Alias, Expr},
};
use uuid::Uuid;

use super::{
    Db, Error,
    columns::read_all,
    jobs,
    keys::{any_of, seen_in},
};
use crate::{
    domain::{
        access::Scope,
        graph::{Edge, Side},
        id::{BatchId, JobId},
        job::{LinkedJob, RequirementKind},
    },
    entity::{
        dependency::{ActiveModel, Column, Entity},
        job,
    },
};

/// A statement has at most 32,766 parameters on SQLite, and a row 5 columns.
const ROWS_PER_INSERT: usize = 4096;

/// An edge, with the batch and the revision of the definition that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEdge {
    /// The batch.
    pub batch_id: BatchId,
    /// The revision of its definition.
    pub revision: i32,
    /// The edge.
    pub edge: Edge,
}

/// The jobs at the other ends of these jobs' edges: those that they require, or those that depend
/// on them. In the order of the batch, for each job that was asked about.
pub async fn linked_to(
    db: &impl Db,
    scope: Scope,
    ids: &[JobId],
    other: Side,
) -> Result<Vec<LinkedJob>, Error> {
    let (other_end, own_end) = match other {
        Side::Required => (Column::Required, Column::Dependent),
        Side::Dependent => (Column::Dependent, Column::Required),
    };
    let to_edge: RelationDef = job::Entity::belongs_to(Entity)
        .from((job::Column::BatchId, job::Column::Position))
        .to((Column::BatchId, other_end))
        .into();
    let to_own: RelationDef = Entity::belongs_to(job::Entity)
        .from((Column::BatchId, own_end))
        .to((job::Column::BatchId, job::Column::Position))
        .into();
    let own = Alias::new("own");
    let of = Expr::col((own.clone(), job::Column::Id));
    let select = jobs::select_whole()
        .expr_as(of.clone(), "of")
        .column_as(Column::Kind, "kind")
        .join(JoinType::InnerJoin, to_edge)
        .join_as(JoinType::InnerJoin, to_own, own)
        .filter(any_of(of, ids))
        .filter(seen_in(scope, job::Column::TenantId))
        .order_by_asc(job::Column::Position)
        .order_by_asc(Column::Kind)
        .into_query();
    read_all(db, &select, |columns| {
        let job = Arc::new(jobs::whole_job(columns)?);
        let of: Uuid = columns.next()?;
        let corrupt = || Error::Corrupt { table: "dependencies", column: "kind", id: of };
        let kind = RequirementKind::named(columns.next()?).ok_or_else(corrupt)?;
        Ok(LinkedJob { of: JobId::from_uuid(of), kind, job })
    })
    .await
}

/// Adds the edges of a batch.
pub async fn insert(db: &impl ConnectionTrait, edges: &[StoredEdge]) -> Result<(), Error> {
    for chunk in edges.chunks(ROWS_PER_INSERT) {
        let rows = chunk.iter().map(|StoredEdge { batch_id, revision, edge }| ActiveModel {
            batch_id: Set(batch_id.uuid()),
            dependent: Set(edge.dependent as i32),
            required: Set(edge.required as i32),
            kind: Set(edge.kind.name().into()),
            revision: Set(*revision),
        });
        Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    Ok(())
}
