//! What REST bodies mean, and whether the server has understood them so.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::TestApp;

/// What a body says, however it says it. Of a point in time, only whether there is one.
pub fn meaning(body: &Value) -> Value {
    let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
    let window = |of: &Value| {
        let updated =
            ["updated_since", "updated\\since", "updated\\_since"].iter().any(|name| !of[name].is_null());
        json!([!of["since"].is_null(), updated])
    };
    let job = |job: &Value| {
        let default =
            if job["type"] == "extract" { "source_connection_id" } else { "destination_connection_id" };
        let required = ["extract", "load", "load_result"].map(|kind| {
            let mut seen = Vec::new();
            for object in job["required_objects"][kind].as_array().into_iter().flatten() {
                if !seen.contains(object) {
                    seen.push(object.clone());
                }
            }
            seen
        });
        json!({
            "work": [job["type"], job["object"], job["grain"], or(&job["connection_id"], body[default].clone())],
            "window": window(job),
            "allow_delete": or(&job["allow_delete"], json!(false)),
            "max_attempts": or(&job["max_attempts"], json!(3)),
            "required_objects": required,
        })
    };
    json!({
        "ends": [body["source_connection_id"], body["destination_connection_id"]],
        "window": window(body),
        "priority": or(&body["priority"], json!(0)),
        "failure_policy": or(&body["failure_policy"], json!("continue")),
        "jobs": body["jobs"].as_array().unwrap().iter().map(job).collect::<Vec<_>>(),
    })
}

/// All batches, page by page.
pub async fn everything(app: &TestApp) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut next = Some("/batch?limit=7".to_owned());
    while let Some(path) = next {
        let answer = app.get(&path).await;
        for batch in answer.json().as_array().unwrap() {
            let twice = all.insert(batch["id"].as_str().unwrap().to_owned(), batch.clone());
            assert_eq!(twice, None);
        }
        next = answer.header("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    all
}

/// The jobs of every batch wait for what they require and for nothing else.
pub async fn all_graphs_are_right(app: &TestApp, batches: impl Iterator<Item = &String>) {
    let query = "query ($id: ID!) { batch(id: $id) { status jobs { position type object status wave
        requiredObjects { extract load loadResult } dependencies { kind job { position wave } } } } }";
    for id in batches {
        let batch = app.data(query, json!({ "id": id })).await["batch"].take();
        assert_eq!(batch["status"], "PENDING");
        let jobs = batch["jobs"].as_array().unwrap();
        for (position, job) in jobs.iter().enumerate() {
            assert_eq!(job["position"], position, "{batch}");
            let dependencies = job["dependencies"].as_array().unwrap();
            let mut waits: Vec<(String, u64)> = dependencies
                .iter()
                .map(|one| {
                    (one["kind"].as_str().unwrap().to_owned(), one["job"]["position"].as_u64().unwrap())
                })
                .collect();
            waits.sort();
            let mut requires = Vec::new();
            for (field, kind, provider) in [
                ("extract", "EXTRACT", "EXTRACT"),
                ("load", "LOAD", "LOAD"),
                ("loadResult", "LOAD_RESULT", "LOAD"),
            ] {
                for object in job["requiredObjects"][field].as_array().unwrap() {
                    let those = jobs.iter().filter(|job| job["type"] == provider && &job["object"] == object);
                    requires.extend(those.map(|job| (kind.to_owned(), job["position"].as_u64().unwrap())));
                }
            }
            requires.sort();
            assert_eq!(waits, requires, "{batch}");
            let wave =
                dependencies.iter().map(|one| one["job"]["wave"].as_u64().unwrap() + 1).max().unwrap_or(0);
            assert_eq!(job["wave"], wave, "{batch}");
            assert_eq!(job["status"], if waits.is_empty() { "READY" } else { "BLOCKED" }, "{batch}");
        }
    }
}
