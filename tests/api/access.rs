//! Who is let in, and what each may do.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::config::{Access, Config};

use crate::support::{Actor, Event, Method, StatusCode, TestApp, on_both, text};

/// A server that goes on without tokens when there are some.
pub fn to_anybody(config: &mut Config) {
    config.access = Access::Anybody;
}

const VIEWER: &str = "{ viewer { role tenantId tenant { name } token { name lastUsedAt } } }";

/// Asks for the viewer with these headers.
async fn ask(app: &TestApp, headers: &[(&str, &str)]) -> crate::support::Answer {
    app.send_json(Method::POST, "/graphql", headers, &json!({ "query": VIEWER })).await
}

fn code(response: &Value) -> String {
    text(&response["errors"][0]["extensions"]["code"])
}

/// The codes of the errors of each root field, where there are some.
async fn refusals(actor: &Actor<'_>, documents: &[String]) -> Vec<bool> {
    let mut refused = Vec::new();
    for document in documents {
        let response = actor.graphql(document, Value::Null).await;
        refused.push(response.get("errors").is_some_and(|_| code(&response) == "FORBIDDEN"));
    }
    refused
}

on_both! {
    async fn a_server_at_home_is_open_until_the_first_token_is_made(app: TestApp) {
        let open = ask(app, &[]).await;
        assert_eq!(open.json()["data"]["viewer"], json!({ "role": null, "tenantId": null, "tenant": null, "token": null }));

        let admin = app.create_token("ADMIN", None).await;
        let refused = ask(app, &[]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer realm="sluice""#));
        assert_eq!(code(&refused.json()), "UNAUTHENTICATED");
        assert!(refused.json().get("data").is_none());
        let rest = app.get("/batch").await;
        assert_eq!((rest.status, &rest.json()["code"]), (StatusCode::UNAUTHORIZED, &json!("UNAUTHENTICATED")));
        assert!(rest.header("www-authenticate").is_some());

        let viewer = admin.data(VIEWER, Value::Null).await["viewer"].take();
        let expected = json!({
            "role": "ADMIN", "tenantId": null, "tenant": null,
            "token": { "name": "admin", "lastUsedAt": "2026-11-23T20:00:00Z" }
        });
        assert_eq!(viewer["role"], expected["role"]);
        assert_eq!(viewer["token"]["name"], expected["token"]["name"]);
        assert!(viewer["token"]["lastUsedAt"].is_string(), "{viewer}");
        assert_eq!(admin.send(Method::GET, "/batch", None).await.status, StatusCode::OK);
    }

    async fn a_page_that_reaches_an_open_server_under_its_own_name_is_turned_away(app: TestApp) {
        for host in ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""] {
            let refused = ask(app, &[("host", host)]).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{host:?}");
            assert_eq!(code(&refused.json()), "FOREIGN_HOST");
            let rest = app.send(Method::GET, "/batch", &[("host", host)], Vec::new()).await;
            assert_eq!((rest.status, &rest.json()["code"]), (StatusCode::FORBIDDEN, &json!("FOREIGN_HOST")));
        }
        for host in ["localhost", "localhost:1", "[::1]:8000", "127.0.0.1"] {
            assert_eq!(ask(app, &[("host", host)]).await.status, StatusCode::OK, "{host}");
        }
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"] {
            let through_a_proxy = ask(app, &[("host", "localhost"), (name, "x")]).await;
            assert_eq!(through_a_proxy.status, StatusCode::FORBIDDEN, "{name}");
        }
        let admin = app.create_token("ADMIN", None).await;
        let bearer = format!("Bearer {}", admin.secret);
        let named = ask(app, &[("host", "sluice.example"), ("authorization", &bearer)]).await;
        assert_eq!(named.status, StatusCode::OK, "who shows a token may use any name");
    }

    async fn a_server_that_is_open_to_anybody_stays_so(app: TestApp) with to_anybody {
        app.create_token("ADMIN", None).await;
        assert_eq!(ask(app, &[("host", "sluice.example")]).await.status, StatusCode::OK);
        let bad = ask(app, &[("authorization", "Bearer sluice_x")]).await;
        assert_eq!(bad.status, StatusCode::UNAUTHORIZED, "a token that is shown must be good");
    }

    async fn what_is_no_good_token_is_refused(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        let other = admin.create_token("VIEWER", None).await;
        let (id, secret) = (&admin.secret[..34], &other.secret[34..]);
        let mut unknown = admin.secret.clone();
        unknown.replace_range(10..20, "zzzzzzzzzz");
        for shown in [
            "".to_owned(),
            "Bearer".into(),
            "Bearer ".into(),
            format!("Basic {}", admin.secret),
            format!("Bearer {}", &admin.secret[..admin.secret.len() - 1]),
            format!("Bearer {}x", admin.secret),
            format!("Bearer {id}{secret}"),
            format!("Bearer {unknown}"),
            format!("Bearer {}", "x".repeat(8_000)),
        ] {
            let refused = ask(app, &[("authorization", &shown)]).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{shown}");
            let challenge = refused.header("www-authenticate").unwrap();
            assert!(challenge.contains("invalid_token"), "{challenge}");
            assert!(!refused.text().contains(&shown) || shown.len() < 8, "{shown} is repeated");
        }
    }

    async fn a_token_is_no_good_any_more_once_it_is_revoked_or_has_expired(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        let viewer = admin.create_token("VIEWER", None).await;
        viewer.data(VIEWER, Value::Null).await;
        for _ in 0..2 {
            let input = json!({ "id": viewer.id });
            let revoked = admin.done("revokeToken", "token { revokedAt }", input).await;
            assert!(revoked["token"]["revokedAt"].is_string());
            let refused = viewer.send(Method::POST, "/graphql", Some(&json!({ "query": VIEWER }))).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
            app.advance(1);
        }

        let input = json!({ "name": "x", "role": "VIEWER", "expiresAt": "2026-11-23T13:00:00Z" });
        let made = admin.done("createToken", "secret", input).await;
        let bearer = format!("Bearer {}", text(&made["secret"]));
        app.advance(3_590);
        assert_eq!(ask(app, &[("authorization", &bearer)]).await.status, StatusCode::OK);
        app.advance(10);
        assert_eq!(ask(app, &[("authorization", &bearer)]).await.status, StatusCode::UNAUTHORIZED);

        let past = json!({ "name": " ", "role": "VIEWER", "tenantId": "x", "expiresAt": "2026-11-23T13:00:00Z" });
        let document = "mutation ($input: CreateTokenInput!) { createToken(input: $input) {
            token { id } secret userErrors { code field } } }";
        let refused = admin.data(document, json!({ "input": past })).await["createToken"].take();
        assert_eq!(refused, json!({ "token": null, "secret": null, "userErrors": [
            { "code": "BLANK", "field": ["name"] },
            { "code": "INVALID_ID", "field": ["tenantId"] },
            { "code": "OUT_OF_RANGE", "field": ["expiresAt"] },
        ] }));
    }

    async fn a_server_learns_of_tokens_that_another_process_makes_or_revokes(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        admin.data(VIEWER, Value::Null).await;
        app.db_execute("UPDATE tokens SET revoked_at = created_at").await;
        app.advance(3);
        let refused = admin.send(Method::POST, "/graphql", Some(&json!({ "query": VIEWER }))).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(app, &[]).await.status, StatusCode::UNAUTHORIZED, "revoked or not, there was one");
    }

    async fn a_known_token_costs_no_statement(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        admin.data(VIEWER, Value::Null).await;
        let document = "{ tenants { nodes { name } } }";
        // Until the server's own wake-up has come back to it, it reads the token again.
        for _ in 0..100 {
            let statements = app.statements.during(admin.data(document, Value::Null)).await;
            if statements == 1 {
                return;
            }
        }
        panic!("the token is read each time");
    }

    async fn each_role_may_do_its_own_and_no_more(app: TestApp) {
        let tenant = app.create_tenant("acme").await;
        let documents = documents(app).await;
        let admin = app.create_token("ADMIN", None).await;
        let mut table = format!("{:22} viewer operator admin tenant's-admin worker\n", "");
        let mut columns = Vec::new();
        for (role, of) in
            [("VIEWER", None), ("OPERATOR", None), ("ADMIN", None), ("ADMIN", Some(&*tenant)), ("WORKER", None)]
        {
            let actor = admin.create_token(role, of).await;
            let texts: Vec<String> = documents.iter().map(|(_, document)| document.clone()).collect();
            columns.push(refusals(&actor, &texts).await);
        }
        for (row, (name, _)) in documents.iter().enumerate() {
            let marks = columns.iter().map(|column| if column[row] { "-" } else { "yes" });
            table += &format!("{name:22} {}\n", marks.collect::<Vec<_>>().join(" "));
        }
        insta::assert_snapshot!("roles", table);
    }

    async fn who_looks_after_one_tenant_sees_and_makes_tokens_of_that_one_alone(app: TestApp) {
        let (acme, globex) = (app.create_tenant("acme").await, app.create_tenant("globex").await);
        let root = app.create_token("ADMIN", None).await;
        let admin = root.create_token("ADMIN", Some(&acme)).await;
        let foreign = root.create_token("VIEWER", Some(&globex)).await;
        let own = admin.create_token("OPERATOR", None).await;
        let viewer = own.data("{ viewer { tenantId tenant { name } } }", Value::Null).await;
        assert_eq!(viewer["viewer"], json!({ "tenantId": acme, "tenant": { "name": "acme" } }));

        let seen = admin.data("{ tokens { totalCount nodes { id } } }", Value::Null).await;
        assert_eq!(seen["tokens"], json!({ "totalCount": 2, "nodes": [{ "id": admin.id }, { "id": own.id }] }));
        let all = root.data("{ tokens { totalCount } }", Value::Null).await;
        assert_eq!(all["tokens"]["totalCount"], 4);

        let document = "mutation ($id: ID!) { revokeToken(input: { id: $id }) { userErrors { code } } }";
        for id in [&foreign.id, &root.id] {
            let refused = admin.data(document, json!({ "id": id })).await;
            assert_eq!(refused["revokeToken"]["userErrors"], json!([{ "code": "NOT_FOUND" }]));
        }
        let document = "mutation ($id: ID!) {
            createToken(input: { name: \"x\", role: ADMIN, tenantId: $id }) { secret userErrors { code } } }";
        let refused = admin.data(document, json!({ "id": globex })).await;
        assert_eq!(refused["createToken"], json!({ "secret": null, "userErrors": [{ "code": "NOT_FOUND" }] }));

        let delete = "mutation ($id: ID!) { deleteTenant(input: { id: $id }) { userErrors { code } } }";
        root.data(delete, json!({ "id": acme })).await;
        assert_eq!(own.send(Method::GET, "/batch", None).await.status, StatusCode::UNAUTHORIZED);
    }

    async fn a_secret_is_kept_nowhere(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        admin.data(VIEWER, Value::Null).await;
        let random = &admin.secret[34..];
        for table in ["tokens", "events"] {
            assert!(!app.db_dump(table).await.contains(random), "{table}");
        }
        let answer = admin.graphql("{ tokens { nodes { id name role createdAt } } }", Value::Null).await;
        assert!(!answer.to_string().contains(random));
    }

    async fn changes_bear_the_name_of_the_token(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let root = app.create_token("ADMIN", None).await;
        let operator = root.create_token("OPERATOR", None).await;
        let input = json!({
            "sourceConnectionId": source, "destinationConnectionId": destination,
            "jobs": [{ "type": "EXTRACT", "object": "a" }]
        });
        let made = operator.done("createBatch", "batch { id }", input).await;
        operator.done("cancelBatch", "batch { id }", json!({ "id": made["batch"]["id"] })).await;
        let events = "{ events { nodes { kind actor { kind name tokenId } } } }";
        let whole = |data: &Value| data["events"]["nodes"].as_array().unwrap().len() == 3;
        let events = operator.data_once(events, whole).await["events"]["nodes"].take();
        let actor = json!({ "kind": "CLIENT", "name": "operator", "tokenId": operator.id });
        assert_eq!(events, json!([
            { "kind": "BATCH_CREATED", "actor": actor },
            { "kind": "JOB_CANCELED", "actor": actor },
            { "kind": "BATCH_CANCELED", "actor": actor },
        ]));
    }

    async fn a_socket_says_who_it_is_when_it_begins(app: TestApp) {
        let viewer = app.create_token("ADMIN", None).await.create_token("VIEWER", None).await;
        let mut socket = viewer.open_socket().await;
        socket.subscribe("1", "{ viewer { role } }").await;
        assert_eq!(socket.hear().await["payload"]["data"]["viewer"]["role"], "VIEWER");

        let bearer = format!("Bearer {}", viewer.secret);
        let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
        let mut socket = app.try_socket(&[protocol, ("authorization", &bearer)]).await.unwrap();
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.hear().await["type"], "connection_ack");

        for payload in [json!({}), Value::Null, json!({ "Authorization": "Bearer x" }), json!({ "Authorization": 1 })] {
            let mut socket = app.socket("graphql-transport-ws").await;
            socket.say(json!({ "type": "connection_init", "payload": payload })).await;
            let (code, reason) = socket.closed().await;
            assert_eq!(code, 4403, "{payload}");
            assert!(reason.starts_with("Forbidden: "), "{reason}");
        }
        assert!(app.try_socket(&[protocol, ("authorization", "Bearer x")]).await.is_err());
    }

    async fn a_worker_that_waits_is_sent_away_when_its_token_is_revoked(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        let worker = admin.create_token("WORKER", None).await;
        let claim = "mutation { claimJobs(input: { worker: \"w\", providers: [\"unheard-of\"], waitSeconds: 30 }) {
            claims { lease credentials } } }";
        let body = json!({ "query": claim });
        let mut waiting = Box::pin(worker.send(Method::POST, "/graphql", Some(&body)));
        // Who asks for what is written down when it begins to wait.
        while !app.db_dump("worker_calls").await.contains("unheard-of") {
            let _ = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await;
        }
        admin.done("revokeToken", "token { id }", json!({ "id": worker.id })).await;
        let answer = waiting.await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
        assert!(answer.header("www-authenticate").is_some());
        assert!(answer.json().get("data").is_none());
    }

    async fn a_worker_that_asks_for_what_it_may_not_read_claims_nothing(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let jobs = json!([{ "type": "EXTRACT", "object": "a" }]);
        app.create_batch(json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs })).await;
        let admin = app.create_token("ADMIN", None).await;
        let worker = admin.create_token("WORKER", None).await;
        for selection in [
            "batch { events(first: 1) { totalCount } }",
            "connection { batches { totalCount } }",
            "batch { tenant { ...T } }",
        ] {
            let fragment = if selection.contains("...T") { "fragment T on Tenant { connections { totalCount } }" } else { "" };
            let query = format!(
                "mutation {{ claimJobs(input: {{ worker: \"w\" }}) {{ claims {{ lease job {{ {selection} }} }} }} }} {fragment}"
            );
            let refused = worker.graphql(&query, Value::Null).await;
            assert_eq!(code(&refused), "FORBIDDEN", "{refused}");
            assert_eq!(refused.get("data"), None);
        }
        let status = admin.data("{ jobs { nodes { status attempt } } }", Value::Null).await;
        assert_eq!(status["jobs"]["nodes"][0], json!({ "status": "READY", "attempt": 0 }));
        let claimed = worker.done("claimJobs", "claims { job { batch { tenant { name } } } }", json!({ "worker": "w" })).await;
        assert_eq!(claimed["claims"].as_array().unwrap().len(), 1);
    }

    async fn whoever_is_let_in_no_longer_is_cut_off(app: TestApp) {
        let admin = app.create_token("ADMIN", None).await;
        let [revoked, expiring] = [None, Some("2026-11-23T13:00:00Z")].map(|expires| {
            json!({ "name": "x", "role": "VIEWER", "expiresAt": expires })
        });
        let mut actors = Vec::new();
        for input in [revoked, expiring] {
            let made = admin.done("createToken", "secret token { id }", input).await;
            actors.push(admin.with(text(&made["secret"]), text(&made["token"]["id"])));
        }
        let follow = "subscription { events { cursor } }";
        let mut live = Vec::new();
        for actor in &actors {
            let mut socket = actor.open_socket().await;
            socket.subscribe("1", follow).await;
            let mut stream = actor.stream(follow).await;
            assert_eq!(stream.any().await, Some(Event::Comment(String::new())));
            live.push((socket, stream));
        }
        admin.done("revokeToken", "token { id }", json!({ "id": actors[0].id })).await;
        let reason = "the token is no longer good";
        let (socket, stream) = &mut live[0];
        assert_eq!(socket.closed().await, (4403, format!("Forbidden: {reason}")));
        assert_eq!(stream.event().await, Some(Event::Comment(reason.into())));
        assert_eq!(stream.event().await, None);

        app.advance(3_600);
        let (socket, stream) = &mut live[1];
        assert_eq!(socket.closed().await.0, 4403);
        assert_eq!(stream.event().await, Some(Event::Comment(reason.into())));
    }
}

/// A document for every root field, with values for what it must be given.
async fn documents(app: &TestApp) -> Vec<(String, String)> {
    crate::wall::Schema::read(app).await.root_fields()
}
