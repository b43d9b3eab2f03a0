//! Lists, page by page: nothing is missed, nothing comes twice.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{TestApp, on_both, text};

/// Every order that batches can have.
const ORDERS: [(&str, &str); 6] = [
    ("CREATED_AT", "ASC"),
    ("CREATED_AT", "DESC"),
    ("UPDATED_AT", "ASC"),
    ("UPDATED_AT", "DESC"),
    ("PRIORITY", "ASC"),
    ("PRIORITY", "DESC"),
];

/// A list that can be walked.
struct List {
    field: &'static str,
    /// The types of the arguments beside those of a page, and their values.
    declared: &'static str,
    passed: &'static str,
    variables: Value,
}

impl List {
    fn plain(field: &'static str) -> Self {
        Self { field, declared: "", passed: "", variables: json!({}) }
    }

    fn batches((field, direction): (&str, &str)) -> Self {
        let order = json!({ "field": field, "direction": direction });
        Self {
            field: "batches",
            declared: "$orderBy: BatchOrder, $filter: BatchFilter",
            passed: "orderBy: $orderBy, filter: $filter",
            variables: json!({ "orderBy": order }),
        }
    }

    fn jobs(direction: &str) -> Self {
        Self {
            field: "jobs",
            declared: "$orderBy: JobOrder, $filter: JobFilter",
            passed: "orderBy: $orderBy, filter: $filter",
            variables: json!({ "orderBy": { "field": "CREATED_AT", "direction": direction } }),
        }
    }

    fn with(mut self, filter: Value) -> Self {
        self.variables["filter"] = filter;
        self
    }

    /// The whole response to a request for a page.
    async fn ask(&self, app: &TestApp, page: Value) -> Value {
        let Self { field, declared, passed, variables } = self;
        let query = format!(
            "query ($first: Int, $after: String, $last: Int, $before: String, {declared}) {{
                {field}(first: $first, after: $after, last: $last, before: $before, {passed}) {{
                    nodes {{ id }} edges {{ cursor node {{ id }} }} totalCount
                    pageInfo {{ hasPreviousPage hasNextPage startCursor endCursor }} }} }}"
        );
        let mut variables = variables.clone();
        variables.as_object_mut().unwrap().extend(page.as_object().unwrap().clone());
        app.graphql(&query, variables).await
    }

    /// A page that must be given.
    async fn page(&self, app: &TestApp, page: Value) -> Page {
        let response = self.ask(app, page).await;
        assert_eq!(response.get("errors"), None);
        let list = &response["data"][self.field];
        let edges = list["edges"].as_array().unwrap();
        let info = list["pageInfo"].clone();
        let nodes: Value = edges.iter().map(|edge| edge["node"].clone()).collect();
        assert_eq!(list["nodes"], nodes);
        let ends =
            [edges.first(), edges.last()].map(|edge| edge.map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert_eq!([&info["startCursor"], &info["endCursor"]], ends.each_ref());
        Page {
            ids: edges.iter().map(|edge| text(&edge["node"]["id"])).collect(),
            cursors: edges.iter().map(|edge| text(&edge["cursor"])).collect(),
            has_previous: info["hasPreviousPage"].as_bool().unwrap(),
            has_next: info["hasNextPage"].as_bool().unwrap(),
            total: list["totalCount"].as_u64().unwrap() as usize,
        }
    }

    /// The code of the refusal of a page.
    async fn refusal(&self, app: &TestApp, page: Value) -> String {
        let response = self.ask(app, page).await;
        assert_eq!(response["data"], Value::Null);
        let [error] = response["errors"].as_array().unwrap().as_slice() else { panic!("{response}") };
        let problem = &error["extensions"]["problems"][0];
        assert_eq!(error["extensions"]["code"], problem["code"]);
        format!("{} {}", text(&problem["code"]), text(&problem["field"][0]))
    }

    /// All ids, page by page from one end; `between` happens after every page.
    async fn walk(&self, app: &TestApp, step: usize, end: End, between: impl AsyncFn()) -> Vec<String> {
        let mut walked: Vec<String> = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = match end {
                End::Start => self.page(app, json!({ "first": step, "after": cursor })).await,
                End::Finish => self.page(app, json!({ "last": step, "before": cursor })).await,
            };
            let (next, more) = match end {
                End::Start => (page.cursors.last(), page.has_next),
                End::Finish => (page.cursors.first(), page.has_previous),
            };
            cursor = json!(next);
            match end {
                End::Start => walked.extend(page.ids),
                End::Finish => walked.extend(page.ids.into_iter().rev()),
            }
            if !more {
                return walked;
            }
            between().await;
        }
    }

    async fn all(&self, app: &TestApp) -> Vec<String> {
        self.page(app, json!({ "first": 100 })).await.ids
    }
}

#[derive(Clone, Copy)]
enum End {
    Start,
    Finish,
}

struct Page {
    ids: Vec<String>,
    cursors: Vec<String>,
    has_previous: bool,
    has_next: bool,
    total: usize,
}

async fn make_batch(app: &TestApp, (source, destination): &(String, String), priority: i32) -> String {
    let input = json!({
        "sourceConnectionId": source,
        "destinationConnectionId": destination,
        "priority": priority,
        "jobs": [{ "type": "EXTRACT", "object": "a" }, { "type": "LOAD", "object": "a" }],
    });
    text(&app.done("createBatch", "batch { id }", input).await["batch"]["id"])
}

/// Batches with equal and different priorities and times; some are made at the same moment.
async fn make_batches(app: &TestApp, ends: &(String, String), count: i32) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        if number % 3 == 0 {
            app.advance(60);
        }
        ids.push(make_batch(app, ends, [5, -3, 5, 0, 1000, -1000][number as usize % 6]).await);
    }
    ids
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// The ids of all batches, sorted here, by what they show.
async fn sorted_here(app: &TestApp, (field, direction): (&str, &str)) -> Vec<String> {
    let data = app.data("{ batches(first: 100) { nodes { id priority updatedAt } } }", json!({})).await;
    let mut rows = data["batches"]["nodes"].as_array().unwrap().clone();
    // Ids rise as batches are made.
    rows.sort_by_key(|row| {
        let time = if field == "UPDATED_AT" { text(&row["updatedAt"]) } else { String::new() };
        let priority = if field == "PRIORITY" { row["priority"].as_i64() } else { None };
        (time, priority, text(&row["id"]))
    });
    if direction == "DESC" {
        rows.reverse();
    }
    rows.iter().map(|row| text(&row["id"])).collect()
}

on_both! {
    async fn every_page_is_a_cut_of_the_sorted_list(app: TestApp) {
        let ends = app.create_ends().await;
        make_batches(app, &ends, 17).await;
        let mut numbers = Numbers(7);
        for order in ORDERS {
            let list = List::batches(order);
            let sorted = sorted_here(app, order).await;
            let cursors = list.page(app, json!({ "first": 100 })).await.cursors;
            for _ in 0..20 {
                let size = numbers.below(sorted.len() + 3);
                let after = (numbers.below(2) == 0).then(|| numbers.below(sorted.len()));
                let before = (numbers.below(2) == 0).then(|| numbers.below(sorted.len()));
                let from_start = numbers.below(2) == 0;
                let within = after.map_or(0, |after| after + 1)..before.unwrap_or(sorted.len());
                let within = sorted.get(within).unwrap_or_default();
                let cut = size.min(within.len());
                let expected = if from_start { &within[..cut] } else { &within[within.len() - cut..] };
                let page = list.page(app, json!({
                    if from_start { "first" } else { "last" }: size,
                    "after": after.map(|after| &cursors[after]),
                    "before": before.map(|before| &cursors[before]),
                })).await;
                let what = format!("{order:?} {size} {after:?} {before:?} {from_start}");
                assert_eq!(page.ids, expected, "{what}");
                assert_eq!(page.total, sorted.len(), "{what}");
                let more = within.len() > cut;
                assert_eq!(page.has_next, before.is_some() || (from_start && more), "{what}");
                assert_eq!(page.has_previous, after.is_some() || (!from_start && more), "{what}");
            }
        }
    }

    async fn batches_are_walked_from_both_ends_while_others_are_added(app: TestApp) {
        let ends = app.create_ends().await;
        make_batches(app, &ends, 11).await;
        for order in ORDERS {
            for end in [End::Start, End::Finish] {
                let list = List::batches(order);
                let mut there = list.all(app).await;
                if let End::Finish = end {
                    there.reverse();
                }
                let walked = list.walk(app, 3, end, async || {
                    app.advance(1);
                    make_batches(app, &ends, 1).await;
                }).await;
                let once: HashSet<&String> = walked.iter().collect();
                assert_eq!(once.len(), walked.len(), "{order:?}: nothing comes twice");
                let old: Vec<String> = walked.iter().filter(|id| there.contains(id)).cloned().collect();
                assert_eq!(old, there, "{order:?}: nothing that was there is missed");
                for id in walked.iter().filter(|id| !there.contains(id)) {
                    app.done("deleteBatch", "", json!({ "id": id })).await;
                }
            }
        }
    }

    async fn tenants_connections_and_jobs_are_walked_while_others_are_added(app: TestApp) {
        let ends = app.create_ends().await;
        for number in 0..7 {
            app.create_tenant(&format!("tenant {number}")).await;
            app.create_connection(&format!("connection {number}")).await;
            make_batch(app, &ends, 0).await;
        }
        let lists = [List::plain("tenants"), List::plain("connections"), List::jobs("ASC"), List::jobs("DESC")];
        let added = std::cell::Cell::new(0);
        for list in lists {
            for end in [End::Start, End::Finish] {
                let mut there = list.all(app).await;
                if let End::Finish = end {
                    there.reverse();
                }
                let walked = list.walk(app, 5, end, async || {
                    // A list that grows at the end that is walked to would never end.
                    if added.get() % 4 == 0 {
                        app.create_tenant(&format!("new {}", added.get())).await;
                        app.create_connection(&format!("new {}", added.get())).await;
                        make_batch(app, &ends, 0).await;
                    }
                    added.set(added.get() + 1);
                }).await;
                let once: HashSet<&String> = walked.iter().collect();
                assert_eq!(once.len(), walked.len(), "{}: nothing comes twice", list.field);
                let old: Vec<String> = walked.iter().filter(|id| there.contains(id)).cloned().collect();
                assert_eq!(old, there, "{}: nothing that was there is missed", list.field);
            }
        }
    }

    async fn a_page_has_twenty_rows_where_nobody_says_otherwise(app: TestApp) {
        let ends = app.create_ends().await;
        make_batches(app, &ends, 22).await;
        let page = List::batches(ORDERS[1]).page(app, json!({})).await;
        assert_eq!((page.ids.len(), page.has_previous, page.has_next, page.total), (20, false, true, 22));
        let newest_first = sorted_here(app, ("CREATED_AT", "DESC")).await;
        let data = app.data("{ batches { nodes { id } } }", json!({})).await;
        let ids: Vec<String> = data["batches"]["nodes"].as_array().unwrap().iter().map(|node| text(&node["id"])).collect();
        assert_eq!(ids, newest_first[..20]);
    }

    async fn a_page_of_nothing_still_says_whether_there_is_more(app: TestApp) {
        let ends = app.create_ends().await;
        let list = List::batches(ORDERS[0]);
        let page = list.page(app, json!({ "first": 0 })).await;
        assert_eq!((page.ids.len(), page.has_previous, page.has_next, page.total), (0, false, false, 0));
        make_batch(app, &ends, 0).await;
        let page = list.page(app, json!({ "first": 0 })).await;
        assert_eq!((page.ids.len(), page.has_previous, page.has_next, page.total), (0, false, true, 1));
        let page = list.page(app, json!({ "last": 0 })).await;
        assert_eq!((page.ids.len(), page.has_previous, page.has_next, page.total), (0, true, false, 1));
    }

    async fn what_is_no_request_for_a_page_is_refused(app: TestApp) {
        let lists = [List::plain("tenants"), List::plain("connections"), List::batches(ORDERS[4]), List::jobs("ASC")];
        for list in lists {
            for (page, refusal) in [
                (json!({ "first": -1 }), "OUT_OF_RANGE first"),
                (json!({ "first": 101 }), "OUT_OF_RANGE first"),
                (json!({ "last": -1 }), "OUT_OF_RANGE last"),
                (json!({ "last": 101 }), "OUT_OF_RANGE last"),
                (json!({ "first": 1, "last": 1 }), "INVALID_VALUE last"),
                (json!({ "after": "" }), "INVALID_VALUE after"),
                (json!({ "after": "garbage" }), "INVALID_VALUE after"),
                (json!({ "before": "\0" }), "INVALID_VALUE before"),
                (json!({ "before": "YmF0Y2hlcy5jcmVhdGVkLmFzYy8vMA" }), "INVALID_VALUE before"),
            ] {
                assert_eq!(list.refusal(app, page.clone()).await, refusal, "{} {page}", list.field);
            }
        }
    }

    async fn a_cursor_is_for_its_own_list_and_order_only(app: TestApp) {
        let ends = app.create_ends().await;
        make_batch(app, &ends, 0).await;
        let mut lists: Vec<List> = ORDERS.into_iter().map(List::batches).collect();
        lists.extend([List::plain("tenants"), List::plain("connections"), List::jobs("ASC"), List::jobs("DESC")]);
        let mut cursors = Vec::new();
        for list in &lists {
            cursors.push(list.page(app, json!({ "first": 1 })).await.cursors.remove(0));
        }
        for (own, list) in lists.iter().enumerate() {
            for (other, cursor) in cursors.iter().enumerate() {
                if own == other {
                    list.page(app, json!({ "after": cursor })).await;
                } else {
                    assert_eq!(list.refusal(app, json!({ "after": cursor })).await, "INVALID_VALUE after");
                    assert_eq!(list.refusal(app, json!({ "before": cursor })).await, "INVALID_VALUE before");
                }
            }
        }
    }

    async fn a_cursor_outlives_its_row(app: TestApp) {
        let ends = app.create_ends().await;
        let ids = make_batches(app, &ends, 5).await;
        let list = List::batches(("PRIORITY", "DESC"));
        let page = list.page(app, json!({ "first": 100 })).await;
        let doomed = page.ids.iter().position(|id| *id == ids[2]).unwrap();
        app.done("deleteBatch", "", json!({ "id": ids[2] })).await;
        let after = list.page(app, json!({ "first": 100, "after": page.cursors[doomed] })).await;
        assert_eq!(after.ids, page.ids[doomed + 1..]);
        let before = list.page(app, json!({ "last": 100, "before": page.cursors[doomed] })).await;
        assert_eq!(before.ids, page.ids[..doomed]);
    }

    async fn batches_are_filtered_by_status_tenant_and_connections(app: TestApp) {
        let ends = app.create_ends().await;
        let (source, destination) = ends.clone();
        let tenant = app.create_tenant("acme").await;
        let theirs = app.create_connection_of(&tenant, "theirs").await;
        let forth = make_batch(app, &ends, 0).await;
        let back = make_batch(app, &(destination.clone(), source.clone()), 0).await;
        let input = json!({
            "tenantId": tenant,
            "sourceConnectionId": theirs,
            "destinationConnectionId": theirs,
            "jobs": [{ "type": "EXTRACT", "object": "a" }],
        });
        let other = text(&app.done("createBatch", "batch { id }", input).await["batch"]["id"]);
        app.db_execute("UPDATE batches SET status = 'running', started_at = created_at WHERE source_connection_id = destination_connection_id").await;

        let oldest_first = |filter: Value| List::batches(ORDERS[0]).with(filter);
        for (filter, expected) in [
            (json!({}), vec![&forth, &back, &other]),
            (json!({ "tenantId": tenant }), vec![&other]),
            (json!({ "statuses": ["PENDING"] }), vec![&forth, &back]),
            (json!({ "statuses": ["RUNNING", "FAILED"] }), vec![&other]),
            (json!({ "statuses": [] }), vec![&forth, &back, &other]),
            (json!({ "statuses": ["RUNNING"], "sourceConnectionId": source }), vec![]),
            (json!({ "sourceConnectionId": source }), vec![&forth]),
            (json!({ "destinationConnectionId": source }), vec![&back]),
            (json!({ "connectionId": source }), vec![&forth, &back]),
            (json!({ "connectionId": source, "tenantId": tenant }), vec![]),
        ] {
            let page = oldest_first(filter.clone()).page(app, json!({ "first": 100 })).await;
            assert_eq!(page.ids.iter().collect::<Vec<_>>(), expected, "{filter}");
            assert_eq!(page.total, expected.len(), "{filter}");
        }
        let walked = oldest_first(json!({ "connectionId": source })).walk(app, 1, End::Start, async || {}).await;
        assert_eq!(walked, [forth, back]);
    }

    async fn jobs_are_filtered_by_batch_tenant_connection_status_type_and_object(app: TestApp) {
        let ends = app.create_ends().await;
        let tenant = app.create_tenant("acme").await;
        let first = make_batch(app, &ends, 0).await;
        make_batch(app, &ends, 0).await;
        for (filter, expected) in [
            (json!({}), 4),
            (json!({ "batchId": first }), 2),
            (json!({ "tenantId": tenant }), 0),
            (json!({ "connectionId": ends.0 }), 2),
            (json!({ "statuses": ["READY"] }), 4),
            (json!({ "statuses": ["BLOCKED", "FAILED"] }), 0),
            (json!({ "type": "LOAD" }), 2),
            (json!({ "object": "a" }), 4),
            (json!({ "object": "b" }), 0),
            (json!({ "batchId": first, "type": "LOAD", "connectionId": ends.0 }), 0),
            (json!({ "batchId": first, "type": "LOAD", "connectionId": ends.1 }), 1),
        ] {
            let page = List::jobs("ASC").with(filter.clone()).page(app, json!({ "first": 100 })).await;
            assert_eq!((page.ids.len(), page.total), (expected, expected), "{filter}");
        }
    }

    async fn the_lists_of_a_tenant_and_of_a_connection_have_their_own_only(app: TestApp) {
        let ends = app.create_ends().await;
        let tenant = app.create_tenant("acme").await;
        let theirs = app.create_connection_of(&tenant, "theirs").await;
        let input = json!({
            "tenantId": tenant,
            "sourceConnectionId": theirs,
            "destinationConnectionId": theirs,
            "jobs": [{ "type": "EXTRACT", "object": "a" }],
        });
        let batch = app.done("createBatch", "batch { id }", input).await["batch"].take();
        let ours = make_batches(app, &ends, 3).await;

        let query = "query ($tenant: ID!, $connection: ID!) {
            tenant(id: $tenant) { connections { totalCount nodes { id } } batches { totalCount nodes { id jobs { object } } } }
            connection(id: $connection) { batches(first: 2, orderBy: { field: CREATED_AT, direction: ASC }) {
                totalCount nodes { id } pageInfo { hasNextPage } } } }";
        let data = app.data(query, json!({ "tenant": tenant, "connection": ends.1 })).await;
        assert_eq!(data, json!({
            "tenant": {
                "connections": { "totalCount": 1, "nodes": [{ "id": theirs }] },
                "batches": { "totalCount": 1, "nodes": [{ "id": batch["id"], "jobs": [{ "object": "a" }] }] },
            },
            "connection": { "batches": {
                "totalCount": 3,
                "nodes": [{ "id": ours[0] }, { "id": ours[1] }],
                "pageInfo": { "hasNextPage": true },
            } },
        }));

        for (query, id, problem) in [
            ("query ($id: ID!) { tenant(id: $id) { batches(filter: { tenantId: $id }) { totalCount } } }", &tenant, "tenantId"),
            ("query ($id: ID!) { tenant(id: $id) { connections(filter: { tenantId: $id }) { totalCount } } }", &tenant, "tenantId"),
            ("query ($id: ID!) { connection(id: $id) { batches(filter: { connectionId: $id }) { totalCount } } }", &ends.0, "connectionId"),
        ] {
            let refused = app.graphql(query, json!({ "id": id })).await;
            let extensions = &refused["errors"][0]["extensions"];
            assert_eq!(extensions["code"], "INVALID_VALUE", "{refused}");
            assert_eq!(extensions["problems"][0]["field"], json!(["filter", problem]));
        }
    }
}
