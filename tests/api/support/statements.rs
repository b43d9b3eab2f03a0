//! The SQL statements that a server sends.

use std::sync::{Arc, Mutex};

use sea_orm::metric::Info;

#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    pub fn record(&self, info: &Info<'_>) {
        // Other servers are told of a change when it is done, by whoever comes to it.
        if info.statement.sql.contains("pg_notify(") {
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
