//! Several servers on one PostgreSQL, an idle one, and one that is told to stop.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Database, Dice, Engine, Follower,
    database::Observer,
    model::{Plan, Quirk},
    on_both, run, until,
    workload::Workload,
};

/// What two servers share is in PostgreSQL.
fn on_postgres(test: impl AsyncFnOnce(&Database)) {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(test(&database));
}

/// Well below the ten seconds after which who waits looks by itself.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn two_servers_and_sixteen_workers_end_every_batch_as_they_must() {
    on_postgres(async |database| {
        let mut dice = Dice::new();
        let mut sites = [database.site(), database.site()];
        let clients = [sites[0].client(), sites[1].client()];
        let connection = clients[0].connection("there").await;
        let workload = Workload::default();
        let workers = (0..16).map(|number| clients[number % 2].clone()).collect();
        let _workers = workload.start(workers, 4, 10);
        for number in 0..40 {
            let mut plan = Plan::random(&mut dice, 50);
            if number % 10 == 0 {
                plan.0[0].quirk = Quirk::Vanishes;
                plan.0[1].quirk = Quirk::Releases;
            }
            if number % 20 == 5 {
                plan.0[0].quirk = Quirk::FailsButMayTryAgain;
            }
            workload.create(&clients[number % 2], &connection, &number.to_string(), &plan).await;
            if number % 8 == 7 {
                sites[number / 8 % 2].kill_and_restart();
            }
        }
        workload.verify(&clients[0]).await;
    });
}

#[test]
fn one_server_wakes_who_waits_and_follows_at_another() {
    on_postgres(async |database| {
        let (here, there) = (database.site(), database.site());
        let (client, other) = (here.client(), there.client());
        let connection = client.connection("there").await;
        // Both have begun to listen once the one hears of the other.
        client.batch(&connection, "first", json!([{ "type": "EXTRACT", "object": "a" }])).await;
        other.claim_some(json!({ "worker": "w", "waitSeconds": 1 })).await;
        let whole = client.events(json!({}), None).await;
        let cursor = whole.last().unwrap()["cursor"].as_str().unwrap().to_owned();
        let mut follower = Follower::open(&other, Some(&cursor)).await.unwrap();

        let waiting = {
            let other = other.clone();
            tokio::spawn(async move { other.claim_some(json!({ "worker": "w", "waitSeconds": 30 })).await })
        };
        until("a worker that waits", async || {
            // The claim is on its way or there; either way it is answered.
            !waiting.is_finished()
        })
        .await;
        let begun = Instant::now();
        client.batch(&connection, "second", json!([{ "type": "EXTRACT", "object": "b" }])).await;
        let claims = waiting.await.unwrap();
        assert_eq!(claims[0]["job"]["object"], "b");
        let created = follower.next().await.unwrap();
        assert_eq!(created["node"]["kind"], "BATCH_CREATED");
        assert!(begun.elapsed() < SOON, "by a wake-up, not by a poll: {:?}", begun.elapsed());
    });
}

/// Through what the other server has kept, and around it.
const KEPT: &str = "{ batches { nodes { version sourceConnection { name }
    jobs { id status attempt connection { name } dependencies { satisfied job { status } } } } } }";
const READ: &str = "{ jobs(first: 100) { nodes { id status attempt connection { name }
    dependencies { satisfied job { status } } } } }";

#[test]
fn what_one_server_writes_is_what_the_other_one_reads_whatever_it_has_kept() {
    on_postgres(async |database| {
        let (here, there) = (database.site(), database.site());
        let (client, other) = (here.client(), there.client());
        let connection = client.connection("there").await;
        let extracts = (0..20).map(|number| json!({ "type": "EXTRACT", "object": number.to_string() }));
        let load = json!({ "type": "LOAD", "object": "all",
            "requiredObjects": { "extract": (0..20).map(|number| number.to_string()).collect::<Vec<_>>() } });
        client.batch(&connection, "first", extracts.chain([load]).collect()).await;
        // Others read all the time, so that something is kept at every moment.
        let readers = (0..4).map(|_| {
            let other = other.clone();
            tokio::spawn(async move {
                loop {
                    other.insist(KEPT, json!({})).await;
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        let mut versions = HashSet::new();
        for step in 0..60 {
            if step % 5 == 4 {
                let input = json!({ "id": connection, "name": format!("renamed in step {step}") });
                client
                    .mutate("updateConnection", "UpdateConnectionInput", input, "userErrors { code }")
                    .await;
            } else if let [claim] = &*client.claim(json!({ "worker": "w" })).await.unwrap() {
                if step % 2 == 0 {
                    client.report("completeJob", json!({ "lease": claim["lease"] })).await.unwrap();
                } else {
                    client.report("releaseJob", json!({ "lease": claim["lease"] })).await.unwrap();
                }
            }
            let kept = other.insist(KEPT, json!({})).await;
            let read = other.insist(READ, json!({})).await;
            let batch = &kept["batches"]["nodes"][0];
            let by_id = |jobs: &Value| -> HashMap<String, Value> {
                let jobs = jobs.as_array().unwrap().iter();
                jobs.map(|job| (job["id"].to_string(), job.clone())).collect()
            };
            assert_eq!(by_id(&batch["jobs"]), by_id(&read["jobs"]["nodes"]), "step {step}");
            assert_eq!(batch["sourceConnection"], read["jobs"]["nodes"][0]["connection"], "step {step}");
            versions.insert(batch["version"].to_string());
        }
        assert!(versions.len() > 40, "{versions:?}");
        readers.iter().for_each(tokio::task::JoinHandle::abort);
        let metrics =
            reqwest::get(other.url().replace("/graphql", "/metrics")).await.unwrap().text().await.unwrap();
        let hits = "sluice_graph_cache_lookups_total{result=\"hit\"} ";
        let hits = metrics.lines().find_map(|line| line.strip_prefix(hits)).unwrap();
        assert!(hits.parse::<u32>().unwrap() > 60, "{hits}");
    });
}

#[test]
fn a_history_that_was_restored_into_another_postgresql_goes_on() {
    on_postgres(async |database| {
        let mut site = database.site();
        let connection = site.client().connection("there").await;
        let job = json!([{ "type": "EXTRACT", "object": "a" }]);
        let first = site.client().batch(&connection, "first", job.clone()).await;
        site.stop();
        // The transactions of the other server are not that far.
        database.execute("UPDATE events SET xact = 9000000000000000");
        let site = database.site();
        let client = site.client();
        let second = client.batch(&connection, "second", job).await;
        let mut events = Vec::new();
        until("both events", async || {
            events = client.events(json!({}), None).await;
            events.len() == 2
        })
        .await;
        assert_eq!(
            (&events[0]["node"]["batchId"], &events[1]["node"]["batchId"]),
            (&json!(first), &json!(second))
        );
    });
}

#[test]
fn an_idle_server_sends_next_to_no_statements_however_many_workers_wait() {
    on_postgres(async |database| {
        let site = database.site();
        let client = site.client();
        let _waiting: Vec<_> = (0..50)
            .map(|number| {
                let client = client.clone();
                let input = json!({ "worker": format!("w{number}"), "waitSeconds": 30 });
                tokio::spawn(async move { client.claim(input).await })
            })
            .collect();
        let observer = Observer::connect().await;
        // Not `pg_stat_database`: sessions report to it late, and PostgreSQL's own transactions are in it.
        let latest = format!(
            "SELECT concat(pid, ' ', query_start) FROM pg_stat_activity
             WHERE datname = '{}' AND application_name = 'sluice'",
            database.name()
        );
        until("all workers' questions", async || client.sent.load(Ordering::Relaxed) >= 50).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before: HashSet<_> = observer.texts(&latest).await.into_iter().collect();
        let mut statements = before.clone();
        let begun = Instant::now();
        // Longer than the time from one look of the reaper to its next.
        while begun.elapsed() < Duration::from_secs(11) {
            statements.extend(observer.texts(&latest).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let seen = statements.len() - before.len();
        assert!(seen <= 12, "{seen} times was a statement seen in eleven idle seconds: {statements:?}");
    });
}

on_both! {
    async fn a_server_that_stops_lets_waiting_workers_go(database: &Database) {
        let mut site = database.site();
        let client = site.client();
        client.connection("there").await;
        let mut follower = Follower::open(&client, None).await.unwrap();
        let waiting = {
            let client = client.clone();
            tokio::spawn(async move { client.claim(json!({ "worker": "w", "waitSeconds": 30 })).await })
        };
        until("a worker that is written down", async || {
            const BLOCKED: &str = "query { jobs { nodes { id } } }";
            client.insist(BLOCKED, Value::Null).await;
            client.sent.load(Ordering::Relaxed) > 4
        })
        .await;
        let took = site.stop();
        assert!(took < SOON, "{took:?}");
        assert_eq!(follower.next().await, None);
        // It had waited, or it came too late and was not let in.
        assert!(waiting.await.unwrap().unwrap_or_default().is_empty());
    }
}
