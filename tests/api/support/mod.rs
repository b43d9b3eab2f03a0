//! What the tests stand on: a real server, a database of its own, and verbs of the domain.

mod app;
mod database;
mod rest;
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

            #[test]
            fn sqlite() {
                let run = $crate::support::TestApp::run($crate::support::Engine::Sqlite, async |app| test(app).await);
                // One inline snapshot serves both.
                insta::allow_duplicates! { actix_web::rt::System::new().block_on(run) }
            }

            #[test]
            fn postgres() {
                let run = $crate::support::TestApp::run($crate::support::Engine::Postgres, async |app| test(app).await);
                // One inline snapshot serves both.
                insta::allow_duplicates! { actix_web::rt::System::new().block_on(run) }
            }
        }
    )* };
}
pub(crate) use on_both;
