//! Dependencies: which job waits for which.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, RelationDef,
    sea_query::{Alias, Expr},
};
use uuid::Uuid;

use super::{Error, columns::Columns, keys::is_any_of};
use crate::{
    domain::{
        graph::{Edge, Side},
        id::{BatchId, JobId},
        job::{Job, LinkedJob, RequirementKind},
    },
    entity::{
        dependency::{ActiveModel, Column, Entity, Model},
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
    db.query_all(&select).await?.iter().map(|row| StoredEdge::try_from(model(row)?)).collect()
}

/// A whole row, in the order of its columns.
fn model(row: &QueryResult) -> Result<Model, DbErr> {
    let columns = &mut Columns::of(row);
    Ok(Model {
        batch_id: columns.next()?,
        dependent: columns.next()?,
        required: columns.next()?,
        kind: columns.next()?,
        revision: columns.next()?,
    })
}

/// The jobs at the other ends of these jobs' edges: those that they require, or those that depend
/// on them. In the order of the batch, for each job that was asked about.
pub async fn linked_to(
    db: &impl ConnectionTrait,
    jobs: &[JobId],
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
        .filter(super::keys::any_of(of, jobs))
        .order_by_asc(job::Column::Position)
        .order_by_asc(Column::Kind)
        .into_query();
    let rows = db.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let (of, kind): (Uuid, String) = (row.try_get("", "of")?, row.try_get("", "kind")?);
            Ok(LinkedJob {
                of: JobId::from_uuid(of),
                kind: RequirementKind::named(&kind).ok_or(Error::Corrupt {
                    table: "dependencies",
                    column: "kind",
                    id: of,
                })?,
                job: Arc::new(Job::try_from(job::Model::from_query_result(row, "")?)?),
            })
        })
        .collect()
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

impl TryFrom<Model> for StoredEdge {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "dependencies", column, id: row.batch_id };
        let position = |number: i32, column| u32::try_from(number).map_err(|_| corrupt(column));
        Ok(Self {
            batch_id: BatchId::from_uuid(row.batch_id),
            revision: row.revision,
            edge: Edge {
                dependent: position(row.dependent, "dependent")?,
                required: position(row.required, "required")?,
                kind: RequirementKind::named(&row.kind).ok_or_else(|| corrupt("kind"))?,
            },
        })
    }
}
