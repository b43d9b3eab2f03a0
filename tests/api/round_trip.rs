//! Random batches through both interfaces: what one makes the other shows, and what one refuses the
//! other refuses for the same reasons. Waves and dependencies are those of a model that knows nothing of
//! the code: it asks every job about every other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use crate::support::{TestApp, on_both};

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

/// What shall be wrong with a random batch, if anything.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Cycles,
    Anything,
}

const KINDS: [(&str, &str); 3] = [("extract", "extract"), ("load", "load"), ("load_result", "load")];
/// Names that need care in JSON, SQL or sorting.
const ODD: [&str; 6] = ["Ärzte & \"Praxen\"", "o'brien", "a.b", "日本", "100%", "_"];
const SINCES: [&str; 4] = ["2010-01-01", "2011-02-03T04:05:06Z", "2012-03-04T05:06:07.000008Z", "1969-12-31"];

/// The connections that batches may name.
struct Connections {
    source: String,
    destination: String,
    other: String,
}

/// A random batch as REST has it, in its plainest form.
fn random_batch(random: &mut Random, connections: &Connections, size: usize, flaw: Flaw) -> Value {
    let mut batch = Map::new();
    batch.insert("source_connection_id".into(), json!(connections.source));
    batch.insert("destination_connection_id".into(), json!(connections.destination));
    window(random, &mut batch);
    if random.one_in(3) {
        batch.insert("priority".into(), json!(random.below(2_001) as i64 - 1_000));
        batch.retain(|name, value| name != "priority" || value != 0);
    }
    if random.one_in(3) {
        batch.insert("failure_policy".into(), json!("cancel_batch"));
    }
    let incremental = batch.contains_key("updated_since");
    let mut jobs: Vec<Map<String, Value>> = Vec::new();
    let mut taken = BTreeSet::new();
    while jobs.len() < size {
        let kind = random.of(&["extract", "load"]);
        let object = match random.below(8) {
            0 => random.of(&ODD).to_owned(),
            _ => format!("o{}", random.below(size)),
        };
        let grain = random.one_in(3).then(|| random.of(&["daily", "monthly", "jährlich"]));
        let own = random.one_in(6).then(|| connections.other.clone());
        let new = taken.insert((kind, object.clone(), grain, own.clone()));
        let let_it_stand = flaw == Flaw::Anything && random.one_in(4);
        if !(new || let_it_stand) {
            continue;
        }
        let mut job = Map::new();
        job.insert("type".into(), json!(kind));
        job.insert("object".into(), json!(object));
        job.extend(grain.map(|grain| ("grain".to_owned(), json!(grain))));
        job.extend(own.map(|own| ("connection_id".to_owned(), json!(own))));
        if random.one_in(5) {
            window(random, &mut job);
        }
        // No load may delete what an incremental extract does not show.
        let safe = !incremental && jobs.iter().all(|job| !job.contains_key("updated_since"));
        if kind == "load" && (safe && random.one_in(6) || flaw == Flaw::Anything && random.one_in(12)) {
            job.insert("allow_delete".into(), json!(true));
        }
        if random.one_in(5) {
            job.insert("max_attempts".into(), json!(random.of(&[1, 2, 50, 100])));
        }
        require(random, &jobs, &mut job, flaw);
        jobs.push(job);
    }
    if flaw == Flaw::Cycles || flaw == Flaw::Anything && random.one_in(3) {
        close_cycles(random, &mut jobs);
    }
    batch.insert("jobs".into(), json!(jobs));
    Value::Object(batch)
}

fn window(random: &mut Random, fields: &mut Map<String, Value>) {
    for name in ["since", "updated_since"] {
        if random.one_in(3) {
            fields.insert(name.into(), json!(random.of(&SINCES)));
        }
    }
}

/// Makes the job require objects that only jobs before it provide, so that nothing goes round in a
/// circle: no later job may provide them any more.
fn require(random: &mut Random, before: &[Map<String, Value>], job: &mut Map<String, Value>, flaw: Flaw) {
    let mut required: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for _ in 0..random.below(4) {
        let (kind, job_type) = random.of(&KINDS);
        let object = match before {
            _ if flaw == Flaw::Anything && random.one_in(10) => json!("nowhere"),
            [] => continue,
            before => {
                let other = &before[random.below(before.len())];
                if other["type"] != job_type {
                    continue;
                }
                other["object"].clone()
            }
        };
        let objects = required.entry(kind).or_default();
        if !objects.contains(&object) {
            objects.push(object);
        }
    }
    if !required.is_empty() {
        job.insert("required_objects".into(), json!(required));
    }
}

/// Makes some job require an object that in the end requires it.
fn close_cycles(random: &mut Random, jobs: &mut [Map<String, Value>]) {
    for _ in 0..1 + random.below(3) {
        let (from, to) = (random.below(jobs.len()), random.below(jobs.len()));
        for (from, to) in [(from, to), (to, from)] {
            let kind =
                if jobs[to]["type"] == "extract" { "extract" } else { random.of(&["load", "load_result"]) };
            let mut required = jobs[from].get("required_objects").cloned().unwrap_or_else(|| json!({}));
            let mut objects = required[kind].as_array().cloned().unwrap_or_default();
            if !objects.contains(&jobs[to]["object"]) {
                objects.push(jobs[to]["object"].clone());
            }
            required[kind] = json!(objects);
            jobs[from].insert("required_objects".into(), required);
        }
    }
}

/// The edges of a batch: who waits for whom, and for what. Or `None` when a required object is unknown.
fn model_edges(jobs: &[Value]) -> Option<BTreeSet<(usize, usize, &'static str)>> {
    let mut edges = BTreeSet::new();
    for (dependent, job) in jobs.iter().enumerate() {
        for (kind, job_type) in KINDS {
            for object in job["required_objects"][kind].as_array().into_iter().flatten() {
                let before = edges.len();
                let mut found = false;
                for (required, other) in jobs.iter().enumerate() {
                    if other["type"] == job_type && other["object"] == *object {
                        edges.insert((dependent, required, kind));
                        found = true;
                    }
                }
                if !found {
                    return None;
                }
                assert!(edges.len() > before);
            }
        }
    }
    Some(edges)
}

/// The wave of every job: raised until no edge is left that does not rise. `None` when that never ends.
fn model_waves(jobs: usize, edges: &BTreeSet<(usize, usize, &'static str)>) -> Option<Vec<usize>> {
    let mut waves = vec![0; jobs];
    for _ in 0..=jobs {
        let mut changed = false;
        for &(dependent, required, _) in edges {
            if waves[dependent] <= waves[required] {
                waves[dependent] = waves[required] + 1;
                changed = true;
            }
        }
        if !changed {
            return Some(waves);
        }
    }
    None
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

/// The batch as `createBatch` wants it.
fn as_input(rest: &Value) -> Value {
    match rest {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let enumeration = matches!(name.as_str(), "type" | "failure_policy");
                let value = match value {
                    Value::String(text) if enumeration => json!(text.to_uppercase()),
                    other => as_input(other),
                };
                (camel_case(name), value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => items.iter().map(as_input).collect(),
        other => other.clone(),
    }
}

const DEFINITION: &str =
    "id sourceConnection { id } destinationConnection { id } since updatedSince priority failurePolicy
    jobs { id type object grain connection { id } since updatedSince allowDelete maxAttempts
        requiredObjects { extract load loadResult }
        wave status dependencies { kind job { id } } dependents { kind job { id } } }";

/// A batch that GraphQL has shown, as REST must show it.
fn as_rest(graphql: &Value) -> Value {
    // GraphQL always writes RFC 3339.
    let since =
        |value: &Value| value.as_str().map(|text| json!(text.strip_suffix("T00:00:00Z").unwrap_or(text)));
    let mut batch = Map::new();
    batch.insert("id".into(), graphql["id"].clone());
    batch.insert("source_connection_id".into(), graphql["sourceConnection"]["id"].clone());
    batch.insert("destination_connection_id".into(), graphql["destinationConnection"]["id"].clone());
    let put = |fields: &mut Map<String, Value>, name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    };
    put(&mut batch, "since", since(&graphql["since"]));
    put(&mut batch, "updated_since", since(&graphql["updatedSince"]));
    put(&mut batch, "priority", Some(graphql["priority"].clone()).filter(|priority| *priority != 0));
    put(
        &mut batch,
        "failure_policy",
        (graphql["failurePolicy"] != "CONTINUE").then(|| json!("cancel_batch")),
    );
    let mut jobs = Vec::new();
    for job in graphql["jobs"].as_array().unwrap() {
        let job_type = job["type"].as_str().unwrap().to_lowercase();
        let usual = if job_type == "extract" { "sourceConnection" } else { "destinationConnection" };
        let own = Some(job["connection"]["id"].clone()).filter(|own| *own != graphql[usual]["id"]);
        let mut required = Map::new();
        for (kind, _) in KINDS {
            let objects = job["requiredObjects"][camel_case(kind)].clone();
            put(&mut required, kind, Some(objects).filter(|objects| *objects != json!([])));
        }
        let mut fields = Map::new();
        put(&mut fields, "type", Some(json!(job_type)));
        put(&mut fields, "object", Some(job["object"].clone()));
        put(&mut fields, "grain", Some(job["grain"].clone()).filter(|grain| !grain.is_null()));
        put(&mut fields, "connection_id", own);
        put(&mut fields, "since", since(&job["since"]));
        put(&mut fields, "updated_since", since(&job["updatedSince"]));
        put(&mut fields, "allow_delete", Some(job["allowDelete"].clone()).filter(|allowed| *allowed == true));
        put(&mut fields, "max_attempts", Some(job["maxAttempts"].clone()).filter(|attempts| *attempts != 3));
        put(&mut fields, "required_objects", (!required.is_empty()).then(|| json!(required)));
        jobs.push(Value::Object(fields));
    }
    batch.insert("jobs".into(), json!(jobs));
    Value::Object(batch)
}

/// Everything that was wrong, as `CODE path.to.it`, with the path in camel case.
fn user_errors(errors: &Value) -> Vec<String> {
    let line = |error: &Value| {
        let path: Vec<&str> =
            error["field"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
        format!("{} {}", error["code"].as_str().unwrap(), path.join("."))
    };
    errors.as_array().unwrap().iter().map(line).collect()
}

/// The same of a REST answer.
fn rest_errors(codes: Vec<String>) -> Vec<String> {
    let line = |line: String| {
        let (code, path) = line.split_once(' ').unwrap();
        format!("{code} {}", path.split('.').map(camel_case).collect::<Vec<_>>().join("."))
    };
    codes.into_iter().map(line).collect()
}

/// The numbers of the jobs on the other ends, with their kinds.
fn links(job: &Value, side: &str, position: &HashMap<&str, usize>) -> BTreeSet<(usize, String)> {
    let link = |link: &Value| {
        (position[link["job"]["id"].as_str().unwrap()], link["kind"].as_str().unwrap().to_lowercase())
    };
    job[side].as_array().unwrap().iter().map(link).collect()
}

/// The graph that GraphQL shows is that of the model.
fn check_graph(shown: &Value, batch: &Value) {
    let jobs = batch["jobs"].as_array().unwrap();
    let edges = model_edges(jobs).expect("an unknown object was let through");
    let waves = model_waves(jobs.len(), &edges).expect("a cycle was let through");
    let shown = shown["jobs"].as_array().unwrap();
    let position: HashMap<&str, usize> =
        shown.iter().enumerate().map(|(position, job)| (job["id"].as_str().unwrap(), position)).collect();
    let mut required: Vec<BTreeSet<(usize, String)>> = vec![BTreeSet::new(); jobs.len()];
    let mut dependents = required.clone();
    for &(from, to, kind) in &edges {
        required[from].insert((to, kind.into()));
        dependents[to].insert((from, kind.into()));
    }
    for (number, job) in shown.iter().enumerate() {
        assert_eq!(job["wave"], waves[number], "job {number} of {batch}");
        assert_eq!(job["status"], if waves[number] == 0 { "READY" } else { "BLOCKED" });
        assert_eq!(links(job, "dependencies", &position), required[number], "job {number} of {batch}");
        assert_eq!(links(job, "dependents", &position), dependents[number], "job {number} of {batch}");
    }
}

const PLAN: &str = "query ($input: CreateBatchInput!) { planBatch(input: $input) {
    waves { position } criticalPath { position wave } userErrors { code message field } } }";

async fn plan(app: &TestApp, input: &Value) -> Value {
    app.data(PLAN, json!({ "input": input })).await["planBatch"].take()
}

/// The plan of a batch is that of the model.
fn check_plan(plan: &Value, batch: &Value) {
    assert_eq!(plan["userErrors"], json!([]));
    let jobs = batch["jobs"].as_array().unwrap();
    let edges = model_edges(jobs).unwrap();
    let waves = model_waves(jobs.len(), &edges).unwrap();
    let last = waves.iter().max().unwrap();
    let expected: Vec<Vec<usize>> =
        (0..=*last).map(|wave| (0..jobs.len()).filter(|job| waves[*job] == wave).collect()).collect();
    let positions = |jobs: &Value| -> Vec<usize> {
        jobs.as_array().unwrap().iter().map(|job| job["position"].as_u64().unwrap() as usize).collect()
    };
    let planned: Vec<Vec<usize>> = plan["waves"].as_array().unwrap().iter().map(positions).collect();
    assert_eq!(planned, expected, "{batch}");
    let path = positions(&plan["criticalPath"]);
    assert_eq!(path.len(), last + 1, "{batch}");
    for step in path.windows(2) {
        assert!(edges.iter().any(|(dependent, required, _)| (*required, *dependent) == (step[0], step[1])));
    }
}

async fn connections(app: &TestApp) -> Connections {
    let (source, destination) = app.create_ends().await;
    Connections { source, destination, other: app.create_connection("other").await }
}

const CREATE: &str = "mutation ($input: CreateBatchInput!) { createBatch(input: $input) {
    batch { id } userErrors { code message field } } }";

/// Makes the batch by GraphQL and by REST, and reads both by both.
async fn goes_round(app: &TestApp, batch: &Value) {
    let input = as_input(batch);
    check_plan(&plan(app, &input).await, batch);
    let made = app.data(CREATE, json!({ "input": input })).await["createBatch"].take();
    assert_eq!(made["userErrors"], json!([]), "{batch}");
    let by_graphql = made["batch"]["id"].as_str().unwrap().to_owned();
    let by_rest = app.posted_batch(batch).await;
    for id in [by_graphql, by_rest] {
        let mut expected = batch.clone();
        expected["id"] = json!(id);
        assert_eq!(app.get_batch(&id).await.json(), expected, "as REST shows it");
        let query = format!(
            "query ($id: ID!) {{ batch(id: $id) {{ {DEFINITION} plan {{ waves {{ position }} criticalPath {{ position }} }} }} }}"
        );
        let shown = app.data(&query, json!({ "id": id })).await["batch"].take();
        assert_eq!(as_rest(&shown), expected, "as GraphQL shows it");
        check_graph(&shown, batch);
        let mut stored = shown["plan"].clone();
        stored["userErrors"] = json!([]);
        check_plan(&stored, batch);
    }
}

/// Asks both interfaces, and the plan, what is wrong with the batch; gives what they agree on.
async fn verdict(app: &TestApp, batch: &Value) -> Vec<String> {
    let input = as_input(batch);
    let planned = plan(app, &input).await["userErrors"].take();
    let made = app.data(CREATE, json!({ "input": input })).await["createBatch"].take();
    assert_eq!(planned, made["userErrors"], "planBatch and createBatch: {batch}");
    assert_eq!(made["batch"].is_null(), made["userErrors"] != json!([]));
    let answer = app.post_batch(batch).await;
    let by_graphql = user_errors(&made["userErrors"]);
    let by_rest =
        if answer.status.as_u16() == 201 { Vec::new() } else { rest_errors(answer.problem_codes().1) };
    assert_eq!(by_graphql, by_rest, "{batch}");
    by_graphql
}

on_both! {
    async fn what_one_interface_makes_both_show(app: TestApp) {
        let connections = connections(app).await;
        let mut random = Random(1);
        for size in (1..=40).chain([200, 2_000]) {
            let mut batch = random_batch(&mut random, &connections, size, Flaw::None);
            // A name may be provided by a later job too: then the model says whether that goes round.
            while is_cyclic(&batch) || deletes_unsafely(&batch) {
                batch = tamed(batch);
            }
            goes_round(app, &batch).await;
        }
    }

    async fn what_one_interface_refuses_both_refuse_for_the_same_reasons(app: TestApp) {
        let connections = connections(app).await;
        let mut random = Random(2);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for round in 0..120 {
            let size = 1 + random.below(if round % 40 == 39 { 500 } else { 25 });
            let flaw = random.of(&[Flaw::Cycles, Flaw::Anything, Flaw::Anything, Flaw::None]);
            let batch = random_batch(&mut random, &connections, size, flaw);
            let verdict = verdict(app, &batch).await;

            let jobs = batch["jobs"].as_array().unwrap();
            let says = |code: &str| verdict.iter().filter(|line| line.starts_with(code)).count();
            let identities: BTreeSet<String> = jobs.iter().map(identity).collect();
            assert_eq!(says("DUPLICATE_JOB"), jobs.len() - identities.len(), "{batch}");
            assert_eq!(says("UNSAFE_DELETE") > 0, deletes_unsafely(&batch), "{batch}");
            match model_edges(jobs) {
                None => assert!(says("UNKNOWN_OBJECT") > 0, "{batch}"),
                Some(edges) => {
                    assert_eq!(says("UNKNOWN_OBJECT"), 0, "{batch}");
                    assert_eq!(
                        says("DEPENDENCY_CYCLE") > 0,
                        model_waves(jobs.len(), &edges).is_none(),
                        "{batch}"
                    );
                }
            }
            for line in &verdict {
                *seen.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
            }
        }
        let seen: Vec<&str> = seen.keys().map(String::as_str).collect();
        assert_eq!(
            seen,
            ["DEPENDENCY_CYCLE", "DUPLICATE_JOB", "UNKNOWN_OBJECT", "UNSAFE_DELETE"],
            "all flaws were tried"
        );
    }
}

fn identity(job: &Value) -> String {
    json!([job["type"], job["object"], job["grain"], job["connection_id"]]).to_string()
}

fn is_cyclic(batch: &Value) -> bool {
    let jobs = batch["jobs"].as_array().unwrap();
    model_edges(jobs).is_none_or(|edges| model_waves(jobs.len(), &edges).is_none())
}

/// Whether a load that may delete requires an extract that shows only what changed.
fn deletes_unsafely(batch: &Value) -> bool {
    let jobs = batch["jobs"].as_array().unwrap();
    let incremental = |job: &Value| job.get("updated_since").or(batch.get("updated_since")).is_some();
    let names = |load: &Value, extract: &Value| {
        let objects = load["required_objects"]["extract"].as_array();
        extract["type"] == "extract" && objects.is_some_and(|objects| objects.contains(&extract["object"]))
    };
    jobs.iter()
        .filter(|load| load["allow_delete"] == true)
        .any(|load| jobs.iter().any(|extract| names(load, extract) && incremental(extract)))
}

/// The batch without a requirement that goes round in a circle, and without unsafe deletions.
fn tamed(mut batch: Value) -> Value {
    let jobs = batch["jobs"].as_array().unwrap();
    let position_of_last = |job_type: &str, object: &Value| {
        jobs.iter().rposition(|job| job["type"] == job_type && job["object"] == *object).unwrap()
    };
    let kept = |number: usize, job: &Value| {
        let mut required = Map::new();
        for (kind, job_type) in KINDS {
            let objects = job["required_objects"][kind].as_array().into_iter().flatten();
            let earlier: Vec<Value> =
                objects.filter(|object| position_of_last(job_type, object) < number).cloned().collect();
            if !earlier.is_empty() {
                required.insert(kind.into(), json!(earlier));
            }
        }
        let mut job = job.as_object().unwrap().clone();
        job.remove("required_objects");
        job.remove("allow_delete");
        if !required.is_empty() {
            job.insert("required_objects".into(), json!(required));
        }
        Value::Object(job)
    };
    batch["jobs"] = jobs.iter().enumerate().map(|(number, job)| kept(number, job)).collect();
    batch
}
