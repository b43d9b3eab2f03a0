//! The fast way: objects whose fields are at hand, written as JSON text without a future for each field. How a type
//! comes to it is told in [`super::fields`].
//!
//! An object in [`Inline`] or [`InlineList`] is first tried like this:
//!
//! 1. Its selection becomes a [`Plan`]: one step for each field, made once for the whole list.
//! 2. The plan is run over each object and writes into one buffer, [`Json`].
//! 3. The executor carries the finished text as a `Value::Binary`, and [`Json::tree`] puts it into the
//!    response.
//!
//! A plan knows fields with their arguments, aliases, `__typename`, and fragments on the type or on an interface of it.
//! (The executor has cut out what `@skip` and `@include` leave out before anything runs.) For what it does not know (a
//! field that has to wait, a key that stands twice) there is no plan; and where a value is not at hand after all,
//! running it ends with `None`. Then the whole object or list goes the ordinary way, and what is inside of it is tried
//! by itself. Text can't be merged with anything, so what stands under a key that occurs twice always goes the
//! ordinary way ([`selected_once`]).

use std::{borrow::Cow, collections::HashMap};

use async_graphql::{
    ContainerType, ContextSelectionSet, InputType, Name, OutputType, Positioned, QueryPathNode,
    QueryPathSegment, ServerResult, Value,
    parser::types::{Directive, Field, FragmentDefinition, Selection, SelectionSet, TypeCondition},
    registry::Registry,
};
use futures_util::future::try_join_all;

use super::json::Json;

/// What the fields of an object are worked out from: borrowed, so that nothing is cloned or counted for one that is only
/// looked at.
pub trait Viewed: 'static {
    /// What is looked at.
    type View<'a>: Copy;

    /// Itself.
    fn view(&self) -> Self::View<'_>;
}

/// An object that can be had from its view, to be resolved in the ordinary way.
pub trait Kept: Viewed {
    /// The object that is looked at.
    fn kept(view: Self::View<'_>) -> Self;
}

/// Views of objects that wrap one thing: a reference to that.
macro_rules! viewed {
    ($node:ident($shown:ty)) => {
        impl $crate::graphql::inline::Viewed for $node {
            type View<'a> = &'a $shown;

            fn view(&self) -> &$shown {
                &self.0
            }
        }

        impl $crate::graphql::inline::Kept for $node {
            fn kept(shown: &$shown) -> Self {
                Self(shown.clone())
            }
        }
    };
}
pub(super) use viewed;

/// Writes a field of an object; `None` when its value is not at hand.
pub type Write<T> = Box<dyn for<'a> Fn(<T as Viewed>::View<'a>, &mut Json) -> Option<()>>;

/// An object that can give values of its fields without waiting. Implemented by [`super::fields`] alone.
pub trait AtHand: Viewed + ContainerType {
    /// How a field is written; `None` when it has to wait.
    fn field(asked: &Asked<'_>) -> Option<Write<Self>>;
}

/// What writes a field, with its type made known to the compiler.
pub fn step<T: AtHand>(
    write: impl for<'a> Fn(T::View<'a>, &mut Json) -> Option<()> + 'static,
) -> Option<Write<T>> {
    Some(Box::new(write))
}

/// What the expression gives, or `None` where a `?` in it has found that something is not at hand.
pub fn if_at_hand<T>(expression: impl FnOnce() -> Option<T>) -> Option<T> {
    expression()
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// A field that is selected.
pub struct Asked<'a> {
    field: &'a Positioned<Field>,
    ctx: &'a ContextSelectionSet<'a>,
}

impl Asked<'_> {
    /// Whether it is the field for which this identifier stands in Rust: `effective_since` for `effectiveSince`,
    /// `r#type` for `type`.
    pub fn is(&self, identifier: &str) -> bool {
        stands_for(identifier, &self.field.node.name.node)
    }

    /// An argument of it; `None` when it is not as it has to be, which the ordinary way then says.
    pub fn argument<T: InputType>(&self, identifier: &str) -> Option<T> {
        let given = self.field.node.arguments.iter().find(|(name, _)| stands_for(identifier, &name.node));
        let name = given.map_or(identifier, |(name, _)| &name.node);
        self.ctx.with_field(self.field).param_value(name, None).ok().map(|(_, value)| value)
    }

    /// How its value is written, an object or a list of objects of this type.
    pub fn plan<T: AtHand>(&self) -> Option<Plan<T>> {
        Plan::of(&self.field.node.selection_set.node, self.ctx)
    }
}

fn stands_for(identifier: &str, name: &str) -> bool {
    let mut name = name.bytes();
    let mut after_underscore = false;
    for byte in identifier.strip_prefix("r#").unwrap_or(identifier).bytes() {
        if byte == b'_' {
            after_underscore = true;
            continue;
        }
        let expected = if after_underscore { byte.to_ascii_uppercase() } else { byte };
        if name.next() != Some(expected) {
            return false;
        }
        after_underscore = false;
    }
    name.next().is_none()
}

/// How objects of a type are written, with all that is selected of them.
pub struct Plan<T: AtHand>(Vec<Step<T>>);

struct Step<T: AtHand> {
    response_key: Name,
    /// The key as it is written: with its colon, and a comma where another one stands before it.
    prefix: String,
    write: Write<T>,
}

impl<T: AtHand> Plan<T> {
    fn of(set: &SelectionSet, ctx: &ContextSelectionSet<'_>) -> Option<Self> {
        let mut plan = Self(Vec::with_capacity(set.items.len()));
        plan.add(set, ctx)?;
        Some(plan)
    }

    fn add(&mut self, set: &SelectionSet, ctx: &ContextSelectionSet<'_>) -> Option<()> {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => self.add_field(field, ctx)?,
                Selection::FragmentSpread(spread) => {
                    none(&spread.node.directives)?;
                    // `query_env` is not documented by async-graphql, which is pinned: there is no other way to the
                    // fragments of an operation.
                    let fragment = &ctx.query_env.fragments.get(&spread.node.fragment_name.node)?.node;
                    none(&fragment.directives)?;
                    is_on::<T>(&fragment.type_condition, ctx)?;
                    self.add(&fragment.selection_set.node, ctx)?;
                }
                Selection::InlineFragment(fragment) => {
                    none(&fragment.node.directives)?;
                    if let Some(condition) = &fragment.node.type_condition {
                        is_on::<T>(condition, ctx)?;
                    }
                    self.add(&fragment.node.selection_set.node, ctx)?;
                }
            }
        }
        Some(())
    }

    fn add_field(&mut self, field: &Positioned<Field>, ctx: &ContextSelectionSet<'_>) -> Option<()> {
        none(&field.node.directives)?;
        let key = &field.node.response_key().node;
        if self.0.iter().any(|step| step.response_key == *key) {
            return None;
        }
        let write = match field.node.name.node.as_str() {
            "__typename" => step::<T>(|_, json| {
                json.quoted(&T::type_name());
                Some(())
            }),
            _ => T::field(&Asked { field, ctx }),
        }?;
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0.push(Step { response_key: key.clone(), prefix: format!("{comma}\"{key}\":"), write });
        Some(())
    }

    /// Writes an object; `None` when not everything that is selected of it is at hand.
    pub fn write(&self, view: T::View<'_>, json: &mut Json) -> Option<()> {
        json.raw("{");
        for step in &self.0 {
            json.raw(&step.prefix);
            (step.write)(view, json)?;
        }
        json.raw("}");
        Some(())
    }

    /// Writes a list of objects; `None` when not everything that is selected of them is at hand.
    pub fn write_list<'a>(
        &self,
        views: impl IntoIterator<Item = T::View<'a>>,
        json: &mut Json,
    ) -> Option<()> {
        json.list(views, |json, view| self.write(view, json))
    }
}

fn none(directives: &[Positioned<Directive>]) -> Option<()> {
    directives.is_empty().then_some(())
}

fn is_on<T: OutputType>(condition: &Positioned<TypeCondition>, ctx: &ContextSelectionSet<'_>) -> Option<()> {
    let (name, condition) = (T::type_name(), condition.node.on.node.as_str());
    let interfaces = || ctx.schema_env.registry.implements.get(&*name);
    (name == condition || interfaces().is_some_and(|names| names.contains(condition))).then_some(())
}

/// The text of what stands here; `None` when it has to go the ordinary way.
fn at_once<T: AtHand>(
    ctx: &ContextSelectionSet<'_>,
    write: impl FnOnce(&Plan<T>, &mut Json) -> Option<()>,
) -> Option<Value> {
    let plan = Plan::of(&ctx.item.node, ctx)?;
    let root = &ctx.query_env.operation.node.selection_set.node;
    selected_once(ctx.path_node.as_ref(), root, &ctx.query_env.fragments)?;
    let mut json = Json::default();
    write(&plan, &mut json)?;
    Some(json.into_value())
}

/// What is selected of what stands at `path`; `None` when a key on the way there occurs twice, so that
/// the executor will merge what stands under it.
fn selected_once<'a>(
    path: Option<&QueryPathNode<'_>>,
    root: &'a SelectionSet,
    fragments: &'a Fragments,
) -> Option<&'a SelectionSet> {
    let Some(node) = path else { return Some(root) };
    let parent = selected_once(node.parent, root, fragments)?;
    match node.segment {
        QueryPathSegment::Index(_) => Some(parent),
        QueryPathSegment::Name(key) => {
            let mut found = Vec::new();
            with_key(key, parent, fragments, &mut found);
            match *found {
                [field] => Some(&field.selection_set.node),
                _ => None,
            }
        }
    }
}

fn with_key<'a>(key: &str, set: &'a SelectionSet, fragments: &'a Fragments, found: &mut Vec<&'a Field>) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => {
                if field.node.response_key().node.as_str() == key {
                    found.push(&field.node);
                }
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    with_key(key, &fragment.node.selection_set.node, fragments, found);
                }
            }
            Selection::InlineFragment(fragment) => {
                with_key(key, &fragment.node.selection_set.node, fragments, found);
            }
        }
    }
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
        match at_once::<T>(ctx, |plan, json| plan.write(self.0.view(), json)) {
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
        match at_once::<T>(ctx, |plan, json| plan.write_list(self.0.iter().map(T::view), json)) {
            Some(value) => Ok(value),
            None => Box::pin(one_by_one(&self.0, ctx, field)).await,
        }
    }
}

/// Resolves a list in the ordinary way. Unlike async-graphql's own lists it leaves the path of an error as it is: there
/// it ends at the item, however deep in it the error is.
async fn one_by_one<T: OutputType>(
    items: &[T],
    ctx: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
) -> ServerResult<Value> {
    let items = items.iter().enumerate().map(|(index, item)| async move {
        let ctx = ctx.with_index(index);
        item.resolve(&ctx, field).await
    });
    try_join_all(items).await.map(Value::List)
}

#[cfg(test)]
mod tests {
    use super::stands_for;

    #[test]
    fn an_identifier_stands_for_the_name_that_the_schema_gives_it() {
        for (identifier, name) in
            [("id", "id"), ("r#type", "type"), ("effective_updated_since", "effectiveUpdatedSince")]
        {
            assert!(stands_for(identifier, name), "{name}");
        }
        for name in ["effective", "effectivesince", "effective_since", "effectiveSinces", "EffectiveSince"] {
            assert!(!stands_for("effective_since", name), "{name}");
        }
    }
}
