//! The SQL statements that a server sends.

use std::sync::{Arc, Mutex};

use sea_orm::metric::Info;

/// How statements begin that the server sends when it comes to it, whatever is asked of it meanwhile: it tells other
/// servers of a change, and looks what there is to do for schedules and for backfills, and what is left of batches.
const BESIDE: [&str; 4] = [
    "SELECT pg_notify(",
    "SELECT id, next_at, held FROM",
    "SELECT id, ready FROM",
    "SELECT \"batches\".\"id\", (coalesce((SELECT max(position)",
];

#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    pub fn record(&self, info: &Info<'_>) {
        if BESIDE.iter().any(|beside| info.statement.sql.starts_with(beside)) {
            return;
        }
        self.0.lock().unwrap().push(info.statement.sql.clone());
    }

    /// How many statements something takes.
    pub async fn during<T>(&self, something: impl Future<Output = T>) -> usize {
        self.take();
        something.await;
        self.take().len()
    }

    /// Forgets what was recorded, and gives it back.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}
