//! Another process that deletes what has been kept long enough, as `sluice prune` does.

use std::sync::Arc;

use sluice::{
    clock::Clock,
    domain::{
        access::Openness,
        draft::BatchLimits,
        problem::At,
        retention::{Keep, Pruned, Retention},
    },
    services::{Services, Settings},
};

use super::{TestApp, statements::Statements};

pub struct Pruner {
    pub statements: Statements,
    services: Services,
    clock: Clock,
}

/// Keeps batches and events for so long: `1d`, or for good where the text is empty.
pub fn kept(finished: &str, events: &str) -> Retention {
    let keep = |text: &str| (!text.is_empty()).then(|| Keep::parse(text, &At::Root).unwrap());
    Retention { finished: keep(finished), events: keep(events) }
}

impl TestApp {
    pub async fn pruner(&self) -> Pruner {
        let (store, statements, clock) = self.db_of_another().await;
        let limits = BatchLimits { jobs: 0, dependencies: 0 };
        let settings = Settings {
            graph_cache: 0,
            limits,
            openness: Openness::ToNobody,
            issuer: None,
            keyring: None,
            metrics: Arc::default(),
        };
        Pruner { statements, services: Services::new(store, clock.clone(), settings), clock }
    }
}

impl Pruner {
    /// One transaction's worth.
    pub async fn step(&self, retention: Retention) -> Option<Pruned> {
        self.services.prune_step(&retention.cuts(self.clock.now())).await.unwrap()
    }

    /// All that there is to do.
    pub async fn run(&self, retention: Retention) -> Pruned {
        self.services.prune(&retention.cuts(self.clock.now()), |_| {}).await.unwrap()
    }

    /// What that would be.
    pub async fn dry_run(&self, retention: Retention) -> Pruned {
        self.services.would_prune(&retention.cuts(self.clock.now())).await.unwrap()
    }
}
