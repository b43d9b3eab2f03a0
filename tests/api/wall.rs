//! The wall: whatever a token of one tenant asks about a thing of another one, the answer is the same as
//! if that thing were not there. Walks the whole schema, so that what is added to it is looked at, too.

use serde_json::{Value, json};
use sluice::domain::{
    id::{BackfillId, BatchId, ConnectionId, FiringId, JobId, ScheduleId, TenantId, TokenId},
    list::Order,
    page::{Key, ListKind, SortValue, encode},
    problem::At,
};

use crate::support::{Actor, Event, Method, TestApp, on_both, text, without_ids};

/// The schema, by introspection.
pub struct Schema(Vec<Value>);

/// A place in the arguments of a root field, from the argument inward.
type Slot = Vec<String>;

/// A root field.
struct Root {
    operation: &'static str,
    field: Value,
}

const INTROSPECTION: &str = "
    { __schema { types { kind name enumValues { name } possibleTypes { name }
        inputFields { name defaultValue type { ...Ref } }
        fields { name type { ...Ref } args { name defaultValue type { ...Ref } } } } } }
    fragment Ref on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
        ofType { kind name ofType { kind name } } } } } }";

impl Schema {
    pub async fn read(app: &TestApp) -> Self {
        let mut schema = app.data(INTROSPECTION, Value::Null).await["__schema"]["types"].take();
        Self(std::mem::take(schema.as_array_mut().unwrap()))
    }

    fn named(&self, name: &str) -> &Value {
        self.0.iter().find(|kind| kind["name"] == name).unwrap_or_else(|| panic!("no type {name}"))
    }

    /// Every query and mutation, with values for what it must be given.
    pub fn root_fields(&self) -> Vec<(String, String)> {
        let document = |root: Root| {
            let id = |name: &str| json!(nobodys(name)).to_string();
            (text(&root.field["name"]), self.document(&root, 0, None, &id))
        };
        self.roots().into_iter().map(document).collect()
    }

    /// Every query and mutation with all that can be selected two levels down, about what has these ids.
    pub fn everything(&self, id: &impl Fn(&str) -> String) -> Vec<(String, String)> {
        let document = |root: Root| (text(&root.field["name"]), self.document(&root, 2, None, id));
        self.roots().into_iter().map(document).collect()
    }

    fn roots(&self) -> Vec<Root> {
        let of = |operation, kind| {
            let fields = self.named(kind)["fields"].as_array().unwrap().iter();
            fields.map(move |field| Root { operation, field: field.clone() })
        };
        of("query", "Query").chain(of("mutation", "Mutation")).collect()
    }

    /// The operation with a selection so far down, with a value in this slot, and own ids where ids are needed elsewhere.
    fn document(
        &self,
        root: &Root,
        depth: usize,
        slot: Option<(&Slot, &str)>,
        own: &impl Fn(&str) -> String,
    ) -> String {
        let Root { operation, field } = root;
        let name = text(&field["name"]);
        let arguments = self.arguments(field["args"].as_array().unwrap(), &name, slot, own);
        let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
        format!("{operation} {{ {name}{arguments} {} }}", self.selection(&field["type"], depth))
    }

    fn arguments(
        &self,
        inputs: &[Value],
        of: &str,
        slot: Option<(&Slot, &str)>,
        own: &impl Fn(&str) -> String,
    ) -> String {
        let mut written = Vec::new();
        for input in inputs {
            let name = text(&input["name"]);
            let here = slot.filter(|(path, _)| path[0] == name);
            let is_needed = input["type"]["kind"] == "NON_NULL" && input["defaultValue"].is_null();
            if here.is_none() && !is_needed {
                continue;
            }
            let inner = here.map(|(path, value)| (path[1..].to_vec(), value));
            let inner = inner.as_ref().map(|(path, value)| (path, *value));
            written.push(format!("{name}: {}", self.value(&input["type"], &name, of, inner, own)));
        }
        written.join(", ")
    }

    fn value(
        &self,
        kind: &Value,
        name: &str,
        of: &str,
        slot: Option<(&Slot, &str)>,
        own: &impl Fn(&str) -> String,
    ) -> String {
        match kind["kind"].as_str().unwrap() {
            "NON_NULL" => self.value(&kind["ofType"], name, of, slot, own),
            "LIST" => format!("[{}]", self.value(&kind["ofType"], name, of, slot, own)),
            "INPUT_OBJECT" => {
                let fields = self.named(kind["name"].as_str().unwrap());
                format!("{{ {} }}", self.arguments(fields["inputFields"].as_array().unwrap(), of, slot, own))
            }
            "ENUM" => text(&self.named(kind["name"].as_str().unwrap())["enumValues"][0]["name"]),
            "SCALAR" => match (slot, kind["name"].as_str().unwrap()) {
                (Some((_, value)), _) => value.to_owned(),
                (None, "ID") => own(if name == "id" || name == "ids" { of } else { name }),
                (None, "String") => "\"x\"".into(),
                (None, "Int" | "Float" | "BigCount") => "1".into(),
                (None, "Boolean") => "false".into(),
                (None, "Since" | "DateTime") => "\"2027-01-01T00:00:00Z\"".into(),
                (None, "JSON") => "{}".into(),
                (None, other) => panic!("a scalar that this test does not know: {other}"),
            },
            other => panic!("not an input: {other}"),
        }
    }

    /// Every place in the arguments that can refer to something.
    fn slots(&self, root: &Root) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.find_slots(root.field["args"].as_array().unwrap(), &mut Vec::new(), &mut slots);
        slots
    }

    fn find_slots(&self, inputs: &[Value], path: &mut Slot, slots: &mut Vec<Slot>) {
        for input in inputs {
            let mut kind = &input["type"];
            while !kind["ofType"].is_null() {
                kind = &kind["ofType"];
            }
            path.push(text(&input["name"]));
            let name = path[path.len() - 1].clone();
            match (kind["kind"].as_str().unwrap(), kind["name"].as_str().unwrap()) {
                ("INPUT_OBJECT", name) => {
                    let fields = self.named(name)["inputFields"].as_array().unwrap();
                    self.find_slots(fields, path, slots);
                }
                (_, "ID") => slots.push(path.clone()),
                (_, "String") if ["lease", "after", "before", "idempotencyKey", "name"].contains(&&*name) => {
                    slots.push(path.clone());
                }
                _ => {}
            }
            path.pop();
        }
    }

    /// Everything that can be selected of a type without arguments, so far down.
    fn selection(&self, kind: &Value, depth: usize) -> String {
        let kind =
            if kind["ofType"].is_null() { kind } else { return self.selection(&kind["ofType"], depth) };
        match kind["kind"].as_str().unwrap() {
            "SCALAR" | "ENUM" => String::new(),
            "UNION" | "INTERFACE" => "{ __typename }".into(),
            _ => {
                let fields = self.named(kind["name"].as_str().unwrap())["fields"].as_array().unwrap();
                let mut selected = vec!["__typename".to_owned()];
                for field in fields {
                    let needs = |argument: &Value| argument["type"]["kind"] == "NON_NULL";
                    // The history shows what has happened a moment later, and so not the same twice.
                    let late = field["name"] == "events";
                    if late || field["args"].as_array().unwrap().iter().any(needs) {
                        continue;
                    }
                    let mut inner = &field["type"];
                    while !inner["ofType"].is_null() {
                        inner = &inner["ofType"];
                    }
                    let is_leaf = ["SCALAR", "ENUM"].contains(&inner["kind"].as_str().unwrap());
                    if is_leaf || depth > 0 {
                        let inner = self.selection(&field["type"], depth.saturating_sub(1));
                        selected.push(format!("{} {inner}", text(&field["name"])));
                    }
                }
                format!("{{ {} }}", selected.join(" "))
            }
        }
    }
}

/// One tenant and what it has.
struct Estate {
    tenant: String,
    connection: String,
    batch: String,
    job: String,
    lease: String,
    key: String,
    token: String,
    schedule: String,
    firing: String,
    backfill: String,
}

/// Makes a tenant with one of everything, by whoever may do everything.
async fn settle(app: &TestApp, name: &str) -> Estate {
    let tenant = app.create_tenant(name).await;
    let connection = app.create_connection_of(&tenant, &format!("{name}'s own")).await;
    let key = format!("key of {name}");
    let mut batch = app
        .create_batch(json!({
            "tenantId": tenant, "sourceConnectionId": connection, "destinationConnectionId": connection,
            "idempotencyKey": key,
            "jobs": [
                { "type": "EXTRACT", "object": "a" }, { "type": "EXTRACT", "object": "b" },
                { "type": "LOAD", "object": "c", "requiredObjects": { "extract": ["a"] } },
            ]
        }))
        .await["batch"]
        .take();
    let input = json!({ "worker": name, "tenantId": tenant, "leaseSeconds": 3600 });
    let claim = app.done("claimJobs", "claims { lease }", input).await["claims"][0].take();
    let (batch, job) = (text(&batch["id"].take()), text(&batch["jobs"][0]["id"]));
    let (lease, nothing) = (text(&claim["lease"]), String::new());
    Estate {
        tenant,
        connection,
        batch,
        job,
        lease,
        key,
        token: nothing.clone(),
        schedule: nothing.clone(),
        firing: nothing.clone(),
        backfill: nothing,
    }
}

/// Makes a schedule for a tenant, lets it fire, and begins a backfill.
async fn keep_time(app: &TestApp, estate: &mut Estate, name: &str) {
    let template = json!({
        "sourceConnectionId": estate.connection, "destinationConnectionId": estate.connection,
        "jobs": [{ "type": "EXTRACT", "object": "a" }],
    });
    let input = json!({ "tenantId": estate.tenant, "name": format!("{name}'s own"), "template": template });
    estate.schedule = text(&app.done("createSchedule", "schedule { id }", input).await["schedule"]["id"]);
    let input = json!({ "id": estate.schedule, "idempotencyKey": estate.key });
    estate.firing = text(&app.done("triggerSchedule", "firing { id }", input).await["firing"]["id"]);
    let input = json!({ "scheduleId": estate.schedule, "idempotencyKey": estate.key,
        "from": "2026-01-01", "to": "2026-01-03", "step": "P1D" });
    let made = app.done("createBackfill", "backfill { id }", input).await;
    estate.backfill = text(&made["backfill"]["id"]);
    let begun = "query ($id: ID!) { backfill(id: $id) { progress { running } } }";
    while app.data(begun, json!({ "id": estate.backfill })).await["backfill"]["progress"]["running"] != 1 {}
}

/// What somebody may try to refer to: a kind, what another tenant has of it, and what nobody has.
fn candidates(foreign: &Estate, name: &str) -> Vec<(String, String)> {
    let quoted = |text: &str| json!(text).to_string();
    let now = chrono::DateTime::UNIX_EPOCH;
    let cursor = |key: &Key| {
        let of = |list| quoted(&encode(key, list, Order::NEWEST));
        of(ListKind::Batches)
    };
    let batch = BatchId::parse(&foreign.batch, &At::Root).unwrap().uuid();
    let key = |id| Key { value: SortValue::Id, id };
    match name {
        "lease" => vec![(quoted(&foreign.lease), quoted(&format!("lease_{}", "x".repeat(43))))],
        "idempotencyKey" => vec![(quoted(&foreign.key), quoted("a key that nobody has used"))],
        "name" => vec![(quoted("globex's own"), quoted("nobody's own"))],
        "after" | "before" => vec![(cursor(&key(batch)), cursor(&key(BatchId::new(now).uuid())))],
        _ => vec![
            (quoted(&foreign.tenant), quoted(&TenantId::new(now).to_string())),
            (quoted(&foreign.connection), quoted(&ConnectionId::new(now).to_string())),
            (quoted(&foreign.batch), quoted(&BatchId::new(now).to_string())),
            (quoted(&foreign.job), quoted(&JobId::new(now).to_string())),
            (quoted(&foreign.token), quoted(&TokenId::new(now).to_string())),
            (quoted(&foreign.schedule), quoted(&ScheduleId::new(now).to_string())),
            (quoted(&foreign.firing), quoted(&FiringId::new(now).to_string())),
            (quoted(&foreign.backfill), quoted(&BackfillId::new(now).to_string())),
        ],
    }
}

/// An id of the kind that a field with this name wants, which nobody has.
fn nobodys(name: &str) -> String {
    let (name, now) = (name.to_lowercase(), chrono::DateTime::UNIX_EPOCH);
    match () {
        () if name.contains("tenant") => TenantId::new(now).to_string(),
        () if name.contains("connection") => ConnectionId::new(now).to_string(),
        () if name.contains("token") => TokenId::new(now).to_string(),
        () if name.contains("schedule") => ScheduleId::new(now).to_string(),
        () if name.contains("backfill") => BackfillId::new(now).to_string(),
        () if name.contains("job") => JobId::new(now).to_string(),
        () => BatchId::new(now).to_string(),
    }
}

/// A response without what must differ: ids, and what was referred to.
fn comparable(response: &Value, referred_to: &str) -> Value {
    let inner = referred_to.trim_matches('"');
    let text = response.to_string().replace(inner, "…");
    without_ids(&without_secrets(serde_json::from_str(&text).unwrap()))
}

/// A new secret is another one each time.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("sluice_") || text.starts_with("lease_") => json!("…"),
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, without_secrets(value))).collect(),
        other => other,
    }
}

/// Everything of a tenant that could have been changed.
async fn all_of(root: &Actor<'_>, estate: &Estate) -> Value {
    let document = "query ($tenant: ID!, $token: ID!) {
        tenant(id: $tenant) { name maxConcurrentJobs updatedAt
            connections { totalCount nodes { id name archivedAt updatedAt } }
            schedules { totalCount nodes { id name version nextAt updatedAt firings { totalCount }
                backfills { totalCount nodes { id version status progress { running pending } } } } }
            batches { totalCount nodes { id version status updatedAt
                jobs { id status startedAt finishedAt
                    attempts { number outcome expiresAt records bytes } } } } }
        events(filter: { tenantId: $tenant }) { totalCount }
        node(id: $token) { ... on Token { role revokedAt } } }";
    root.data(document, json!({ "tenant": estate.tenant, "token": estate.token })).await
}

on_both! {
    async fn another_tenants_things_answer_as_if_they_were_not_there(app: TestApp) {
        let schema = Schema::read(app).await;
        let mut own = settle(app, "acme").await;
        keep_time(app, &mut own, "acme").await;
        let mut foreign = settle(app, "globex").await;
        keep_time(app, &mut foreign, "globex").await;
        let root = app.create_token("ADMIN", None).await;
        foreign.token = root.create_token("ADMIN", Some(&foreign.tenant)).await.id;
        let admin = root.create_token("ADMIN", Some(&own.tenant)).await;
        let worker = root.create_token("WORKER", Some(&own.tenant)).await;
        let own_id = |name: &str| {
            let name = name.to_lowercase();
            let id = match () {
                () if name.contains("tenant") => &own.tenant,
                () if name.contains("connection") => &own.connection,
                () if name.contains("token") => &admin.id,
                () if name.contains("schedule") => &own.schedule,
                () if name.contains("backfill") => &own.backfill,
                () if name.contains("job") => &own.job,
                () => &own.batch,
            };
            json!(id).to_string()
        };

        let events = format!("{{ events(filter: {{ tenantId: \"{}\" }}) {{ totalCount }} }}", foreign.tenant);
        root.data_once(&events, |data| data["events"]["totalCount"] == 7).await;
        let before = all_of(&root, &foreign).await;
        let mut compared = 0;
        for field in schema.roots() {
            for slot in schema.slots(&field) {
                for (theirs, nobodys) in candidates(&foreign, &slot[slot.len() - 1]) {
                    for actor in [&admin, &worker] {
                        let ask = async |value: &String| {
                            let document = schema.document(&field, 2, Some((&slot, value)), &own_id);
                            comparable(&actor.graphql(&document, Value::Null).await, value)
                        };
                        let mut answers = [ask(&theirs).await, ask(&nobodys).await];
                        // A query about the history is asked again, until that has come to rest.
                        let mut again = if field.field["name"] == "events" { 100 } else { 0 };
                        while answers[0] != answers[1] && again > 0 {
                            answers = [ask(&theirs).await, ask(&nobodys).await];
                            again -= 1;
                        }
                        let document = schema.document(&field, 2, Some((&slot, &theirs)), &own_id);
                        assert_eq!(answers[0], answers[1], "{document}");
                        assert!(!answers[0].to_string().contains("globex"), "{document}: {}", answers[0]);
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 200, "only {compared} questions were asked");
        assert_eq!(all_of(&root, &foreign).await, before, "something of the other tenant was changed");
    }

    async fn lists_and_counts_are_of_the_own_tenant_alone(app: TestApp) {
        let own = settle(app, "acme").await;
        settle(app, "globex").await;
        let viewer = app.create_token("ADMIN", None).await.create_token("VIEWER", Some(&own.tenant)).await;
        let document = "{
            tenants { totalCount nodes { name } } connections { totalCount nodes { name } }
            batches { totalCount nodes { id } } jobs { totalCount nodes { batch { id } } }
            events { totalCount nodes { tenantId } } }";
        let seen = viewer.data_once(document, |data| data["events"]["totalCount"] == 3).await;
        assert_eq!(seen["tenants"], json!({ "totalCount": 1, "nodes": [{ "name": "acme" }] }));
        assert_eq!(seen["connections"], json!({ "totalCount": 1, "nodes": [{ "name": "acme's own" }] }));
        assert_eq!(seen["batches"], json!({ "totalCount": 1, "nodes": [{ "id": own.batch }] }));
        let job = json!({ "batch": { "id": own.batch } });
        assert_eq!(seen["jobs"], json!({ "totalCount": 3, "nodes": [job, job, job] }));
        let event = json!({ "tenantId": own.tenant });
        assert_eq!(seen["events"], json!({ "totalCount": 3, "nodes": [event, event, event] }));
        let rest = viewer.send(Method::GET, "/batch", None).await.json();
        assert_eq!(rest.as_array().unwrap().len(), 1);
    }

    async fn a_worker_of_one_tenant_gets_no_job_of_another(app: TestApp) {
        let own = settle(app, "acme").await;
        settle(app, "globex").await;
        let worker = app.create_token("ADMIN", None).await.create_token("WORKER", Some(&own.tenant)).await;
        let input = json!({ "worker": "w", "limit": 100 });
        let selection = "claims { job { object connection { name provider } batch { id } } }";
        let claimed = worker.done("claimJobs", selection, input.clone()).await;
        assert_eq!(claimed["claims"], json!([{ "job": {
            "object": "b", "connection": { "name": "acme's own", "provider": "csv" }, "batch": { "id": own.batch }
        } }]));
        assert_eq!(worker.done("claimJobs", selection, input).await["claims"], json!([]));
    }

    async fn what_no_tenant_is_named_for_goes_to_the_own_one(app: TestApp) {
        let own = settle(app, "acme").await;
        let admin = app.create_token("ADMIN", None).await.create_token("ADMIN", Some(&own.tenant)).await;
        let input = json!({ "name": "x", "provider": "csv" });
        let made = admin.done("createConnection", "connection { tenant { name } }", input).await;
        assert_eq!(made["connection"]["tenant"]["name"], "acme");
        let body = json!({
            "source_connection_id": own.connection, "destination_connection_id": own.connection,
            "jobs": [{ "type": "extract", "object": "a" }]
        });
        let made = admin.send(Method::POST, "/batch", Some(&body)).await;
        assert_eq!(made.json()["tenant_id"], json!(own.tenant), "{}", made.text());
    }

    async fn rest_answers_for_another_tenants_batch_as_for_none(app: TestApp) {
        let own = settle(app, "acme").await;
        let foreign = settle(app, "globex").await;
        let admin = app.create_token("ADMIN", None).await.create_token("ADMIN", Some(&own.tenant)).await;
        let nobodys = BatchId::new(chrono::DateTime::UNIX_EPOCH).to_string();
        let body = json!({
            "source_connection_id": own.connection, "destination_connection_id": own.connection,
            "jobs": [{ "type": "extract", "object": "a" }]
        });
        for (method, body) in [(Method::GET, None), (Method::PUT, Some(&body)), (Method::DELETE, None)] {
            let mut answers = Vec::new();
            for id in [&foreign.batch, &nobodys] {
                let answer = admin.send(method.clone(), &format!("/batch/{id}"), body).await;
                answers.push((answer.status, comparable(&answer.json(), id)));
            }
            assert_eq!(answers[0], answers[1], "{method}");
            assert_eq!(answers[0].0, 404, "{method}");
        }
        let list = admin.send(Method::GET, &format!("/batch?tenant_id={}", foreign.tenant), None).await;
        assert_eq!(list.json(), json!([]));
    }

    async fn followers_hear_of_the_own_tenant_alone(app: TestApp) {
        let own = settle(app, "acme").await;
        let foreign = settle(app, "globex").await;
        let root = app.create_token("ADMIN", None).await;
        let operator = root.create_token("OPERATOR", Some(&own.tenant)).await;
        let first = "subscription { events(after: null) { node { tenantId kind } } }";
        let mut stream = operator.stream(first).await;
        assert_eq!(stream.any().await, Some(Event::Comment(String::new())));
        let mut socket = operator.open_socket().await;
        for (id, batch) in [("1", &foreign.batch), ("2", &BatchId::new(chrono::DateTime::UNIX_EPOCH).to_string())] {
            socket.subscribe(id, &format!("subscription {{ batch(id: \"{batch}\") {{ id }} }}")).await;
            let heard = socket.hear().await;
            assert_eq!(heard["payload"]["errors"][0]["extensions"]["code"], "NOT_FOUND", "{heard}");
            assert_eq!(socket.hear().await, json!({ "type": "complete", "id": id }));
        }
        root.done("cancelBatch", "batch { id }", json!({ "id": foreign.batch })).await;
        root.done("cancelBatch", "batch { id }", json!({ "id": own.batch })).await;
        let heard = stream.next().await;
        assert_eq!(heard["data"]["events"]["node"]["tenantId"], json!(own.tenant), "{heard}");
    }
}
