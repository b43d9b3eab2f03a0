//! Making, replacing and deleting batches.

mod check;
mod template;
mod write;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub use check::References;

use super::{BatchGraph, Error, Parts, Services, not_found, wakeups::Topic};
use crate::{
    domain::{
        access::{Caller, Scope},
        backfill::WindowStatus,
        batch::{Batch, BatchState, NewBatch, Origin},
        draft::BatchDraft,
        event::{Actor, Change, NewEvent, Subject},
        fingerprint::fingerprint,
        id::{BatchId, TenantId},
        plan::BatchPlan,
        problem::{At, Problem, ProblemCode, Segment},
    },
    store::{
        Guarded, Written, backfill_windows,
        batches::{self, Idempotency},
        events, jobs,
    },
};

/// The most batches that one request can make.
const MAX_BATCHES: usize = 100;
/// How often a request is tried whose idempotency key another one takes at the same moment. The
/// second time the other one is there to be found, unless it was deleted at once.
const TRIES: usize = 3;

/// Which versions of a batch a request means to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    Any,
    /// One of these, which the caller has seen.
    Versions(Vec<i32>),
}

impl Expected {
    /// The problem that a `what` is at another version than the caller has seen.
    pub fn check(&self, version: i32, what: &str) -> Option<Problem> {
        match self {
            Self::Versions(versions) if !versions.contains(&version) => {
                let message =
                    format!("this {what} has changed and is at version {version} now; read it again");
                Some(At::Root.field("version").problem(ProblemCode::StaleVersion, message))
            }
            Self::Any | Self::Versions(_) => None,
        }
    }
}

/// A new definition for a batch.
#[derive(Debug)]
pub struct Replacement {
    /// Which versions may be replaced.
    pub expected: Expected,
    /// The definition.
    pub draft: BatchDraft,
}

/// A batch that is ready to be written.
struct Prepared {
    graph: Arc<BatchGraph>,
    idempotency: Option<Idempotency>,
}

impl Services {
    /// What [`Self::create_batch`] would make of a draft, without making it.
    pub async fn plan_batch(&self, caller: &Caller, draft: BatchDraft) -> Result<BatchPlan, Error> {
        let scope = caller.may_read()?;
        let references = References::of(self.store.reader(), scope, [&draft]).await?;
        let new = references.check(draft, None, &self.limits)?;
        Ok(BatchPlan::of_new(new))
    }

    /// Makes a batch with its jobs. The same request under the same idempotency key gives the first
    /// batch again.
    pub async fn create_batch(&self, caller: &Caller, draft: BatchDraft) -> Result<Arc<BatchGraph>, Error> {
        let mut made = self.create(caller, vec![draft], |problem, _| problem).await?;
        Ok(made.remove(0))
    }

    /// Makes batches with their jobs: all of them, or none.
    pub async fn create_batches(
        &self,
        caller: &Caller,
        drafts: Vec<BatchDraft>,
    ) -> Result<Vec<Arc<BatchGraph>>, Error> {
        caller.may_operate()?;
        let at = At::Root.field("batches");
        if drafts.is_empty() {
            return Err(at.problem(ProblemCode::Blank, "name at least one batch").into());
        }
        if drafts.len() > MAX_BATCHES {
            let message =
                format!("these are {} batches; at most {MAX_BATCHES} can be made at once", drafts.len());
            return Err(at.problem(ProblemCode::TooMany, message).into());
        }
        let jobs: usize = drafts.iter().map(|draft| draft.jobs.len()).sum();
        if jobs > self.limits.jobs {
            let message =
                format!("these batches have {jobs} jobs; at most {} can be made at once", self.limits.jobs);
            return Err(at.problem(ProblemCode::TooMany, message).into());
        }
        let place =
            |problem: Problem, index| problem.under(&[Segment::Field("batches"), Segment::Index(index)]);
        self.create(caller, drafts, place).await
    }

    /// `place` says where in the request the problem of the draft with this index stands.
    async fn create(
        &self,
        caller: &Caller,
        drafts: Vec<BatchDraft>,
        place: impl Fn(Problem, usize) -> Problem,
    ) -> Result<Vec<Arc<BatchGraph>>, Error> {
        let scope = caller.may_operate()?;
        let references = References::of(self.store.reader(), scope, &drafts).await?;
        let mut problems = Vec::new();
        let mut prepared = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            match references.check(draft, None, &self.limits) {
                Ok(new) => prepared.push(self.prepare(new, &references, Origin::Client)),
                Err(found) => problems.extend(found.into_iter().map(|problem| place(problem, index))),
            }
        }
        if !problems.is_empty() {
            return Err(problems.into());
        }
        for _ in 0..TRIES {
            let known = self.known(scope, &prepared, &place).await?;
            let new: Vec<&Prepared> = prepared
                .iter()
                .zip(&known)
                .filter(|(_, known)| known.is_none())
                .map(|(new, _)| new)
                .collect();
            let transaction = self.store.write().await?;
            match write::insert(transaction.db(), &new).await? {
                Written::Done => {
                    let told = |new: &&Prepared| told(caller.actor(), &new.graph.batch, Change::BatchCreated);
                    let made: Vec<NewEvent> = new.iter().map(told).collect();
                    events::append(transaction.db(), &made).await?;
                    transaction.commit().await?;
                    self.wakeups.changed(&Topic::OF_BATCHES);
                    return self.made(scope, prepared, known).await;
                }
                Written::Duplicate => {}
                Written::Reference => {
                    return Err(lost_race("a connection of this batch was deleted just now"));
                }
            }
        }
        Err(lost_race("other requests use this idempotency key at the same time"))
    }

    fn prepare(&self, new: NewBatch, references: &References, origin: Origin) -> Prepared {
        let key = new.idempotency_key.clone();
        let idempotency = key.map(|key| Idempotency { request_hash: fingerprint(&new), key });
        let now = self.now();
        let batch = Batch {
            id: BatchId::new(now),
            tenant_id: new.tenant_id,
            origin,
            watermarks: new.watermarks,
            source_connection_id: new.source_connection_id,
            destination_connection_id: new.destination_connection_id,
            window: new.window,
            until: new.until,
            priority: new.priority,
            failure_policy: new.failure_policy,
            state: BatchState::Pending,
            version: 1,
            unfinished: new.jobs.len() as u32,
            unsuccessful: 0,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        Prepared { graph: Arc::new(write::unstarted(batch, new, references.connections())), idempotency }
    }

    /// For each batch the one that was made under its key before. A key that was used for something
    /// else, or stands twice in this request, is refused.
    async fn known(
        &self,
        scope: Scope,
        prepared: &[Prepared],
        place: impl Fn(Problem, usize) -> Problem,
    ) -> Result<Vec<Option<BatchId>>, Error> {
        let tenants: HashSet<TenantId> = prepared.iter().map(|new| new.graph.batch.tenant_id).collect();
        let keys: Vec<&Idempotency> = prepared.iter().filter_map(|new| new.idempotency.as_ref()).collect();
        if keys.is_empty() {
            return Ok(vec![None; prepared.len()]);
        }
        let used = batches::by_idempotency_keys(self.store.reader(), scope, &tenants, &keys).await?;
        let used: HashMap<_, _> =
            used.into_iter().map(|used| ((used.tenant_id, used.key.clone()), used)).collect();
        let mut seen = HashSet::new();
        let mut problems = Vec::new();
        let mut known = Vec::with_capacity(prepared.len());
        for (index, Prepared { graph, idempotency }) in prepared.iter().enumerate() {
            let Some(Idempotency { key, request_hash }) = idempotency else {
                known.push(None);
                continue;
            };
            let scoped = (graph.batch.tenant_id, key.to_string());
            let earlier = used.get(&scoped);
            known.push(earlier.map(|used| used.batch_id));
            let message = match earlier {
                Some(used) if used.request_hash != *request_hash => {
                    format!("{} was made under this key, from another input; use a new key", used.batch_id)
                }
                _ if !seen.insert(scoped) => {
                    "this key stands twice in one request; give each batch its own".into()
                }
                _ => continue,
            };
            let at = At::Root.field("idempotency_key");
            problems.push(place(at.problem(ProblemCode::IdempotencyConflict, message), index));
        }
        if problems.is_empty() { Ok(known) } else { Err(problems.into()) }
    }

    async fn made(
        &self,
        scope: Scope,
        prepared: Vec<Prepared>,
        known: Vec<Option<BatchId>>,
    ) -> Result<Vec<Arc<BatchGraph>>, Error> {
        let ids: Vec<BatchId> = known.iter().copied().flatten().collect();
        let graphs = self.batches_by_id(scope, &ids, Parts::DEFINITION).await?;
        let made = prepared.into_iter().zip(known).map(|(new, known)| match known {
            None => Ok(new.graph),
            Some(id) => {
                let deleted = || lost_race("the batch that was made under this key was deleted just now");
                graphs.get(&id).cloned().ok_or_else(deleted)
            }
        });
        made.collect()
    }

    /// Replaces the definition of a batch of which nothing has started.
    pub async fn replace_batch(
        &self,
        caller: &Caller,
        id: BatchId,
        replacement: Replacement,
    ) -> Result<Arc<BatchGraph>, Error> {
        let scope = caller.may_operate()?;
        let Replacement { expected, draft } = replacement;
        let references = References::of(self.store.reader(), scope, [&draft]).await?;
        let transaction = self.store.write().await?;
        let old = batches::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("batch"))?;
        let mut problems = check_version(&old, &expected);
        if !old.state.can_be_replaced() {
            let status = old.state.status().name();
            let message =
                format!("this batch is {status}; only one of which nothing has started can be replaced");
            problems.push(At::Root.field("id").problem(ProblemCode::WrongState, message));
        }
        let new = match references.check(draft, Some(old.tenant_id), &self.limits) {
            Ok(new) if problems.is_empty() => new,
            Ok(_) => return Err(problems.into()),
            Err(found) => {
                problems.extend(found);
                return Err(problems.into());
            }
        };
        let batch = Batch {
            // It is not what its schedule has asked for any more.
            watermarks: new.watermarks,
            source_connection_id: new.source_connection_id,
            destination_connection_id: new.destination_connection_id,
            window: new.window,
            until: new.until,
            priority: new.priority,
            failure_policy: new.failure_policy,
            version: old.version + 1,
            unfinished: new.jobs.len() as u32,
            revision: old.revision + 1,
            updated_at: self.now(),
            ..old
        };
        let graph = write::unstarted(batch, new, references.connections());
        jobs::delete_of_batch(transaction.db(), id).await?;
        match batches::update(transaction.db(), &graph.batch, old.version).await? {
            Guarded::Done => {}
            Guarded::Changed => return Err(lost_race("this batch was changed just now")),
        }
        match write::insert_parts(transaction.db(), &[&graph]).await? {
            Written::Done => {}
            Written::Duplicate | Written::Reference => {
                return Err(lost_race("a connection of this batch was deleted just now"));
            }
        }
        events::append(transaction.db(), &[told(caller.actor(), &graph.batch, Change::BatchReplaced)])
            .await?;
        transaction.commit().await?;
        self.wakeups.changed(&Topic::OF_BATCHES);
        Ok(Arc::new(graph))
    }

    /// Removes a batch that does not run, with its jobs, and says what it was.
    pub async fn delete_batch(
        &self,
        caller: &Caller,
        id: BatchId,
        expected: Expected,
    ) -> Result<Arc<BatchGraph>, Error> {
        let scope = caller.may_operate()?;
        let last_seen = self.batches_by_id(scope, &[id], Parts::DEFINITION).await?.remove(&id);
        let transaction = self.store.write().await?;
        let batch = batches::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("batch"))?;
        let mut problems = check_version(&batch, &expected);
        if !batch.state.can_be_deleted() {
            let message = format!("this batch is {}; cancel it first", batch.state.status().name());
            problems.push(At::Root.field("id").problem(ProblemCode::WrongState, message));
        }
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let last_seen = last_seen.filter(|seen| seen.batch.version == batch.version);
        match (last_seen, batches::delete(transaction.db(), id, batch.version).await?) {
            (Some(seen), Guarded::Done) => {
                if batch.origin.backfill().is_some() && batch.state == BatchState::Pending {
                    backfill_windows::follow(transaction.db(), &[id], WindowStatus::Canceled).await?;
                }
                let event = NewEvent { at: self.now(), ..told(caller.actor(), &batch, Change::BatchDeleted) };
                events::append(transaction.db(), &[event]).await?;
                transaction.commit().await?;
                self.wakeups.changed(&Topic::OF_SCHEDULED);
                Ok(seen)
            }
            (None, _) | (_, Guarded::Changed) => Err(lost_race("this batch was changed just now")),
        }
    }
}

/// The event that somebody has changed a batch, when it was last changed.
fn told(actor: Actor, batch: &Batch, change: Change) -> NewEvent {
    let Batch { id, tenant_id, updated_at, .. } = *batch;
    NewEvent { at: updated_at, actor, tenant_id, subject: Subject::Batch(id), change }
}

fn check_version(batch: &Batch, expected: &Expected) -> Vec<Problem> {
    expected.check(batch.version, "batch").into_iter().collect()
}

/// Somebody else was faster, between our check and our write. To ask again gives the true answer.
pub fn lost_race(message: &str) -> Error {
    At::Root.problem(ProblemCode::StaleVersion, format!("{message}; ask again")).into()
}
