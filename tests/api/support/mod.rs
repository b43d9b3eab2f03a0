//! What the tests stand on: a real server, a database of its own, and verbs of the domain.

mod app;
mod database;
mod statements;

pub use app::{Answer, TestApp, problems, text, without_ids};
pub use database::Engine;
pub use reqwest::{Method, StatusCode};

/// Runs a test on both databases, each time on a server and a database of its own:
/// `on_both! { async fn it_does_something(app: TestApp) { … } }`
macro_rules! on_both {
    ($(async fn $name:ident($app:ident: TestApp) $body:block)*) => { $(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn test($app: &$crate::support::TestApp) $body

            #[actix_web::test]
            async fn sqlite() {
                $crate::support::TestApp::run($crate::support::Engine::Sqlite, async |app| test(app).await).await;
            }

            #[actix_web::test]
            async fn postgres() {
                $crate::support::TestApp::run($crate::support::Engine::Postgres, async |app| test(app).await).await;
            }
        }
    )* };
}
pub(crate) use on_both;
