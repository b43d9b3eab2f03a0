//! `sluice migrate`

use super::args::{MigrateAction, MigrateArgs};
use crate::{
    config::DatabaseUrl,
    store::{self, MigrationStatus},
};

pub async fn run(args: MigrateArgs) -> Result<(), String> {
    let url = args.database.url();
    match args.action {
        MigrateAction::Up => {
            let made = store::migrate(&url).await.map_err(|error| cannot_open(&url, &error))?;
            made.iter().for_each(|name| println!("applied  {name}"));
            if made.is_empty() {
                println!("the database is up to date");
            }
        }
        MigrateAction::Status => {
            let status = store::migration_status(&url).await.map_err(|error| cannot_open(&url, &error))?;
            let MigrationStatus { applied, pending } = status;
            applied.iter().for_each(|name| println!("applied  {name}"));
            pending.iter().for_each(|name| println!("pending  {name}"));
        }
    }
    Ok(())
}

fn cannot_open(url: &DatabaseUrl, error: &store::Error) -> String {
    format!("cannot open the database {url}: {error}")
}
