//! Schedules that fire each second on servers that die: every instant at which one is due leaves one record.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde_json::json;

use crate::support::{
    Client, Database, Dice, Engine, Site,
    database::Observer,
    on_both, run,
    schedule::{Schedule, done},
    until,
};

/// How often servers are killed, or lose their connections to the database.
const FAULTS: usize = 12;

/// Well below the half minute after which who has heard of nothing looks by itself.
const SOON: Duration = Duration::from_secs(10);

/// How many schedules there are of each policy: enough that they take a while to fire.
const COPIES: usize = 3;

/// What each schedule does when an earlier batch has not ended, and what about those that were missed.
const POLICIES: [(&str, &str); 4] =
    [("SKIP", "LATEST"), ("QUEUE", "ALL"), ("CANCEL_PREVIOUS", "NONE"), ("ALLOW", "ALL")];

/// Some of each policy, and one whose template will not do any more.
async fn schedules(client: &Client) -> (Vec<Schedule>, Schedule) {
    let mut sound = Vec::new();
    for (overlap, catch_up) in POLICIES {
        for copy in 0..COPIES {
            let name = format!("{overlap} {copy}");
            sound.push(Schedule::create(client, &name, (overlap, catch_up)).await);
        }
    }
    let spoilt = Schedule::create(client, "spoilt", ("ALLOW", "ALL")).await;
    let connection = json!({ "id": spoilt.input["template"]["sourceConnectionId"] });
    done(client, "archiveConnection", connection, "connection { id }").await;
    (sound, spoilt)
}

/// Cancels batches, and changes schedules or pauses them for a moment, until it is told to stop.
async fn meddle(clients: Vec<Client>, mut schedules: Vec<Schedule>, stop: Arc<AtomicBool>) -> Vec<Schedule> {
    let count = schedules.len();
    for turn in 0.. {
        let (client, schedule) = (&clients[turn % clients.len()], &mut schedules[turn % count]);
        match turn / count % 4 {
            0 => schedule.update(client).await,
            1 => schedule.pause_for_a_moment(client).await,
            _ => schedule.cancel_batches(client).await,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    schedules
}

/// Waits for a moment at which schedules fire, most times: soon after the start of a second.
async fn some_moment(dice: &mut Dice) {
    let millis = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let after_start = if dice.one_in(4) { dice.below(1000) } else { dice.below(120) };
    tokio::time::sleep(Duration::from_millis(1000 - millis % 1000 + after_start as u64)).await;
}

/// Lets faults befall the servers while schedules fire, and looks at what became of those.
async fn befall(sites: &mut [Site], mut fault: impl AsyncFnMut(&mut [Site])) {
    let clients: Vec<_> = sites.iter().map(Site::client).collect();
    let (sound, spoilt) = schedules(&clients[0]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let meddling = tokio::spawn(meddle(clients.clone(), sound, stop.clone()));
    for _ in 0..FAULTS {
        fault(sites).await;
    }
    stop.store(true, Ordering::Relaxed);
    for schedule in meddling.await.unwrap().iter().chain([&spoilt]) {
        schedule.verify(&clients[0]).await;
    }
}

on_both! {
    async fn a_server_killed_while_schedules_fire_leaves_one_record_of_each_instant(database: &Database) {
        let mut dice = Dice::new();
        befall(&mut [database.site()], async |sites| {
            some_moment(&mut dice).await;
            sites[0].kill_and_restart();
        })
        .await;
    }
}

#[test]
fn two_servers_that_are_killed_or_cut_off_leave_one_record_of_each_instant() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(async {
        let mut dice = Dice::new();
        let observer = Observer::connect().await;
        befall(&mut [database.site(), database.site()], async |sites| {
            some_moment(&mut dice).await;
            match dice.below(4) {
                0 => observer.cut_off(&database).await,
                1 => sites.iter_mut().for_each(Site::kill_and_restart),
                _ => sites[dice.below(2)].kill_and_restart(),
            }
        })
        .await;
    });
}

#[test]
fn what_was_missed_leaves_one_record_of_each_instant_though_servers_die_over_it() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(async {
        let mut dice = Dice::new();
        let mut site = database.site();
        let client = site.client();
        let (sound, spoilt) = schedules(&client).await;
        site.kill();
        // As if no server had run since then.
        database.execute(
            "UPDATE schedules SET created_at = created_at - interval '20 minutes', next_at = next_at - interval '20 minutes';
             UPDATE firings SET due_at = due_at - interval '20 minutes'",
        );
        for _ in 0..FAULTS {
            site.kill_and_restart();
            tokio::time::sleep(Duration::from_millis(dice.below(200) as u64)).await;
        }
        for schedule in sound.iter().chain([&spoilt]) {
            schedule.caught_up(&client).await;
            schedule.verify(&client).await;
        }
    });
}

#[test]
fn a_schedule_fires_again_soon_after_all_connections_were_lost() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(async {
        let site = database.site();
        let client = site.client();
        let schedule = Schedule::create(&client, "each second", ("ALLOW", "NONE")).await;
        let observer = Observer::connect().await;
        let count = async || schedule.all(&client, "firings", "id").await.len();
        for _ in 0..3 {
            observer.cut_off(&database).await;
            let (before, begun) = (count().await, Instant::now());
            until("more firings", async || count().await > before + 1).await;
            assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        }
    });
}
