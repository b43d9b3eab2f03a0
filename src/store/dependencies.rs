//! Dependencies: which job waits for which.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, RelationDef,
    sea_query::{Alias, Expr},
};
use uuid::Uuid;

use super::{
    Error,
    columns::{Columns, read_all},
    jobs,
    keys::is_any_of,
};
use crate::{
    domain::{
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

/// The edges of these batches, batch by batch.
pub async fn of_batches(db: &impl ConnectionTrait, batches: &[BatchId]) -> Result<Vec<StoredEdge>, Error> {
    let select =
        Entity::find().filter(is_any_of(Column::BatchId, batches)).order_by_asc(Column::BatchId).into_query();
    read_all(db, &select, edge).await
}

/// The jobs at the other ends of these jobs' edges: those that they require, or those that depend
/// on them. In the order of the batch, for each job that was asked about.
pub async fn linked_to(
    db: &impl ConnectionTrait,
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
    let select = job::Entity::find()
        .expr_as(of.clone(), "of")
        .column_as(Column::Kind, "kind")
        .join(JoinType::InnerJoin, to_edge)
        .join_as(JoinType::InnerJoin, to_own, own)
        .filter(super::keys::any_of(of, ids))
        .order_by_asc(job::Column::Position)
        .order_by_asc(Column::Kind)
        .into_query();
    read_all(db, &select, |columns| {
        let job = Arc::new(jobs::job(columns)?);
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

/// A whole row, in the order of its columns.
fn edge(columns: &mut Columns<'_>) -> Result<StoredEdge, Error> {
    let id: Uuid = columns.next()?;
    let corrupt = |column| Error::Corrupt { table: "dependencies", column, id };
    let position = |number: i32, column| u32::try_from(number).map_err(|_| corrupt(column));
    let dependent = position(columns.next()?, "dependent")?;
    let required = position(columns.next()?, "required")?;
    let kind = RequirementKind::named(columns.next()?).ok_or_else(|| corrupt("kind"))?;
    let revision = columns.next()?;
    Ok(StoredEdge { batch_id: BatchId::from_uuid(id), revision, edge: Edge { dependent, required, kind } })
}
