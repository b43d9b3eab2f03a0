//! Wake-ups between servers that share a PostgreSQL: NOTIFY and LISTEN, on a channel for each schema.
//! On SQLite there is one server, and nobody to wake.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement,
    sqlx::{
        self,
        postgres::{PgListener, PgPoolOptions},
    },
};

use super::{Db, Error, Store};

/// Hears what other servers have to say.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Store {
    /// Begins to listen to other servers; `None` where there are none.
    pub async fn listen(&self) -> Result<Option<Listener>, Error> {
        let Some(channel) = channel(self.reader()).await? else { return Ok(None) };
        // A connection of its own, which no request has to wait for.
        let options = self.reader().pool().get_postgres_connection_pool().connect_options();
        let pool = PgPoolOptions::new().max_connections(1).connect_with((*options).clone());
        let mut listener = PgListener::connect_with(&pool.await.map_err(lost)?).await.map_err(lost)?;
        listener.listen(&channel).await.map_err(lost)?;
        Ok(Some(Listener(listener)))
    }

    /// Says this to all servers, this one included. Not in the transaction that it is about: to commit
    /// a NOTIFY, PostgreSQL lets one transaction wait for the other.
    pub async fn tell(&self, message: &str) -> Result<(), Error> {
        let db = self.reader();
        if db.backend() == DbBackend::Postgres {
            let tell = format!("SELECT pg_notify({CHANNEL}, $1)");
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, tell, [message.into()]);
            db.execute_raw(statement).await?;
        }
        Ok(())
    }
}

impl Listener {
    /// What was said next; `None`: the connection was lost and is there again, and what was said
    /// meanwhile is lost.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let said = self.0.try_recv().await.map_err(lost)?;
        Ok(said.map(|said| said.payload().to_owned()))
    }
}

/// The channel's name. One of its own for each schema: they are different Sluices.
const CHANNEL: &str = "'sluice.' || current_schema()";

async fn channel(db: &impl Db) -> Result<Option<String>, Error> {
    if db.backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let select = Statement::from_string(DbBackend::Postgres, format!("SELECT {CHANNEL}"));
    let row = db.query_one_raw(select).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

fn lost(error: sqlx::Error) -> Error {
    Error::Database(DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(error))))
}
