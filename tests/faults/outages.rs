//! A PostgreSQL that goes away and comes back.

use crate::support::{Database, Dice, Engine, database::Observer, model::Plan, run, workload::Workload};

/// How often all connections are lost.
const LOSSES: usize = 8;

#[test]
fn connections_that_are_lost_under_load_are_made_again_and_nothing_is_lost() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(async {
        let mut dice = Dice::new();
        let site = database.site();
        let client = site.client();
        let connection = client.connection("there").await;
        let observer = Observer::connect().await;
        let workload = Workload::default();
        let _workers = workload.start(vec![client.clone(); 6], 4, 3);
        for loss in 0..LOSSES {
            for number in 0..2 {
                let plan = Plan::random(&mut dice, 12);
                workload.create(&client, &connection, &format!("{loss}.{number}"), &plan).await;
            }
            let lost = observer
                .number(&format!(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE datname = '{}' AND application_name = 'sluice'",
                    database.name()
                ))
                .await;
            assert!(lost > 0);
        }
        workload.verify(&client).await;
    });
}
