//! The database schema of Sluice, one change a file, for SQLite and PostgreSQL.
//!
//! A file that has been released is never edited again: a later one changes what it did. The
//! CHECK constraints repeat the rules of the domain, so that no path to the database gets round them.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod m0001_tenants;
mod m0002_connections;
mod m0003_batches;
mod m0004_jobs;
mod m0005_dependencies;
mod m0006_runs;
mod m0007_attempts;
mod m0008_events;
mod m0009_dependents;
mod m0010_requires;
mod m0011_room;
mod m0012_tokens;
mod m0013_credentials;
mod m0014_schedules;
mod m0015_schedule_events;
mod m0016_server_secrets;
mod m0017_watermarks;
mod m0018_backfills;
mod m0020_lanes;
mod m0021_retention;
mod m0022_connection_changes;
mod m0023_room_for_jobs;

/// All changes, oldest first.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tenants::Migration),
            Box::new(m0002_connections::Migration),
            Box::new(m0003_batches::Migration),
            Box::new(m0004_jobs::Migration),
            Box::new(m0005_dependencies::Migration),
            Box::new(m0006_runs::Migration),
            Box::new(m0007_attempts::Migration),
            Box::new(m0008_events::Migration),
            Box::new(m0009_dependents::Migration),
            Box::new(m0010_requires::Migration),
            Box::new(m0011_room::Migration),
            Box::new(m0012_tokens::Migration),
            Box::new(m0013_credentials::Migration),
            Box::new(m0014_schedules::Migration),
            Box::new(m0015_schedule_events::Migration),
            Box::new(m0016_server_secrets::Migration),
            Box::new(m0017_watermarks::Migration),
            Box::new(m0018_backfills::Migration),
            Box::new(m0020_lanes::Migration),
            Box::new(m0021_retention::Migration),
            Box::new(m0022_connection_changes::Migration),
            Box::new(m0023_room_for_jobs::Migration),
        ]
    }
}
