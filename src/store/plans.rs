//! How PostgreSQL plans the statements of who writes: once, for whatever values come. Planned for each of them anew,
//! as it does by itself, a claim takes half as long again. A plan that is kept goes by how large the tables were when it
//! was made, and nothing may tell the session that they have grown; so it is made anew now and then.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use sea_orm::sqlx::{Executor, Postgres, pool::PoolOptions};

/// What a session that writes is opened with. It finds rows by their keys, one by one, wherever it can.
pub(super) const SETTINGS: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// After how many transactions a plan is made anew while the server is young, and may have met empty tables.
/// Coprime to the number of sessions that take turns, so that each has its own.
const WHILE_YOUNG: u64 = 17;
/// After how many later.
const LATER: u64 = 257;
/// For how many transactions it is young.
const YOUNG: u64 = 512;

/// Has the sessions of this pool forget their plans now and then, while nobody waits for them.
pub(super) fn forget_now_and_then(pool: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    let released = Arc::new(AtomicU64::new(0));
    pool.after_release(move |session, _| {
        let released = released.fetch_add(1, Relaxed);
        Box::pin(async move {
            let every = if released < YOUNG { WHILE_YOUNG } else { LATER };
            if released.is_multiple_of(every) {
                session.execute("DISCARD PLANS").await?;
            }
            Ok(true)
        })
    })
}
