//! What a resolver finds beside its own object.

use std::{future::ready, hash::Hash, pin::Pin, sync::Arc};

use async_graphql::{
    Context, Result,
    dataloader::{DataLoader, Loader},
    parser::types::Selection,
};

use super::{
    error::{forbidden, loader_error},
    loaders::Loaders,
    timed::Work,
};
use crate::{
    domain::access::Caller,
    services::{self, Services},
};

/// A field that waits. In a box of its own, since the fields of an object share one type of future,
/// which is as large as the largest of them: thousands of small ones would pay for it.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Shortcuts to what [`super::schema`] put into the context.
pub trait ContextExt {
    /// The use cases.
    fn services(&self) -> &Services;

    /// Who asks.
    fn caller(&self) -> &Caller;

    /// What tells how long a result of the subscription takes.
    fn work(&self) -> &Work;

    /// What has this key, together with whatever else is asked for in the same moment.
    fn load<K>(&self, key: K) -> Waiting<'_, Result<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Arc<services::Error>>;

    /// The same for who begins with a key of its own, and must be one who may read.
    fn look_up<K>(&self, key: K) -> Waiting<'_, Result<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Arc<services::Error>>,
    {
        match self.caller().may_read() {
            Ok(_) => self.load(key),
            Err(error) => Box::pin(ready(Err(forbidden(error)))),
        }
    }

    /// The same for a field that asks for one key only. Where it is all that a request wants, it waits for no others to
    /// ask.
    fn look_up_one<K>(&self, key: K) -> Waiting<'_, Result<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Arc<services::Error>>;
}

impl ContextExt for Context<'_> {
    fn caller(&self) -> &Caller {
        self.data_unchecked::<Arc<Caller>>()
    }

    fn services(&self) -> &Services {
        self.data_unchecked::<Arc<Services>>()
    }

    fn work(&self) -> &Work {
        self.data_unchecked::<Work>()
    }

    fn load<K>(&self, key: K) -> Waiting<'_, Result<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Arc<services::Error>>,
    {
        let loaders = self.data_unchecked::<DataLoader<Loaders>>();
        Box::pin(async move { loaders.load_one(key).await.map_err(loader_error) })
    }

    fn look_up_one<K>(&self, key: K) -> Waiting<'_, Result<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Arc<services::Error>>,
    {
        // `query_env` is not documented by async-graphql, which is pinned.
        let wanted = &self.query_env.operation.node.selection_set.node.items;
        match wanted.as_slice() {
            [only] if matches!(only.node, Selection::Field(_)) && self.caller().may_read().is_ok() => {
                let loaders = self.data_unchecked::<DataLoader<Loaders>>().loader();
                Box::pin(async move {
                    let found = loaders.load(std::slice::from_ref(&key)).await;
                    found.map(|mut found| found.remove(&key)).map_err(loader_error)
                })
            }
            _ => self.look_up(key),
        }
    }
}
