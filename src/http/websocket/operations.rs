//! The operations that run on one socket.

use std::{collections::HashMap, sync::Arc};

use futures_util::{
    Stream, StreamExt,
    future::ready,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};

use crate::graphql::Executed;

/// What an operation does.
#[derive(Debug)]
pub enum Happening {
    /// It gives a response.
    Item(Executed),
    /// It has ended.
    Ended,
}

/// The operations, by the ids that the client gave them. They make progress while one waits for
/// [`Operations::next`], and at no other time.
#[derive(Default)]
pub struct Operations {
    running: SelectAll<BoxStream<'static, (Arc<str>, Happening)>>,
    handles: HashMap<Arc<str>, AbortHandle>,
}

impl Operations {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether there is one with this id.
    pub fn has(&self, id: &str) -> bool {
        self.handles.contains_key(id)
    }

    /// Begins one.
    pub fn start(&mut self, id: String, items: impl Stream<Item = Executed> + Send + 'static) {
        let id: Arc<str> = id.into();
        let of = id.clone();
        let happenings = items.map(Happening::Item).chain(stream::once(ready(Happening::Ended)));
        let (happenings, handle) = stream::abortable(happenings);
        self.running.push(happenings.map(move |happening| (of.clone(), happening)).boxed());
        self.handles.insert(id, handle);
    }

    /// Ends one, if it is there. Nothing more comes of it.
    pub fn stop(&mut self, id: &str) {
        if let Some(handle) = self.handles.remove(id) {
            handle.abort();
        }
    }

    /// What happens next; `None` at once where nothing runs.
    pub async fn next(&mut self) -> Option<(Arc<str>, Happening)> {
        self.running.next().await
    }
}
