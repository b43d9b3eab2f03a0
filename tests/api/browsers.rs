//! Pages of other hosts, in a browser.

use serde_json::json;
use sluice::config::Config;

use crate::support::{Answer, Method, StatusCode, TestApp, on_both};

const FRIEND: &str = "https://app.example";
const STRANGER: &str = "https://evil.example";

fn with_a_friend(config: &mut Config) {
    config.origins = vec![FRIEND.parse().unwrap()];
}

/// What a browser asks before it sends what a page wants to send.
async fn preflight(app: &TestApp, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    app.send(Method::OPTIONS, "/graphql", &headers, Vec::new()).await
}

async fn ask(app: &TestApp, origin: &str) -> Answer {
    let body = json!({ "query": "{ viewer { role } }" });
    app.send_json(Method::POST, "/graphql", &[("origin", origin)], &body).await
}

async fn opens_a_socket(app: &TestApp, origin: &str) -> bool {
    let headers = [("origin", origin), ("sec-websocket-protocol", "graphql-transport-ws")];
    app.try_socket(&headers).await.is_ok()
}

on_both! {
    async fn no_page_of_another_host_is_served_unless_it_is_named(app: TestApp) {
        let refused = preflight(app, FRIEND, "POST").await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
        for answer in [refused, ask(app, FRIEND).await] {
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        assert!(!opens_a_socket(app, FRIEND).await);
    }

    async fn every_answer_says_what_it_is_and_stays_it(app: TestApp) {
        let json = &json!({ "query": "{ nothing }" });
        for answer in [
            ask(app, FRIEND).await,
            app.send_json(Method::POST, "/graphql", &[], json).await,
            app.send_json(Method::POST, "/graphql", &[("authorization", "Bearer x")], json).await,
            app.send(Method::POST, "/graphql", &[], Vec::new()).await,
            app.send_json(Method::POST, "/batch", &[], json).await,
            app.send_json(Method::POST, "/nothing", &[], json).await,
        ] {
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.text());
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.text());
        }
        for path in ["/", "/graphql", "/graphiql", "/graphiql/nothing", "/batch", "/batch/x", "/health", "/metrics", "/schema.graphql", "/nothing"] {
            let answer = app.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_ne!(answer.header("cache-control"), Some("no-store"), "{path}");
        }
    }

    async fn the_page_runs_its_own_scripts_and_stands_in_no_frame(app: TestApp) {
        let page = app.get("/graphiql").await;
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        let policy = page.header("content-security-policy").unwrap();
        for said in ["default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.split("; ").any(|directive| directive == said), "{said}: {policy}");
        }
        assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src"), "{policy}");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
    }

    async fn a_page_that_is_named_may_use_all_of_the_api(app: TestApp) with with_a_friend {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let allowed = preflight(app, FRIEND, method).await;
            assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.text());
            assert_eq!(allowed.header("access-control-allow-origin"), Some(FRIEND));
            assert_eq!(allowed.header("access-control-allow-credentials"), None);
            let headers = allowed.header("access-control-allow-headers").unwrap().to_lowercase();
            assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        }
        let answer = ask(app, FRIEND).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin"), Some(FRIEND));
        assert!(opens_a_socket(app, FRIEND).await);
        assert!(opens_a_socket(app, &FRIEND.to_uppercase()).await);

        assert_eq!(preflight(app, STRANGER, "POST").await.header("access-control-allow-origin"), None);
        assert_eq!(ask(app, STRANGER).await.header("access-control-allow-origin"), None);
        assert!(!opens_a_socket(app, STRANGER).await);
        let own = format!("http://{}", app.address);
        assert_eq!(ask(app, &own).await.status, StatusCode::OK, "its own pages send their origin, too");
    }
}
