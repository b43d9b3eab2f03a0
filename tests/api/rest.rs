//! The documented `/batch` interface.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, Method, TestApp, on_both};

/// The batch of the documentation.
fn documented((source, destination): &(String, String)) -> Value {
    json!({
        "source_connection_id": source,
        "destination_connection_id": destination,
        "since": "2010-01-01",
        "jobs": [
            { "type": "extract", "object": "Account" },
            { "type": "load", "object": "accounts", "required_objects": { "extract": ["Account"] } },
        ],
    })
}

/// The same as text, field by field in the order of the documentation, as it must be answered.
fn documented_text(id: &str, (source, destination): &(String, String)) -> String {
    format!(
        concat!(
            r#"{{"id":"{}","source_connection_id":"{}","destination_connection_id":"{}","since":"2010-01-01","#,
            r#""jobs":[{{"type":"extract","object":"Account"}},"#,
            r#"{{"type":"load","object":"accounts","required_objects":{{"extract":["Account"]}}}}]}}"#
        ),
        id, source, destination
    )
}

/// `base` with some fields changed.
fn with(base: &Value, changes: Value) -> Value {
    let mut body = base.clone();
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

async fn put(app: &TestApp, id: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    app.send_json(Method::PUT, &format!("/batch/{id}"), headers, body).await
}

async fn delete(app: &TestApp, id: &str, headers: &[(&str, &str)]) -> Answer {
    app.send(Method::DELETE, &format!("/batch/{id}"), headers, Vec::new()).await
}

async fn post_raw(app: &TestApp, content_type: Option<&str>, body: &[u8]) -> Answer {
    let headers: Vec<(&str, &str)> = content_type.map(|value| ("content-type", value)).into_iter().collect();
    app.send(Method::POST, "/batch", &headers, body.to_vec()).await
}

const SHOWS_THAT_IT_RUNS: [&str; 2] = [
    "UPDATE batches SET status = 'running', started_at = created_at, version = version + 1",
    "UPDATE jobs SET status = 'running', attempt = 1, last_attempt = 1, started_at = created_at WHERE status = 'ready'",
];

on_both! {
    async fn what_can_be_got_answers_head_with_the_same_and_no_body(app: TestApp) {
        for path in ["/batch", "/batch/x", "/graphiql", "/health", "/schema.graphql", "/graphql?query=%7B__typename%7D"] {
            let got = app.get(path).await;
            let head = app.send(Method::HEAD, path, &[], Vec::new()).await;
            assert_eq!((head.status, &*head.text()), (got.status, ""), "{path}");
            for name in ["content-type", "content-length", "etag", "link"] {
                assert_eq!(head.header(name), got.header(name), "{path} {name}");
            }
        }
    }

    async fn the_five_documented_requests_are_answered_as_documented(app: TestApp) {
        let ends = app.create_ends().await;
        // Word for word what the documentation has, once its quotes and braces are in order.
        let posted = format!(
            r#"{{
          "source_connection_id": "{}",
          "destination_connection_id": "{}",
          "since": "2010-01-01",
          "jobs": [
              {{
                "type": "extract",
                "object": "Account"
              }},
              {{
                "type": "load",
                "object": "accounts",
                "required_objects":{{
                  "extract": ["Account"]
                }}
              }}
          ]
        }}"#,
            ends.0, ends.1
        );
        let answer = post_raw(app, Some("application/json"), posted.as_bytes()).await;
        let id = answer.id();
        let expected = documented_text(&id, &ends);
        assert_eq!((answer.status.as_u16(), answer.text()), (201, expected.clone()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("location"), Some(&*format!("/batch/{id}")));

        let answer = app.get("/batch").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, format!("[{expected}]")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("link"), None);

        let answer = app.get_batch(&id).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, expected.clone()));

        let replacement = with(&documented(&ends), json!({ "id": id }));
        let answer = app.put_batch(&id, &replacement).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, expected.clone()));
        assert_eq!(app.get_batch(&id).await.text(), expected);

        let answer = delete(app, &id, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, expected));
        assert_eq!(app.get_batch(&id).await.status.as_u16(), 404);
        assert_eq!(app.get("/batch").await.text(), "[]");
    }

    async fn a_replacement_takes_the_place_of_the_whole_batch(app: TestApp) {
        let ends = app.create_ends().await;
        let id = app.posted_batch(&documented(&ends)).await;
        let other = json!({
            "source_connection_id": ends.1,
            "destination_connection_id": ends.0,
            "jobs": [{ "type": "load", "object": "a" }],
        });
        let expected = format!(
            r#"{{"id":"{id}","source_connection_id":"{}","destination_connection_id":"{}","jobs":[{{"type":"load","object":"a"}}]}}"#,
            ends.1, ends.0
        );
        assert_eq!(app.put_batch(&id, &other).await.text(), expected);
        assert_eq!(app.get_batch(&id).await.text(), expected);
    }

    async fn every_way_of_writing_a_point_in_time_is_answered_in_one(app: TestApp) {
        let ends = app.create_ends().await;
        let forms = [
            (json!(1_262_304_000), "2010-01-01"),
            (json!("1262304000"), "2010-01-01"),
            (json!("2010-01-01"), "2010-01-01"),
            (json!("2010-01-01T00:00:00Z"), "2010-01-01"),
            (json!("2010-01-01T02:00:00+02:00"), "2010-01-01"),
            (json!(0), "1970-01-01"),
            (json!(-86_400), "1969-12-31"),
            (json!(1_262_304_001), "2010-01-01T00:00:01Z"),
            (json!("1262304001"), "2010-01-01T00:00:01Z"),
            (json!("2010-01-01T00:00:00.5Z"), "2010-01-01T00:00:00.500Z"),
            (json!("2010-01-01T00:00:00.123456789Z"), "2010-01-01T00:00:00.123456Z"),
            (json!("0001-01-01"), "0001-01-01"),
            (json!("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999Z"),
        ];
        for (written, expected) in forms {
            let mut body = with(&documented(&ends), json!({ "since": written, "updated_since": written }));
            body["jobs"][0]["since"] = written.clone();
            body["jobs"][0]["updated_since"] = written.clone();
            let id = app.posted_batch(&body).await;
            let batch = app.get_batch(&id).await.json();
            let points = [
                &batch["since"],
                &batch["updated_since"],
                &batch["jobs"][0]["since"],
                &batch["jobs"][0]["updated_since"],
            ];
            assert_eq!(points, [expected; 4], "{written}");
        }
    }

    async fn what_is_no_point_in_time_is_refused_at_its_place(app: TestApp) {
        let ends = app.create_ends().await;
        for written in [
            json!("yesterday"),
            json!(1.5),
            json!(1e9),
            json!(""),
            json!("2010-02-30"),
            json!(99_999_999_999_999_i64),
            json!("20\u{0}10"),
        ] {
            let mut body = with(&documented(&ends), json!({ "since": written }));
            body["jobs"][1]["updated_since"] = written.clone();
            let answer = app.post_batch(&body).await;
            let expected = ["INVALID_SINCE since", "INVALID_SINCE jobs.1.updated_since"].map(str::to_owned);
            assert_eq!(answer.problem_codes(), (422, expected.to_vec()), "{written}");
        }
        let answer =
            app.post_batch(&with(&documented(&ends), json!({ "since": true, "updated_since": [1] }))).await;
        assert_snapshot!(answer.problem(), @r"
        400 WRONG_TYPE this must be Unix seconds or a string, not true or false (and 1 more, see `errors`)
          WRONG_TYPE since: this must be Unix seconds or a string, not true or false
          WRONG_TYPE updated_since: this must be Unix seconds or a string, not an array
        ");
    }

    async fn updated_since_is_understood_as_the_documentation_misspells_it(app: TestApp) {
        let ends = app.create_ends().await;
        for name in ["updated_since", "updated\\since", "updated\\_since"] {
            let mut body = documented(&ends);
            body[name] = json!("2011-02-03");
            body["jobs"][0][name] = json!("2012-03-04T05:06:07Z");
            let id = app.posted_batch(&body).await;
            let expected = documented_text(&id, &ends)
                .replace(r#""since":"2010-01-01","#, r#""since":"2010-01-01","updated_since":"2011-02-03","#)
                .replace(
                    r#""object":"Account"}"#,
                    r#""object":"Account","updated_since":"2012-03-04T05:06:07Z"}"#,
                );
            assert_eq!(app.get_batch(&id).await.text(), expected, "{name}");
        }
        let twice = with(&documented(&ends), json!({ "updated_since": 1, "updated\\since": 2 }));
        assert_eq!(
            app.post_batch(&twice).await.problem_codes(),
            (400, vec!["INVALID_VALUE updated\\since".into()])
        );
    }

    async fn grains_and_all_kinds_of_required_objects_are_kept_in_the_order_given(app: TestApp) {
        let ends = app.create_ends().await;
        let body = with(
            &documented(&ends),
            json!({ "jobs": [
            { "type": "extract", "object": "b", "grain": "daily" },
            { "type": "extract", "object": "b", "grain": "monthly" },
            { "type": "extract", "object": "a" },
            { "type": "load", "object": "x", "required_objects": { "load_result": [], "load": [], "extract": ["b", "a", "b"] } },
            { "type": "load", "object": "y", "required_objects": { "load_result": ["x"], "load": ["x"] } },
            { "type": "load", "object": "z", "required_objects": {} },
        ] }),
        );
        let id = app.posted_batch(&body).await;
        let text = app.get_batch(&id).await.text();
        let (_, jobs) = text.split_once(r#""jobs":"#).unwrap();
        assert_eq!(
            jobs,
            concat!(
                r#"[{"type":"extract","object":"b","grain":"daily"},{"type":"extract","object":"b","grain":"monthly"},"#,
                r#"{"type":"extract","object":"a"},{"type":"load","object":"x","required_objects":{"extract":["b","a"]}},"#,
                r#"{"type":"load","object":"y","required_objects":{"load":["x"],"load_result":["x"]}},{"type":"load","object":"z"}]}"#
            )
        );
    }

    async fn what_the_documentation_does_not_know_survives_being_read_and_written_back(app: TestApp) {
        let ends = app.create_ends().await;
        let own = app.create_connection("own").await;
        let body = with(
            &documented(&ends),
            json!({
                "priority": -7,
                "failure_policy": "cancel_batch",
                "until": "2026-01-01",
                "jobs": [
                    { "type": "extract", "object": "Account", "connection_id": own, "since": "2012-01-01", "max_attempts": 1 },
                    { "type": "load", "object": "accounts", "grain": "daily", "allow_delete": true, "max_attempts": 100,
                      "required_objects": { "load": ["other"] } },
                    { "type": "load", "object": "other", "required_objects": { "extract": ["Account"] } },
                ],
            }),
        );
        let id = app.posted_batch(&body).await;
        let read = app.get_batch(&id).await;
        let expected = format!(
            concat!(
                r#"{{"id":"{}","source_connection_id":"{}","destination_connection_id":"{}","since":"2010-01-01","#,
                r#""until":"2026-01-01","priority":-7,"failure_policy":"cancel_batch","jobs":["#,
                r#"{{"type":"extract","object":"Account","connection_id":"{}","since":"2012-01-01","max_attempts":1}},"#,
                r#"{{"type":"load","object":"accounts","grain":"daily","allow_delete":true,"max_attempts":100,"#,
                r#""required_objects":{{"load":["other"]}}}},"#,
                r#"{{"type":"load","object":"other","required_objects":{{"extract":["Account"]}}}}]}}"#
            ),
            id, ends.0, ends.1, own
        );
        assert_eq!(read.text(), expected);
        let written = app.put_batch(&id, &read.json()).await;
        assert_eq!((written.status.as_u16(), written.text()), (200, expected.clone()));
        assert_eq!(app.get_batch(&id).await.text(), expected);
    }

    async fn what_says_no_more_than_the_defaults_is_left_out_of_the_answer(app: TestApp) {
        let ends = app.create_ends().await;
        let default_tenant =
            app.data("{ tenants { nodes { id } } }", json!({})).await["tenants"]["nodes"][0]["id"].clone();
        let body = json!({
            "tenant_id": default_tenant,
            "source_connection_id": ends.0,
            "destination_connection_id": ends.1,
            "since": "2010-01-01",
            "updated_since": null,
            "priority": 0,
            "failure_policy": "continue",
            "jobs": [
                { "type": "extract", "object": "Account", "connection_id": ends.0, "grain": null, "since": null,
                  "updated_since": null, "allow_delete": false, "max_attempts": 3, "required_objects": null },
                { "type": "load", "object": "accounts", "connection_id": ends.1,
                  "required_objects": { "extract": ["Account"], "load": null, "load_result": [] } },
            ],
        });
        let id = app.posted_batch(&body).await;
        assert_eq!(app.get_batch(&id).await.text(), documented_text(&id, &ends));
    }

    async fn the_tenant_is_named_where_it_is_not_the_default_one(app: TestApp) {
        let (tenant, source, destination) = app.create_tenant_with_ends("acme").await;
        let ends = (source, destination);
        let body = with(&documented(&ends), json!({ "tenant_id": tenant }));
        let id = app.posted_batch(&body).await;
        let expected = documented_text(&id, &ends).replace(
            r#","source_connection_id""#,
            &format!(r#","tenant_id":"{tenant}","source_connection_id""#),
        );
        assert_eq!(app.get_batch(&id).await.text(), expected);

        // A replacement may repeat the tenant or leave it out; both mean the batch's own.
        for body in [&body, &documented(&ends)] {
            let answer = app.put_batch(&id, body).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, expected.clone()));
        }
        assert_eq!(app.get(&format!("/batch?tenant_id={tenant}")).await.text(), format!("[{expected}]"));
    }

    async fn another_tenant_s_connections_are_not_there(app: TestApp) {
        let (tenant, ..) = app.create_tenant_with_ends("acme").await;
        let ends = app.create_ends().await;
        let answer = app.post_batch(&with(&documented(&ends), json!({ "tenant_id": tenant }))).await;
        assert_snapshot!(answer.problem(), @r"
        422 NOT_FOUND the tenant of this batch has no connection with this id (and 1 more, see `errors`)
          NOT_FOUND source_connection_id: the tenant of this batch has no connection with this id
          NOT_FOUND destination_connection_id: the tenant of this batch has no connection with this id
        ");
        let unknown = "tenant_01h2xcejqtf2nbrexx3vqjhp41";
        let answer = app.post_batch(&with(&documented(&ends), json!({ "tenant_id": unknown }))).await;
        assert_snapshot!(answer.problem(), @r"
        422 NOT_FOUND there is no tenant with this id
          NOT_FOUND tenant_id: there is no tenant with this id
        ");
    }

    async fn a_list_is_followed_by_its_links_to_the_end(app: TestApp) {
        let ends = app.create_ends().await;
        let (tenant, source, destination) = app.create_tenant_with_ends("acme").await;
        let body = with(&documented(&(source, destination)), json!({ "tenant_id": tenant }));
        let mut ids = Vec::new();
        for _ in 0..7 {
            ids.push(app.posted_batch(&body).await);
            app.posted_batch(&documented(&ends)).await;
        }
        ids.reverse();
        let mut next = Some(format!("/batch?limit=3&tenant_id={tenant}"));
        let mut pages = Vec::new();
        while let Some(path) = next {
            let answer = app.get(&path).await;
            let page = answer
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|batch| batch["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>();
            next = answer.header("link").map(|link| {
                let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(r#">; rel="next""#));
                path.unwrap_or_else(|| panic!("{link}")).to_owned()
            });
            assert!(next.as_ref().is_none_or(|path| path.contains("limit=3") && path.contains(&tenant)));
            pages.push(page);
        }
        let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
        assert_eq!((sizes, pages.concat()), (vec![3, 3, 1], ids), "newest first");
        assert_eq!(app.get("/batch").await.json().as_array().unwrap().len(), 14, "of all tenants");
    }

    async fn a_full_page_without_a_successor_has_no_link(app: TestApp) {
        let ends = app.create_ends().await;
        for _ in 0..2 {
            app.posted_batch(&documented(&ends)).await;
        }
        let answer = app.get("/batch?limit=2").await;
        assert_eq!((answer.json().as_array().unwrap().len(), answer.header("link")), (2, None));
        let answer = app.get("/batch?limit=1").await;
        assert!(answer.header("link").is_some());
        let of_nobody = app.get("/batch?tenant_id=tenant_01h2xcejqtf2nbrexx3vqjhp41").await;
        assert_eq!((of_nobody.status.as_u16(), of_nobody.text()), (200, "[]".into()));
    }

    async fn a_list_has_a_hundred_batches_where_nobody_says_otherwise(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let batch = json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": [{ "type": "LOAD", "object": "a" }] });
        let mutation = "mutation ($input: CreateBatchesInput!) { createBatches(input: $input) { userErrors { message } } }";
        app.data(mutation, json!({ "input": { "batches": vec![&batch; 100] } })).await;
        app.data(mutation, json!({ "input": { "batches": [batch] } })).await;
        let answer = app.get("/batch").await;
        assert_eq!(answer.json().as_array().unwrap().len(), 100);
        let next = answer.header("link").unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
        assert_eq!(app.get(&next).await.json().as_array().unwrap().len(), 1);
    }

    async fn bad_parameters_of_a_list_are_refused(app: TestApp) {
        for limit in ["abc", "-1", "101", "1.5", "", "99999999999"] {
            let answer = app.get(&format!("/batch?limit={limit}")).await;
            assert_eq!(answer.problem_codes(), (422, vec!["OUT_OF_RANGE limit".into()]), "{limit}");
        }
        for cursor in ["", "x", "%00", "%C3%A9", "Y29ubmVjdGlvbnM"] {
            let answer = app.get(&format!("/batch?cursor={cursor}")).await;
            assert_eq!(answer.problem_codes(), (422, vec!["INVALID_VALUE cursor".into()]), "{cursor}");
        }
        let of_connections =
            app.data("{ connections(first: 0) { pageInfo { endCursor } } }", json!({})).await;
        assert!(of_connections["connections"]["pageInfo"]["endCursor"].is_null());
        app.create_connection("a").await;
        let of_connections =
            app.data("{ connections(first: 1) { pageInfo { endCursor } } }", json!({})).await;
        let cursor = of_connections["connections"]["pageInfo"]["endCursor"].as_str().unwrap();
        let answer = app.get(&format!("/batch?cursor={cursor}")).await;
        assert_snapshot!(answer.problem(), @"
        422 INVALID_VALUE this cursor comes from another list or another order; start again without it
          INVALID_VALUE cursor: this cursor comes from another list or another order; start again without it
        ");
        let answer = app.get("/batch?tenant_id=acme").await;
        assert_eq!(answer.problem_codes(), (422, vec!["INVALID_ID tenant_id".into()]));
        let answer = app.get("/batch?tenant_id=batch_01h2xcejqtf2nbrexx3vqjhp41").await;
        assert_eq!(answer.problem_codes(), (422, vec!["WRONG_ID_KIND tenant_id".into()]));
        let answer = app.get("/batch?limit=1&limit=2").await;
        assert_eq!(answer.problem_codes(), (400, vec!["BAD_REQUEST".into()]));
        assert_eq!(app.get("/batch?limit=0").await.text(), "[]");
    }

    async fn all_bad_parameters_of_a_list_are_said_at_once(app: TestApp) {
        let answer = app.get("/batch?limit=abc&cursor=x&tenant_id=acme").await;
        let expected =
            ["INVALID_ID tenant_id", "OUT_OF_RANGE limit", "INVALID_VALUE cursor"].map(str::to_owned);
        assert_eq!(answer.problem_codes(), (422, expected.to_vec()));
    }

    async fn a_batch_has_a_tag_that_changes_with_its_version(app: TestApp) {
        let ends = app.create_ends().await;
        let answer = app.post_batch(&documented(&ends)).await;
        let id = answer.id();
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert_eq!(app.get_batch(&id).await.header("etag"), Some("\"1\""));
        assert_eq!(app.put_batch(&id, &documented(&ends)).await.header("etag"), Some("\"2\""));
        assert_eq!(app.get_batch(&id).await.header("etag"), Some("\"2\""));
    }

    async fn a_change_is_made_only_to_the_version_that_the_client_has_seen(app: TestApp) {
        let ends = app.create_ends().await;
        let id = app.posted_batch(&documented(&ends)).await;
        let body = documented(&ends);
        let changed = with(&body, json!({ "since": "2011-01-01" }));
        for stale in ["\"2\"", "\"0\"", "W/\"1\"", "1", "\"one\"", "", "\"1", "\"2\", W/\"1\""] {
            let answer = put(app, &id, &[("if-match", stale)], &changed).await;
            assert_eq!(answer.problem_codes(), (412, vec!["STALE_VERSION version".into()]), "{stale}");
            let answer = delete(app, &id, &[("if-match", stale)]).await;
            assert_eq!(answer.problem_codes(), (412, vec!["STALE_VERSION version".into()]), "{stale}");
        }
        assert_eq!(app.get_batch(&id).await.text(), documented_text(&id, &ends), "nothing was changed");
        for (version, matching) in ["\"1\"", "*", "\"7\", \"3\"", "\"4\""].into_iter().enumerate() {
            let answer = put(app, &id, &[("if-match", matching)], &body).await;
            assert_eq!(answer.status.as_u16(), 200, "{matching}: {}", answer.text());
            assert_eq!(answer.header("etag"), Some(&*format!("\"{}\"", version + 2)));
        }
        let answer = put(app, &id, &[("if-match", "\"1\"")], &body).await;
        assert_snapshot!(answer.problem(), @r"
        412 STALE_VERSION this batch has changed and is at version 5 now; read it again
          STALE_VERSION version: this batch has changed and is at version 5 now; read it again
        ");
        assert_eq!(delete(app, &id, &[("if-match", "\"5\"")]).await.status.as_u16(), 200);
    }

    async fn what_the_client_has_already_is_not_sent_again(app: TestApp) {
        let ends = app.create_ends().await;
        let id = app.posted_batch(&documented(&ends)).await;
        let read = async |known: &str| {
            app.send(Method::GET, &format!("/batch/{id}"), &[("if-none-match", known)], Vec::new()).await
        };
        for known in ["\"1\"", "W/\"1\"", "*", "\"0\", \"1\""] {
            let answer = read(known).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text().as_str(), answer.header("etag")),
                (304, "", Some("\"1\"")),
                "{known}"
            );
        }
        for unknown in ["\"2\"", "1", "", "\"one\""] {
            assert_eq!(read(unknown).await.status.as_u16(), 200, "{unknown}");
        }
        app.put_batch(&id, &documented(&ends)).await;
        assert_eq!(read("\"1\"").await.status.as_u16(), 200);
    }

    async fn ids_and_tenants_are_given_once_and_for_good(app: TestApp) {
        let ends = app.create_ends().await;
        let (tenant, ..) = app.create_tenant_with_ends("acme").await;
        let id = app.posted_batch(&documented(&ends)).await;
        let other = app.posted_batch(&documented(&ends)).await;
        let answer = app.post_batch(&with(&documented(&ends), json!({ "id": other }))).await;
        assert_snapshot!(answer.problem(), @r"
        422 READ_ONLY the system gives the id; leave it out
          READ_ONLY id: the system gives the id; leave it out
        ");
        let answer = app.put_batch(&id, &with(&documented(&ends), json!({ "id": other }))).await;
        assert_snapshot!(answer.problem(), @r"
        422 READ_ONLY this is not the id of the batch at this address; ids never change
          READ_ONLY id: this is not the id of the batch at this address; ids never change
        ");
        let answer = app.put_batch(&id, &with(&documented(&ends), json!({ "tenant_id": tenant }))).await;
        assert_snapshot!(answer.problem(), @r"
        422 READ_ONLY this batch belongs to tenant_0000000000e008000000000000 for good; leave this out
          READ_ONLY tenant_id: this batch belongs to tenant_0000000000e008000000000000 for good; leave this out
        ");
    }

    async fn a_request_repeated_under_its_key_makes_one_batch(app: TestApp) {
        let ends = app.create_ends().await;
        let post = async |key: &str, body: &Value| {
            app.send_json(Method::POST, "/batch", &[("idempotency-key", key)], body).await
        };
        let first = post("k", &documented(&ends)).await;
        let id = first.id();
        // The same, in other words.
        let reworded = with(&documented(&ends), json!({ "since": 1_262_304_000, "priority": 0 }));
        for body in [documented(&ends), reworded] {
            let again = post("k", &body).await;
            assert_eq!((again.status, again.text()), (first.status, first.text()));
            assert_eq!(again.header("location"), Some(&*format!("/batch/{id}")));
        }
        assert_ne!(post("K", &documented(&ends)).await.id(), id, "keys differ by case");
        assert_eq!(app.get("/batch").await.json().as_array().unwrap().len(), 2);

        let answer = post("k", &with(&documented(&ends), json!({ "priority": 1 }))).await;
        assert_eq!(answer.problem_codes(), (409, vec!["IDEMPOTENCY_CONFLICT idempotency_key".into()]));
        assert!(answer.problem().contains(&id), "it names the batch that was made: {}", answer.problem());
        assert_eq!(
            post("", &documented(&ends)).await.problem_codes(),
            (422, vec!["BLANK idempotency_key".into()])
        );
        let long = "k".repeat(256);
        assert_eq!(
            post(&long, &documented(&ends)).await.problem_codes(),
            (422, vec!["TOO_LONG idempotency_key".into()])
        );
        let accented = post("clé", &documented(&ends)).await.id();
        assert_eq!(post("clé", &documented(&ends)).await.id(), accented, "no key is overlooked");

        let (tenant, source, destination) = app.create_tenant_with_ends("acme").await;
        let elsewhere = with(&documented(&(source, destination)), json!({ "tenant_id": tenant }));
        assert_ne!(post("k", &elsewhere).await.id(), id, "each tenant has its own keys");
    }

    async fn a_problem_is_a_document_of_rfc_9457(app: TestApp) {
        let ends = app.create_ends().await;
        let mut body = documented(&ends);
        body["jobs"][1]["required_objects"]["load_result"] = json!(["nothing"]);
        let answer = app.post_batch(&body).await;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_snapshot!(answer.text(), @r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"no job of this batch loads \"nothing\"","code":"UNKNOWN_OBJECT","errors":[{"code":"UNKNOWN_OBJECT","message":"no job of this batch loads \"nothing\"","path":["jobs","1","required_objects","load_result","0"]}]}"#);
        let answer = post_raw(app, Some("application/json"), b"{").await;
        assert_snapshot!(answer.text(), @r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"the body is not JSON: EOF while parsing an object at line 1 column 1","code":"MALFORMED_JSON"}"#);
    }

    async fn what_is_no_json_is_refused(app: TestApp) {
        let bodies: [&[u8]; 6] = [b"", b"{", b"{'a': 1}", b"{} {}", b"\xff", b"{\"since\": 1e999}"];
        for body in bodies {
            let answer = post_raw(app, Some("application/json"), body).await;
            assert_eq!(
                answer.problem_codes(),
                (400, vec!["MALFORMED_JSON".into()]),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        for (body, found) in [("[]", "an array"), ("null", "null"), ("\"x\"", "a string"), ("7", "a number")]
        {
            let answer = post_raw(app, Some("application/json"), body.as_bytes()).await;
            let expected = format!(
                "400 WRONG_TYPE this must be a JSON object, not {found}\n  WRONG_TYPE : this must be a JSON object, not {found}"
            );
            assert_eq!(answer.problem(), expected);
        }
    }

    async fn only_json_is_read(app: TestApp) {
        let ends = app.create_ends().await;
        let body = documented(&ends).to_string();
        for media in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/json; charset=latin1"),
            Some("json"),
        ] {
            let answer = post_raw(app, media, body.as_bytes()).await;
            assert_snapshot!(answer.problem(), @"415 UNSUPPORTED_MEDIA_TYPE send the batch as application/json, in UTF-8");
        }
        for media in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "Application/JSON",
        ] {
            assert_eq!(post_raw(app, Some(media), body.as_bytes()).await.status.as_u16(), 201, "{media}");
        }
    }

    async fn a_body_that_is_too_long_is_refused(app: TestApp) {
        let ends = app.create_ends().await;
        let limit = 4 * 1024 * 1024;
        let mut body = documented(&ends).to_string();
        body.push_str(&" ".repeat(limit - body.len()));
        assert_eq!(post_raw(app, Some("application/json"), body.as_bytes()).await.status.as_u16(), 201);
        body.push(' ');
        let answer = post_raw(app, Some("application/json"), body.as_bytes()).await;
        assert_snapshot!(answer.problem(), @"413 BODY_TOO_LARGE the body is longer than 4194304 bytes");
    }

    async fn other_methods_and_paths_lead_nowhere(app: TestApp) {
        for path in ["/batch", "/batch/"] {
            for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
                let answer = app.send(method.clone(), path, &[], Vec::new()).await;
                assert_eq!(
                    answer.problem_codes(),
                    (405, vec!["METHOD_NOT_ALLOWED".into()]),
                    "{method} {path}"
                );
                assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
            }
        }
        let answer = app.send(Method::PATCH, "/batch/x", &[], Vec::new()).await;
        assert_snapshot!(answer.problem(), @"405 METHOD_NOT_ALLOWED PATCH does not work here; what does is GET, HEAD, PUT, DELETE");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, PUT, DELETE"));
        for path in ["/batches", "/batch/x/y", "/Batch"] {
            assert_eq!(app.get(path).await.problem_codes(), (404, vec!["NOT_FOUND".into()]), "{path}");
        }
    }

    async fn everything_that_has_not_the_shape_is_said_at_once(app: TestApp) {
        let body = json!({
            "destination_connection_id": null,
            "source_connection_id": 7,
            "priority": 1.5,
            "failure_policy": "explode",
            "updatedSince": "2010-01-01",
            "jobs": [
                "Account",
                { "object": "a" },
                { "type": null, "object": "a" },
                { "type": "LOAD", "object": ["a"], "allow_delete": "yes", "max_attempts": 3_000_000_000_u32 },
                { "type": "load" },
                { "type": "load", "object": "a", "grain": 1, "connection_id": {}, "required_objects": ["a"] },
                { "type": "load", "object": "a", "required_objects": { "extract": "a", "load": ["a", 1, null], "result": [] }, "color": "red" },
            ],
        });
        assert_snapshot!(app.post_batch(&body).await.problem(), @r#"
        400 WRONG_TYPE this must be a string, not a number (and 20 more, see `errors`)
          WRONG_TYPE source_connection_id: this must be a string, not a number
          MISSING destination_connection_id: this must be given: a string
          WRONG_TYPE priority: this must be a whole number of at most 32 bits, not a number
          INVALID_VALUE failure_policy: this must be continue or cancel_batch, not "explode"
          WRONG_TYPE jobs.0: this must be a JSON object, not a string
          MISSING jobs.1.type: this must be given: extract or load
          MISSING jobs.2.type: this must be given: extract or load
          INVALID_VALUE jobs.3.type: this must be extract or load, not "LOAD"
          WRONG_TYPE jobs.3.object: this must be a string, not an array
          WRONG_TYPE jobs.3.allow_delete: this must be true or false, not a string
          WRONG_TYPE jobs.3.max_attempts: this must be a whole number of at most 32 bits, not a number
          MISSING jobs.4.object: this must be given: a string
          WRONG_TYPE jobs.5.grain: this must be a string, not a number
          WRONG_TYPE jobs.5.connection_id: this must be a string, not an object
          WRONG_TYPE jobs.5.required_objects: this must be a JSON object, not an array
          WRONG_TYPE jobs.6.required_objects.extract: this must be an array, not a string
          WRONG_TYPE jobs.6.required_objects.load.1: this must be a string, not a number
          WRONG_TYPE jobs.6.required_objects.load.2: this must be a string, not null
          UNKNOWN_FIELD jobs.6.required_objects.result: there is no such field here
          UNKNOWN_FIELD jobs.6.color: there is no such field here
          UNKNOWN_FIELD updatedSince: there is no such field here
        "#);
        assert_eq!(
            app.post_batch(&json!({})).await.problem_codes().1,
            ["MISSING source_connection_id", "MISSING destination_connection_id"]
        );
        let ends = app.create_ends().await;
        let answer = app.post_batch(&with(&documented(&ends), json!({ "jobs": {} }))).await;
        assert_eq!(answer.problem_codes(), (400, vec!["WRONG_TYPE jobs".into()]));
    }

    async fn a_job_whose_type_is_null_is_not_left_out_silently(app: TestApp) {
        let ends = app.create_ends().await;
        let mut body = documented(&ends);
        body["jobs"][1]["type"] = Value::Null;
        assert_eq!(app.post_batch(&body).await.problem_codes(), (400, vec!["MISSING jobs.1.type".into()]));
    }

    async fn everything_that_can_not_be_is_said_at_once(app: TestApp) {
        let ends = app.create_ends().await;
        let archived = app.create_connection("archived").await;
        let archive = "mutation ($id: ID!) { archiveConnection(input: { id: $id }) { userErrors { code } } }";
        app.data(archive, json!({ "id": archived })).await;
        let body = json!({
            "source_connection_id": "source",
            "destination_connection_id": ends.1,
            "since": "soon",
            "updated_since": "2011-01-01",
            "priority": 1_001,
            "jobs": [
                { "type": "extract", "object": "a", "allow_delete": true, "connection_id": ends.0 },
                { "type": "extract", "object": "a", "connection_id": ends.0 },
                { "type": "load", "object": " ", "grain": "", "max_attempts": 0 },
                { "type": "load", "object": "b", "allow_delete": true, "required_objects": { "extract": ["a"], "load": ["nothing"] } },
                { "type": "load", "object": "c", "connection_id": archived, "required_objects": { "load_result": ["d"] } },
                { "type": "load", "object": "d", "connection_id": "batch_01h2xcejqtf2nbrexx3vqjhp41", "required_objects": { "load": ["c"] } },
                { "type": "load", "object": "x".repeat(256), "connection_id": "connection_01h2xcejqtf2nbrexx3vqjhp41" },
            ],
        });
        let (status, mut codes) = app.post_batch(&body).await.problem_codes();
        codes.sort();
        assert_eq!(status, 422);
        assert_snapshot!(codes.join("\n"), @r"
        BLANK jobs.2.grain
        BLANK jobs.2.object
        DEPENDENCY_CYCLE jobs.4.required_objects
        DUPLICATE_JOB jobs.1
        INVALID_ID source_connection_id
        INVALID_SINCE since
        INVALID_VALUE jobs.0.allow_delete
        NOT_FOUND jobs.6.connection_id
        OUT_OF_RANGE jobs.2.max_attempts
        OUT_OF_RANGE priority
        TOO_LONG jobs.6.object
        UNKNOWN_OBJECT jobs.3.required_objects.load.0
        UNSAFE_DELETE jobs.3.allow_delete
        WRONG_ID_KIND jobs.5.connection_id
        WRONG_STATE jobs.4.connection_id
        ");
        assert_eq!(app.get("/batch").await.text(), "[]");
    }

    async fn a_batch_without_jobs_is_refused(app: TestApp) {
        let ends = app.create_ends().await;
        let answer = app.post_batch(&with(&documented(&ends), json!({ "jobs": [] }))).await;
        assert_snapshot!(answer.problem(), @r"
        422 BLANK a batch needs at least one job
          BLANK jobs: a batch needs at least one job
        ");
        let mut body = documented(&ends);
        body.as_object_mut().unwrap().remove("jobs");
        assert_eq!(app.post_batch(&body).await.problem_codes(), (422, vec!["BLANK jobs".into()]));
    }

    async fn a_refused_replacement_leaves_the_batch_as_it_was(app: TestApp) {
        let ends = app.create_ends().await;
        let id = app.posted_batch(&documented(&ends)).await;
        let mut body = documented(&ends);
        body["jobs"][1]["required_objects"] = json!({ "load": ["accounts"] });
        let answer = app.put_batch(&id, &body).await;
        assert_snapshot!(answer.problem(), @r#"
        422 DEPENDENCY_CYCLE none of these jobs could ever start, since each requires the next: load "accounts" → load "accounts"
          DEPENDENCY_CYCLE jobs.1.required_objects: none of these jobs could ever start, since each requires the next: load "accounts" → load "accounts"
        "#);
        let answer = app.get_batch(&id).await;
        assert_eq!((answer.text(), answer.header("etag")), (documented_text(&id, &ends), Some("\"1\"")));
    }

    async fn a_batch_that_is_not_there_is_not_found(app: TestApp) {
        let ends = app.create_ends().await;
        let body = documented(&ends);
        let cases = [
            ("batch_01h2xcejqtf2nbrexx3vqjhp41", "NOT_FOUND id"),
            (&*ends.0, "WRONG_ID_KIND id"),
            ("51b4ac524c9bfd8f2d0a0002", "INVALID_ID id"),
            ("%00", "INVALID_ID id"),
            ("%FF", "INVALID_ID id"),
            ("batch_%C3%A9", "INVALID_ID id"),
        ];
        for (id, code) in cases {
            for answer in
                [app.get_batch(id).await, app.put_batch(id, &body).await, delete(app, id, &[]).await]
            {
                assert_eq!(answer.problem_codes(), (404, vec![code.into()]), "{id}");
            }
        }
    }

    async fn a_batch_that_runs_can_be_neither_replaced_nor_deleted(app: TestApp) {
        let ends = app.create_ends().await;
        let id = app.posted_batch(&documented(&ends)).await;
        for sql in SHOWS_THAT_IT_RUNS {
            app.db_execute(sql).await;
        }
        assert_snapshot!(app.put_batch(&id, &documented(&ends)).await.problem(), @r"
        409 WRONG_STATE this batch is running; only one of which nothing has started can be replaced
          WRONG_STATE id: this batch is running; only one of which nothing has started can be replaced
        ");
        assert_snapshot!(delete(app, &id, &[]).await.problem(), @r"
        409 WRONG_STATE this batch is running; cancel it first
          WRONG_STATE id: this batch is running; cancel it first
        ");
        app.db_execute("UPDATE batches SET status = 'canceling'").await;
        assert_eq!(app.put_batch(&id, &documented(&ends)).await.status.as_u16(), 409);
        assert_eq!(delete(app, &id, &[]).await.status.as_u16(), 409);
        let answer = app.get_batch(&id).await;
        assert_eq!((answer.text(), answer.header("etag")), (documented_text(&id, &ends), Some("\"2\"")));
    }

    async fn a_batch_that_has_ended_can_be_deleted_but_not_replaced(app: TestApp) {
        let ends = app.create_ends().await;
        for status in ["succeeded", "failed", "canceled"] {
            let id = app.posted_batch(&documented(&ends)).await;
            app.db_execute(&format!(
                "UPDATE batches SET status = '{status}', started_at = created_at, finished_at = created_at"
            ))
            .await;
            app.db_execute(&format!(
                "UPDATE jobs SET status = '{status}', unsatisfied = 0, started_at = created_at, finished_at = created_at, attempt = 1, last_attempt = 1"
            )).await;
            assert_eq!(
                app.put_batch(&id, &documented(&ends)).await.problem_codes(),
                (409, vec!["WRONG_STATE id".into()])
            );
            let answer = delete(app, &id, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, documented_text(&id, &ends)));
            assert_eq!(app.get_batch(&id).await.status.as_u16(), 404);
        }
    }

    async fn control_characters_are_refused_at_their_place(app: TestApp) {
        let ends = app.create_ends().await;
        let mut body = documented(&ends);
        body["jobs"][0]["object"] = json!("Acc\u{0}ount");
        body["jobs"][0]["grain"] = json!("\u{0}");
        body["jobs"][1]["required_objects"]["extract"] = json!(["Acc\u{0}ount"]);
        let answer = app.post_batch(&body).await;
        let expected = [
            "INVALID_CHARACTER jobs.0.object",
            "INVALID_CHARACTER jobs.0.grain",
            "INVALID_CHARACTER jobs.1.required_objects.extract.0",
        ];
        assert_eq!(answer.problem_codes(), (422, expected.map(str::to_owned).to_vec()));
        let body = with(&documented(&ends), json!({ "tenant_id": "\u{0}", "source_connection_id": "\u{0}" }));
        let expected = ["INVALID_ID tenant_id", "INVALID_ID source_connection_id"].map(str::to_owned);
        assert_eq!(app.post_batch(&body).await.problem_codes(), (422, expected.to_vec()));
        let unknown = with(&documented(&ends), json!({ "a\u{0}b": 1 }));
        assert_eq!(
            app.post_batch(&unknown).await.problem_codes(),
            (400, vec!["UNKNOWN_FIELD a\u{0}b".into()])
        );
    }
}
