//! What the tests stand on: a real server, a database of its own, and verbs of the domain.

mod actor;
mod app;
mod database;
#[path = "../../common/dice.rs"]
mod dice;
mod meaning;
mod operations;
mod pruner;
mod rest;
mod socket;
mod spoil;
mod statements;
mod stream;

pub use actor::Actor;
pub use app::{Answer, TestApp, generous, problems, text, without_ids};
pub use database::Engine;
pub use dice::Dice;
use futures_util::future::LocalBoxFuture;
pub use meaning::{all_graphs_are_right, everything, meaning};
pub use operations::Operations;
pub use pruner::kept;
pub use reqwest::{Method, StatusCode};
use sluice::config::Config;
pub use socket::Socket;
pub use spoil::{spoil_bytes, spoil_value};
pub use stream::{Event, EventStream};

/// The body of a test. In a box, so that what runs tests is compiled once and not once for each.
pub type Test = for<'a> fn(&'a TestApp) -> LocalBoxFuture<'a, ()>;

/// Runs a test on one database.
pub fn run(engine: Engine, configure: fn(&mut Config), test: Test) {
    let run = TestApp::run(engine, configure, test);
    // One inline snapshot serves both.
    insta::allow_duplicates! { actix_web::rt::System::new().block_on(run) }
}

/// Runs a test on both databases, each time on a server and a database of its own:
/// `on_both! { async fn it_does_something(app: TestApp) { … } }`. What is not as usual about the server's
/// config is said by `with`: `async fn it_is_impatient(app: TestApp) with impatient { … }`.
macro_rules! on_both {
    ($(async fn $name:ident($app:ident: TestApp) $(with $configure:ident)? $body:block)*) => { $(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn test($app: &$crate::support::TestApp) -> futures_util::future::LocalBoxFuture<'_, ()> {
                Box::pin(async move { $body })
            }

            #[allow(unused_mut, unused_assignments)]
            fn run(engine: $crate::support::Engine) {
                let mut configure: fn(&mut sluice::config::Config) = |_| {};
                $(configure = $configure;)?
                $crate::support::run(engine, configure, test);
            }

            #[test]
            fn sqlite() {
                run($crate::support::Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                run($crate::support::Engine::Postgres);
            }
        }
    )* };
}
pub(crate) use on_both;
