//! A schedule that is due each second, and what must have become of it.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use sluice::clock::Clock;

use super::{Client, client::codes, until};

/// A schedule that is due each second.
pub struct Schedule {
    /// What `createSchedule` got.
    pub input: Value,
    id: Value,
    /// Between which instants it was paused.
    pauses: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Schedule {
    pub async fn create(client: &Client, name: &str, (overlap, catch_up): (&str, &str)) -> Self {
        let connection = client.connection(name).await;
        let input = json!({
            "name": name, "timetable": { "cron": "* * * * * *" },
            "overlapPolicy": overlap, "catchUp": catch_up, "catchUpSeconds": 86_400,
            "template": {
                "sourceConnectionId": connection, "destinationConnectionId": connection,
                "jobs": [{ "type": "EXTRACT", "object": "a" }],
            },
        });
        let mut made = done(client, "createSchedule", input.clone(), "schedule { id }").await;
        Self { input, id: made["schedule"]["id"].take(), pauses: Vec::new() }
    }

    async fn pause(&self, client: &Client) -> DateTime<Utc> {
        let paused = done(client, "pauseSchedule", json!({ "id": self.id }), "schedule { pausedAt }").await;
        time(&paused["schedule"]["pausedAt"])
    }

    pub async fn pause_for_a_moment(&mut self, client: &Client) {
        let since = self.pause(client).await;
        let resumed =
            done(client, "resumeSchedule", json!({ "id": self.id }), "schedule { updatedAt }").await;
        self.pauses.push((since, time(&resumed["schedule"]["updatedAt"])));
    }

    /// Replaces its definition by itself.
    pub async fn update(&self, client: &Client) {
        const VERSION: &str = "query ($id: ID!) { schedule(id: $id) { version } }";
        let seen = client.insist(VERSION, json!({ "id": self.id })).await;
        let mut input = self.input.clone();
        input["id"] = self.id.clone();
        input["version"] = seen["schedule"]["version"].clone();
        let updated =
            client.mutate("updateSchedule", "UpdateScheduleInput", input, "userErrors { code }").await;
        // Whose first answer was lost hears that it has come too late.
        assert!([vec![], vec!["STALE_VERSION".to_owned()]].contains(&codes(&updated)), "{updated}");
    }

    pub async fn cancel_batches(&self, client: &Client) {
        const ACTIVE: &str = "query ($id: ID!) { schedule(id: $id) {
            batches(first: 100, filter: { statuses: [PENDING] }) { nodes { id } } } }";
        let active = client.insist(ACTIVE, json!({ "id": self.id })).await;
        for batch in active["schedule"]["batches"]["nodes"].as_array().unwrap() {
            done(client, "cancelBatch", batch.clone(), "batch { id }").await;
        }
    }

    /// All of a list of it, newest first.
    pub async fn all(&self, client: &Client, list: &str, selection: &str) -> Vec<Value> {
        let query = format!(
            "query ($id: ID!, $after: String) {{ schedule(id: $id) {{
                {list}(first: 100, after: $after) {{ nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        );
        let (mut nodes, mut after) = (Vec::new(), Value::Null);
        loop {
            let mut page = client.insist(&query, json!({ "id": self.id, "after": after })).await;
            let page = &mut page["schedule"][list];
            nodes.append(page["nodes"].as_array_mut().unwrap());
            if page["pageInfo"]["hasNextPage"] == false {
                return nodes;
            }
            after = page["pageInfo"]["endCursor"].take();
        }
    }

    /// Waits until what waits has something to wait for.
    async fn rest(&self, client: &Client) {
        until("the end of a wait", async || {
            let firings = self.all(client, "firings", "outcome").await;
            let batches = self.all(client, "batches", "status").await;
            of(&firings, "QUEUED").next().is_none()
                || batches.iter().any(|batch| batch["status"] == "PENDING")
        })
        .await;
    }

    /// Waits until the servers have done all that it was due for.
    pub async fn caught_up(&self, client: &Client) {
        const NEXT: &str = "query ($id: ID!) { schedule(id: $id) { nextAt } }";
        until("the end of what was missed", async || {
            let seen = client.insist(NEXT, json!({ "id": self.id })).await;
            time(&seen["schedule"]["nextAt"]) > Clock::System.now()
        })
        .await;
    }

    /// The seconds at which it was due until then, newest first.
    async fn due(&self, client: &Client, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        const CREATED: &str = "query ($id: ID!) { schedule(id: $id) { createdAt } }";
        let seen = client.insist(CREATED, json!({ "id": self.id })).await;
        let created = time(&seen["schedule"]["createdAt"]);
        let paused = |at| self.pauses.iter().any(|(since, until)| *since < at && at <= *until);
        let seconds = (0..).map(|seconds| end.trunc_subsecs(0) - TimeDelta::seconds(seconds));
        seconds.take_while(|at| *at > created).filter(|at| !paused(*at)).collect()
    }

    /// Pauses it, and holds all that can be seen of it against what must have become of it.
    pub async fn verify(&self, client: &Client) {
        let end = self.pause(client).await;
        self.rest(client).await;
        let name = &self.input["name"];
        let firings =
            self.all(client, "firings", "dueAt cause outcome reason batch { id } userErrors { code }").await;
        let found: Vec<_> = firings.iter().map(|firing| time(&firing["dueAt"])).collect();
        assert_eq!(found, self.due(client, end).await, "{name}: one record of each instant");
        assert!(firings.iter().all(|firing| firing["cause"] == "TIMETABLE"));

        let mut batches = self.all(client, "batches", "id trigger createdAt finishedAt").await;
        assert!(batches.iter().all(|batch| batch["trigger"] == "SCHEDULE"));
        let mut made: Vec<_> = batches.iter().map(|batch| &batch["id"]).collect();
        let mut fired: Vec<_> = of(&firings, "FIRED").map(|firing| &firing["batch"]["id"]).collect();
        made.sort_by_key(|id| id.to_string());
        fired.sort_by_key(|id| id.to_string());
        assert_eq!(fired, made, "{name}: one batch of each firing, and one firing of each batch");

        if self.input["overlapPolicy"] != "ALLOW" {
            batches.sort_by_key(|batch| time(&batch["createdAt"]));
            for two in batches.windows(2) {
                let ended = two[0]["finishedAt"].is_string();
                let ended = ended && time(&two[0]["finishedAt"]) <= time(&two[1]["createdAt"]);
                assert!(ended, "{name}: two at the same time: {two:?}");
            }
        }
        let queued = of(&firings, "QUEUED").count();
        assert!(queued <= usize::from(self.input["overlapPolicy"] == "QUEUE"), "{name}: {queued} wait");
        assert!(of(&firings, "FAILED").all(|firing| firing["userErrors"][0]["code"] == "WRONG_STATE"));
        self.verify_events(client, &firings).await;
        eprintln!("{name}: {:?}", counts(&firings));
    }

    async fn verify_events(&self, client: &Client, firings: &[Value]) {
        let overlaps = of(firings, "SKIPPED").filter(|firing| firing["reason"] == "OVERLAP").count();
        for (kind, count) in [("FIRING_FAILED", of(firings, "FAILED").count()), ("FIRING_SKIPPED", overlaps)]
        {
            let mut told = Vec::new();
            until("all events", async || {
                told = client.events(json!({ "scheduleId": self.id, "kinds": [kind] }), None).await;
                told.len() >= count
            })
            .await;
            assert_eq!(told.len(), count, "{}: {kind}", self.input["name"]);
        }
    }
}

fn of<'a>(firings: &'a [Value], outcome: &'a str) -> impl Iterator<Item = &'a Value> {
    firings.iter().filter(move |firing| firing["outcome"] == outcome)
}

fn counts(firings: &[Value]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for firing in firings {
        let reason = firing["reason"].as_str().unwrap_or_default();
        let what = format!("{} {reason}", firing["outcome"].as_str().unwrap());
        *counts.entry(what.trim_end().to_owned()).or_default() += 1;
    }
    counts
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

/// Does a mutation that must go well.
pub async fn done(client: &Client, name: &str, input: Value, selection: &str) -> Value {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let payload =
        client.mutate(name, &kind, input, &format!("{selection} userErrors {{ code message }}")).await;
    assert_eq!(payload["userErrors"], json!([]), "{name}");
    payload
}
