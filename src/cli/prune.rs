//! `sluice prune`: may run beside servers.

use tokio::time::{Duration, Instant};

use super::args::PruneArgs;
use crate::{app, config::DatabaseConfig, domain::retention::Pruned};

/// How often it is said how far it has got.
const TELL: Duration = Duration::from_secs(2);

pub async fn run(args: PruneArgs) -> Result<(), String> {
    let retention = args.retention();
    let database = DatabaseConfig { url: args.database.url(), connections: 1 };
    let store = app::open_database(&database).await.map_err(|error| error.to_string())?;
    let services = super::services(store.clone(), None);
    let cuts = retention.cuts(services.clock().now());
    if args.dry_run {
        let pruned = services.would_prune(&cuts).await.map_err(super::sentence)?;
        println!("would delete {pruned}");
    } else {
        let (mut told, mut so_far) = (Instant::now(), Pruned::default());
        let pruned = services.prune(&cuts, |pruned| {
            so_far = pruned;
            if told.elapsed() >= TELL {
                eprintln!("{pruned} so far");
                told = Instant::now();
            }
        });
        // What was deleted before something went wrong stays deleted.
        let pruned = pruned
            .await
            .map_err(|error| format!("{}, after {so_far} were deleted", super::sentence(error)))?;
        println!("deleted {pruned}");
    }
    store.close().await.map_err(|error| error.to_string())
}
