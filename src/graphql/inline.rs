//! Objects whose fields are usually at hand, resolved without a future for each field.
//!
//! What async-graphql does by itself is made for fields that wait: each gets a future on the heap, and
//! all of an object's futures are driven together. A page has some thousand objects that have
//! everything in memory; there the futures cost several times what the values cost. So an object in
//! [`Inline`] or [`InlineList`] is first tried by one synchronous walk over its selection, [`walk`]: each
//! type says by [`AtHand`] which fields it can give at once. The walk knows fields, aliases,
//! `__typename` and fragments on the very type. At the first thing that it does not know (a field that
//! has to wait, an argument, a directive, a key that stands twice) it gives up, and the whole object or
//! list goes the ordinary way.
//!
//! `tests/api/ways_to_resolve.rs` compares the two ways.

use std::{borrow::Cow, collections::HashMap};

use async_graphql::{
    ContainerType, ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Directive, Field, FragmentDefinition, Selection, SelectionSet, TypeCondition},
    registry::Registry,
};

/// An object that can give values of its fields without waiting.
pub trait AtHand: ContainerType {
    /// The value of a field; `None` when it has to wait, or is not known here.
    fn at_hand(&self, field: &Asked<'_>) -> Option<Value>;
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// What is selected of an object.
#[derive(Clone, Copy)]
pub struct Selected<'a> {
    set: &'a SelectionSet,
    fragments: &'a Fragments,
}

/// A field that is selected, without arguments.
pub struct Asked<'a> {
    field: &'a Field,
    fragments: &'a Fragments,
}

impl Asked<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.field.name.node
    }

    /// What is selected of its value.
    pub fn selected(&self) -> Selected<'_> {
        Selected { set: &self.field.selection_set.node, fragments: self.fragments }
    }
}

/// The value of an object; `None` when not everything that is selected is at hand.
pub fn walk<T: AtHand>(object: &T, selected: Selected<'_>) -> Option<Value> {
    let mut fields = IndexMap::with_capacity(selected.set.items.len());
    collect(object, selected, &mut fields)?;
    Some(Value::Object(fields))
}

/// The value of a list of objects; `None` when not everything that is selected is at hand.
pub fn walk_list(objects: &[impl AtHand], selected: Selected<'_>) -> Option<Value> {
    objects.iter().map(|object| walk(object, selected)).collect::<Option<_>>().map(Value::List)
}

fn collect<T: AtHand>(object: &T, selected: Selected<'_>, fields: &mut IndexMap<Name, Value>) -> Option<()> {
    let Selected { set, fragments } = selected;
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => {
                let field = &field.node;
                none(&field.directives)?;
                let value = match field.name.node.as_str() {
                    "__typename" => Value::String(T::type_name().into_owned()),
                    _ if field.arguments.is_empty() => object.at_hand(&Asked { field, fragments })?,
                    _ => return None,
                };
                if fields.insert(field.response_key().node.clone(), value).is_some() {
                    return None;
                }
            }
            Selection::FragmentSpread(spread) => {
                none(&spread.node.directives)?;
                let fragment = &fragments.get(&spread.node.fragment_name.node)?.node;
                none(&fragment.directives)?;
                is_on::<T>(&fragment.type_condition)?;
                collect(object, Selected { set: &fragment.selection_set.node, fragments }, fields)?;
            }
            Selection::InlineFragment(fragment) => {
                none(&fragment.node.directives)?;
                fragment.node.type_condition.as_ref().map_or(Some(()), is_on::<T>)?;
                collect(object, Selected { set: &fragment.node.selection_set.node, fragments }, fields)?;
            }
        }
    }
    Some(())
}

fn none(directives: &[Positioned<Directive>]) -> Option<()> {
    directives.is_empty().then_some(())
}

fn is_on<T: OutputType>(condition: &Positioned<TypeCondition>) -> Option<()> {
    (condition.node.on.node.as_str() == T::type_name()).then_some(())
}

/// `query_env` is not documented by async-graphql, which is pinned: there is no other way to the
/// fragments of an operation.
fn selected<'a>(ctx: &ContextSelectionSet<'a>) -> Selected<'a> {
    Selected { set: &ctx.item.node, fragments: &ctx.query_env.fragments }
}

/// One object.
#[derive(Clone)]
pub struct Inline<T>(pub T);

/// A list of objects.
pub struct InlineList<T>(pub Vec<T>);

impl<T: AtHand> OutputType for Inline<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match walk(&self.0, selected(ctx)) {
            Some(value) => Ok(value),
            None => Box::pin(self.0.resolve(ctx, field)).await,
        }
    }
}

impl<T: AtHand> OutputType for InlineList<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match walk_list(&self.0, selected(ctx)) {
            Some(value) => Ok(value),
            None => Box::pin(self.0.resolve(ctx, field)).await,
        }
    }
}
