//! What the domain forbids the database refuses too, so that no path to it gets round the rules.

use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::support::{TestApp, on_both};

/// A batch with a job of wave 0 (position 0) that a job of wave 1 (position 1) requires, and a free
/// third one; and another tenant with two connections and a batch of its own.
async fn world(app: &TestApp) {
    let (source, destination) = app.create_ends().await;
    let body = json!({
        "source_connection_id": source,
        "destination_connection_id": destination,
        "jobs": [
            { "type": "extract", "object": "a" },
            { "type": "load", "object": "a", "required_objects": { "extract": ["a"] } },
            { "type": "load", "object": "b", "grain": "daily" },
        ],
    });
    app.posted_batch(&body).await;
    let (tenant, source, destination) = app.create_tenant_with_ends("acme").await;
    app.posted_batch(&json!({
        "tenant_id": tenant,
        "source_connection_id": source,
        "destination_connection_id": destination,
        "jobs": [{ "type": "extract", "object": "theirs" }],
    }))
    .await;
}

/// Our batch, as a condition.
const OURS: &str = "tenant_id = (SELECT id FROM tenants WHERE name = 'default')";
/// Another tenant's connection.
const THEIRS: &str = "(SELECT id FROM connections WHERE name = 'source' AND tenant_id = (SELECT id FROM tenants WHERE name = 'acme'))";
/// An id that nothing bears: that of a job.
const NOBODY: &str = "(SELECT id FROM jobs WHERE object = 'theirs')";

/// Runs statements that must succeed, so that those after them are refused for what they say and not
/// for how they say it.
async fn allowed(app: &TestApp, statements: &[String]) {
    let connection = app.db_connect().await;
    for sql in statements {
        let changed =
            connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(changed.rows_affected() > 0, "nothing was there to be changed: {sql}");
    }
    connection.close().await.unwrap();
}

/// Runs statements of which each must be refused, by the constraint that is named.
async fn refused(app: &TestApp, statements: &[(&str, String)]) {
    let connection = app.db_connect().await;
    for (constraint, sql) in statements {
        let Err(error) = connection.execute_unprepared(sql).await else {
            panic!("the database let it pass: {sql}")
        };
        let error = error.to_string();
        // SQLite names neither foreign keys nor unique indexes on plain columns.
        let by_its_kind =
            ["FOREIGN KEY constraint failed", "UNIQUE constraint failed", "NOT NULL constraint failed"];
        assert!(
            error.contains(constraint) || by_its_kind.iter().any(|kind| error.contains(kind)),
            "{sql}\nwas refused, but not by {constraint}: {error}"
        );
    }
    connection.close().await.unwrap();
}

/// Each set of assignments, made to our batch, with the constraint that must stand against it.
fn of_batch(cases: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    cases
        .iter()
        .map(|(constraint, set)| (*constraint, format!("UPDATE batches SET {set} WHERE {OURS}")))
        .collect()
}

/// The same for the job of our batch at this position.
fn of_job(position: u32, cases: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let update = |set: &str| format!("UPDATE jobs SET {set} WHERE position = {position} AND {OURS}");
    cases.iter().map(|(constraint, set)| (*constraint, update(set))).collect()
}

/// A job of our batch like the one at `position`, under another id and at another position, with some
/// columns changed.
fn copied_job(position: u32, changes: &[(&str, &str)]) -> String {
    const COLUMNS: [&str; 22] = [
        "id",
        "batch_id",
        "tenant_id",
        "position",
        "revision",
        "type",
        "object",
        "grain",
        "connection_id",
        "since",
        "updated_since",
        "allow_delete",
        "required_objects",
        "wave",
        "unsatisfied",
        "status",
        "attempt",
        "max_attempts",
        "not_before",
        "created_at",
        "started_at",
        "finished_at",
    ];
    let id = "(SELECT id FROM connections WHERE name = 'destination' AND tenant_id = (SELECT id FROM tenants WHERE name = 'default'))";
    let value = |column: &&str| match (*column, changes.iter().find(|(changed, _)| changed == column)) {
        (_, Some((_, value))) => (*value).to_owned(),
        ("id", None) => id.to_owned(),
        ("position", None) => "99".to_owned(),
        (column, None) => column.to_owned(),
    };
    let values: Vec<String> = COLUMNS.iter().map(value).collect();
    format!(
        "INSERT INTO jobs ({}) SELECT {} FROM jobs WHERE position = {position} AND {OURS}",
        COLUMNS.join(", "),
        values.join(", ")
    )
}

fn dependency(dependent: u32, required: u32, kind: &str) -> String {
    format!(
        "INSERT INTO dependencies (batch_id, dependent, required, kind, revision)
         SELECT id, {dependent}, {required}, '{kind}', 1 FROM batches WHERE {OURS}"
    )
}

const NOW: &str = "created_at";

on_both! {
    async fn a_batch_is_in_one_of_its_states_with_what_belongs_to_it(app: TestApp) {
        world(app).await;
        refused(
            app,
            &of_batch(&[
                ("batches_status_known", &format!("status = 'paused', started_at = {NOW}")),
                ("batches_status_known", &format!("status = 'PENDING', started_at = {NOW}")),
                ("status", "status = NULL"),
                ("batches_started_at_as_status", &format!("started_at = {NOW}")),
                ("batches_removed_when_finished", &format!("removed_at = {NOW}")),
                ("batches_started_at_as_status", "status = 'running'"),
                ("batches_finished_at_as_status", &format!("finished_at = {NOW}")),
                (
                    "batches_finished_at_as_status",
                    &format!("status = 'running', started_at = {NOW}, finished_at = {NOW}"),
                ),
                (
                    "batches_finished_at_as_status",
                    &format!("status = 'canceling', started_at = {NOW}, finished_at = {NOW}"),
                ),
                ("batches_finished_at_as_status", &format!("status = 'succeeded', started_at = {NOW}")),
                ("batches_finished_at_as_status", &format!("status = 'failed', started_at = {NOW}")),
                ("batches_finished_at_as_status", "status = 'canceled'"),
                ("batches_started_at_as_status", &format!("status = 'succeeded', finished_at = {NOW}")),
                ("batches_started_at_as_status", &format!("status = 'failed', finished_at = {NOW}")),
            ]),
        )
        .await;
        let walk = [
            format!("status = 'running', started_at = {NOW}"),
            "status = 'canceling'".into(),
            format!("status = 'canceled', finished_at = {NOW}"),
            "status = 'succeeded'".into(),
            "status = 'failed'".into(),
            format!("status = 'canceled', started_at = NULL, finished_at = {NOW}"),
            "status = 'pending', finished_at = NULL".into(),
        ];
        allowed(app, &walk.map(|set| format!("UPDATE batches SET {set} WHERE {OURS}"))).await;
    }

    async fn a_batch_keeps_to_its_ranges_and_names(app: TestApp) {
        world(app).await;
        refused(
            app,
            &of_batch(&[
                ("batches_priority_in_range", "priority = 1001"),
                ("batches_priority_in_range", "priority = -1001"),
                ("batches_failure_policy_known", "failure_policy = 'explode'"),
                ("batches_version_positive", "version = 0"),
                ("batches_version_positive", "revision = 0"),
                ("batches_key_has_hash", "idempotency_key = 'k'"),
            ]),
        )
        .await;
        allowed(
            app,
            &["priority = 1000", "priority = -1000", "failure_policy = 'cancel_batch'"]
                .map(|set| format!("UPDATE batches SET {set} WHERE {OURS}")),
        )
        .await;
    }

    async fn an_idempotency_key_is_used_once_in_each_tenant(app: TestApp) {
        world(app).await;
        let keyed = "UPDATE batches SET idempotency_key = 'k', request_hash = 'hash'".to_owned();
        allowed(app, std::slice::from_ref(&keyed)).await;
        let mut again = app.get("/batch").await.json()[1].clone();
        again.as_object_mut().unwrap().remove("id");
        app.posted_batch(&again).await;
        refused(app, &[("batches_tenant_idempotency_key", keyed)]).await;
    }

    async fn a_batch_uses_connections_of_its_tenant_only(app: TestApp) {
        world(app).await;
        refused(
            app,
            &of_batch(&[
                ("batches_source_connection", &format!("source_connection_id = {THEIRS}")),
                ("batches_destination_connection", &format!("destination_connection_id = {THEIRS}")),
                ("batches_source_connection", &format!("source_connection_id = {NOBODY}")),
                ("batch", "tenant_id = (SELECT id FROM tenants WHERE name = 'acme')"),
                ("batch", &format!("tenant_id = {NOBODY}")),
            ]),
        )
        .await;
        refused(
            app,
            &[
                ("batches_", format!("DELETE FROM connections WHERE {OURS}")),
                ("tenant", "DELETE FROM tenants".into()),
            ],
        )
        .await;
    }

    async fn a_job_is_in_one_of_its_states_with_what_belongs_to_it(app: TestApp) {
        world(app).await;
        refused(
            app,
            &of_job(
                0,
                &[
                    ("jobs_status_known", &format!("status = 'queued', started_at = {NOW}")),
                    ("jobs_started_at_as_status", &format!("started_at = {NOW}")),
                    ("jobs_started_at_as_status", "status = 'running', attempt = 1, last_attempt = 1"),
                    (
                        "jobs_started_at_as_status",
                        &format!("status = 'skipped', started_at = {NOW}, finished_at = {NOW}"),
                    ),
                    ("jobs_started_at_as_status", &format!("status = 'succeeded', finished_at = {NOW}")),
                    ("jobs_started_at_as_status", &format!("status = 'failed', finished_at = {NOW}")),
                    ("jobs_finished_at_as_status", &format!("finished_at = {NOW}")),
                    (
                        "jobs_finished_at_as_status",
                        &format!("status = 'running', started_at = {NOW}, finished_at = {NOW}"),
                    ),
                    ("jobs_finished_at_as_status", &format!("status = 'succeeded', started_at = {NOW}")),
                    ("jobs_finished_at_as_status", &format!("status = 'failed', started_at = {NOW}")),
                    ("jobs_finished_at_as_status", "status = 'skipped'"),
                    ("jobs_finished_at_as_status", "status = 'canceled'"),
                    ("jobs_start_when_satisfied", "status = 'blocked'"),
                    ("jobs_start_when_satisfied", "unsatisfied = 1"),
                    (
                        "jobs_not_before_when_ready",
                        &format!("status = 'running', started_at = {NOW}, not_before = {NOW}"),
                    ),
                ],
            ),
        )
        .await;
        refused(
            app,
            &of_job(
                1,
                &[
                    ("jobs_start_when_satisfied", "status = 'ready'"),
                    ("jobs_start_when_satisfied", &format!("status = 'running', started_at = {NOW}")),
                    (
                        "jobs_start_when_satisfied",
                        &format!("status = 'succeeded', started_at = {NOW}, finished_at = {NOW}"),
                    ),
                    ("jobs_start_when_satisfied", "unsatisfied = 0"),
                    (
                        "jobs_unsatisfied_not_negative",
                        &format!("status = 'skipped', finished_at = {NOW}, unsatisfied = -1"),
                    ),
                    ("jobs_not_before_when_ready", &format!("not_before = {NOW}")),
                ],
            ),
        )
        .await;
        let walk = [
            format!("not_before = {NOW}"),
            format!("status = 'running', not_before = NULL, attempt = 1, last_attempt = 1, started_at = {NOW}"),
            format!("status = 'succeeded', finished_at = {NOW}"),
            "status = 'failed'".into(),
            "status = 'canceled'".into(),
            "status = 'canceled', started_at = NULL".into(),
            "status = 'skipped', unsatisfied = 1".into(),
            "status = 'blocked', finished_at = NULL".into(),
        ];
        allowed(app, &walk.map(|set| format!("UPDATE jobs SET {set} WHERE position = 0 AND {OURS}"))).await;
    }

    async fn a_job_keeps_to_its_ranges_and_names(app: TestApp) {
        world(app).await;
        refused(
            app,
            &of_job(
                0,
                &[
                    ("jobs_type_known", "type = 'transform'"),
                    ("jobs_object_not_blank", "object = ' '"),
                    ("jobs_only_loads_delete", "allow_delete = TRUE"),
                    ("jobs_position_not_negative", "position = -1"),
                    ("jobs_attempts_in_range", "attempt = -1"),
                    ("jobs_attempts_in_range", "attempt = 4, last_attempt = 4"),
                    ("jobs_attempts_in_range", "max_attempts = 0"),
                    ("jobs_attempts_in_range", "max_attempts = 101"),
                    ("jobs_waves_from_requirements", "wave = 1"),
                    ("jobs_waves_from_requirements", "wave = -1"),
                    ("jobs_waves_from_requirements", r#"required_objects = '{"extract":["b"]}'"#),
                ],
            ),
        )
        .await;
        refused(
            app,
            &of_job(
                1,
                &[
                    ("jobs_waves_from_requirements", "wave = 0"),
                    ("jobs_waves_from_requirements", "required_objects = NULL"),
                ],
            ),
        )
        .await;
        allowed(app, &[format!("UPDATE jobs SET allow_delete = TRUE, max_attempts = 100, wave = 7 WHERE position = 1 AND {OURS}")]).await;
    }

    async fn no_two_jobs_of_a_batch_are_the_same_work(app: TestApp) {
        world(app).await;
        refused(
            app,
            &[
                ("jobs_identity", copied_job(0, &[])),
                ("jobs_identity", copied_job(2, &[])),
                ("jobs_batch_position", copied_job(0, &[("object", "'other'"), ("position", "1")])),
            ],
        )
        .await;
        for change in [
            ("object", "'other'"),
            ("grain", "'monthly'"),
            ("type", "'load'"),
            ("connection_id", "(SELECT destination_connection_id FROM batches WHERE batches.id = batch_id)"),
        ] {
            allowed(app, &[copied_job(0, &[change]), "DELETE FROM jobs WHERE position = 99".into()]).await;
        }
    }

    async fn a_job_belongs_to_a_batch_and_uses_a_connection_of_one_tenant(app: TestApp) {
        world(app).await;
        refused(
            app,
            &of_job(
                0,
                &[
                    ("jobs_connection", &format!("connection_id = {THEIRS}")),
                    ("jobs_connection", &format!("connection_id = {NOBODY}")),
                    ("jobs_", "tenant_id = (SELECT id FROM tenants WHERE name = 'acme')"),
                    ("jobs_batch", "batch_id = (SELECT id FROM batches WHERE tenant_id <> jobs.tenant_id)"),
                ],
            ),
        )
        .await;
    }

    async fn a_dependency_joins_two_jobs_of_its_batch(app: TestApp) {
        world(app).await;
        refused(
            app,
            &[
                ("dependencies_not_on_itself", dependency(1, 1, "load")),
                ("dependencies_kind_known", dependency(1, 2, "transform")),
                ("dependencies_pkey", dependency(1, 0, "extract")),
                ("dependencies_required", dependency(1, 7, "load")),
                ("dependencies_dependent", dependency(7, 1, "load")),
            ],
        )
        .await;
        allowed(app, &[dependency(1, 2, "load"), dependency(1, 2, "load_result")]).await;
    }

    async fn names_are_not_blank_and_used_once(app: TestApp) {
        world(app).await;
        refused(
            app,
            &[
                ("tenants_name_not_blank", "UPDATE tenants SET name = ' '".into()),
                ("tenants_name_key", "UPDATE tenants SET name = 'same'".into()),
                ("tenants_max_concurrent_jobs_positive", "UPDATE tenants SET max_concurrent_jobs = 0".into()),
                ("connections_name_not_blank", "UPDATE connections SET name = ''".into()),
                ("connections_tenant_name", "UPDATE connections SET name = 'same'".into()),
                ("connections_provider_not_blank", "UPDATE connections SET provider = ' '".into()),
                (
                    "connections_max_concurrent_jobs_positive",
                    "UPDATE connections SET max_concurrent_jobs = 0".into(),
                ),
                ("connections_tenant", format!("UPDATE connections SET tenant_id = {NOBODY}")),
            ],
        )
        .await;
    }

    async fn a_batch_takes_its_jobs_and_dependencies_with_it(app: TestApp) {
        world(app).await;
        allowed(app, &[format!("DELETE FROM batches WHERE {OURS}")]).await;
        let left = app.data("{ jobs { nodes { object } } }", json!({})).await;
        assert_eq!(left["jobs"]["nodes"], json!([{ "object": "theirs" }]));
        refused(
            app,
            &[(
                "dependencies_",
                "INSERT INTO dependencies SELECT batch_id, 0, 1, 'load', 1 FROM jobs".into(),
            )],
        )
        .await;
    }

    async fn the_history_has_one_start(app: TestApp) {
        refused(
            app,
            &[
                ("history_start_one", "INSERT INTO history_start (one, xact, event) VALUES (2, 0, 0)".into()),
                ("history_start_pkey", "INSERT INTO history_start (one, xact, event) VALUES (1, 0, 0)".into()),
                ("history_start_at_as_event", "UPDATE history_start SET event = 7".into()),
            ],
        )
        .await;
    }
}
