//! Objects whose fields are usually at hand, resolved without a boxed future for each field.
//!
//! What async-graphql does by itself is made for fields that wait: each gets a future on the heap,
//! and all of an object's futures are driven together. A page has some thousand objects that have
//! everything in memory; there the futures cost more than the values. So an object in [`Inline`] or
//! [`InlineList`] resolves its fields in sequence, in one future, and a list asks each of its items
//! once before it waits for those that have to. All items are asked before any is waited for, so
//! that what they load is still loaded together. Every field is resolved by the same code as ever;
//! selections with fragments, directives, `__typename` or a key twice go the ordinary way.

use std::{borrow::Cow, future::poll_fn, pin::Pin, task::Poll};

use async_graphql::{
    ContainerType, ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, Selection},
    registry::Registry,
    resolver_utils::resolve_container,
};
use futures_util::future::try_join_all;

/// One object.
#[derive(Clone)]
pub struct Inline<T>(pub T);

/// A list of objects.
pub struct InlineList<T>(pub Vec<T>);

/// The most fields of a selection that are compared with each other for keys that stand twice.
const MOST_FIELDS: usize = 32;

type Resolving<'a> = Pin<Box<dyn Future<Output = ServerResult<Value>> + Send + 'a>>;

impl<T: ContainerType> OutputType for Inline<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        let resolving: Resolving<'_> = Box::pin(object(ctx, &self.0));
        resolving.await
    }
}

impl<T: ContainerType> OutputType for InlineList<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        let mut values = Vec::with_capacity(self.0.len());
        let mut waiting = Vec::new();
        for (index, item) in self.0.iter().enumerate() {
            let mut resolving: Resolving<'_> = Box::pin(async move {
                let ctx = ctx.with_index(index);
                object(&ctx, item).await.map_err(|error| ctx.set_error_path(error))
            });
            match poll_fn(|task| Poll::Ready(resolving.as_mut().poll(task))).await {
                Poll::Ready(value) => values.push(value?),
                Poll::Pending => {
                    values.push(Value::Null);
                    waiting.push(async move { ServerResult::Ok((index, resolving.await?)) });
                }
            }
        }
        for (index, value) in try_join_all(waiting).await? {
            values[index] = value;
        }
        Ok(Value::List(values))
    }
}

async fn object<T: ContainerType>(ctx: &ContextSelectionSet<'_>, object: &T) -> ServerResult<Value> {
    let Some(plain) = plain_fields(ctx) else { return resolve_container(ctx, object).await };
    let mut fields = IndexMap::with_capacity(plain.len());
    for field in plain {
        let value = object.resolve_field(&ctx.with_field(field)).await?.unwrap_or_default();
        fields.insert(field.node.response_key().node.clone(), value);
    }
    Ok(Value::Object(fields))
}

/// The fields of a selection; `None` when it is one for the ordinary way.
fn plain_fields<'a>(ctx: &ContextSelectionSet<'a>) -> Option<Vec<&'a Positioned<Field>>> {
    let selections = &ctx.item.node.items;
    if selections.len() > MOST_FIELDS {
        return None;
    }
    let mut fields: Vec<&Positioned<Field>> = Vec::with_capacity(selections.len());
    for selection in selections {
        let Selection::Field(field) = &selection.node else { return None };
        let key = &field.node.response_key().node;
        let twice = fields.iter().any(|other| other.node.response_key().node == *key);
        if twice || !field.node.directives.is_empty() || field.node.name.node == "__typename" {
            return None;
        }
        fields.push(field);
    }
    Some(fields)
}
