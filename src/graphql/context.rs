//! What a resolver finds beside its own object.

use std::sync::Arc;

use async_graphql::{Context, dataloader::DataLoader};

use super::loaders::Loaders;
use crate::services::Services;

/// Shortcuts to what [`super::schema`] put into the context.
pub trait ContextExt {
    /// The use cases.
    fn services(&self) -> &Services;
    /// The loaders of this request.
    fn loaders(&self) -> &DataLoader<Loaders>;
}

impl ContextExt for Context<'_> {
    fn services(&self) -> &Services {
        self.data_unchecked::<Arc<Services>>()
    }

    fn loaders(&self) -> &DataLoader<Loaders> {
        self.data_unchecked::<DataLoader<Loaders>>()
    }
}
