//! Objects whose fields are usually at hand, written as JSON text without a future for each field.
//!
//! What async-graphql does by itself is made for fields that wait: each gets a future on the heap, and
//! all of an object's futures are driven together; every value becomes a node of a tree, and the tree
//! becomes text. A page has some thousand objects that have everything in memory; there all that costs
//! several times what the values cost. So an object in [`Inline`] or [`InlineList`] is first tried like
//! this:
//!
//! 1. Its selection becomes a [`Plan`]: one step for each field, made once for the whole list. Each type
//!    says by [`AtHand::field`] how a field of it is written.
//! 2. The plan is run over each object and writes into one buffer, [`Json`].
//! 3. The executor carries the finished text as a `Value::Binary`, and [`Json::tree`] puts it into the
//!    response.
//!
//! A plan knows fields, aliases, `__typename` and fragments on the very type. For what it does not know
//! (a field that has to wait, an argument, a directive, a key that stands twice) there is no plan; and
//! where a value is not at hand after all, running it ends with `None`. Then the whole object or list
//! goes the ordinary way, and what is inside of it is tried by itself. Text can't be merged with
//! anything, so what stands under a key that occurs twice always goes the ordinary way ([`selected_once`]).
//!
//! **To add a field to a type**, write its resolver, as ever. If its value needs no waiting, add a line
//! to the type's [`AtHand::field`] too; without one, selections of the field go the ordinary way.
//! `tests/api/ways_to_resolve.rs` compares the two ways; it finds fields without a selection of their
//! own by itself.

use std::{borrow::Cow, collections::HashMap};

use async_graphql::{
    ContainerType, ContextSelectionSet, Name, OutputType, Positioned, QueryPathNode, QueryPathSegment,
    ServerResult, Value,
    parser::types::{Directive, Field, FragmentDefinition, Selection, SelectionSet, TypeCondition},
    registry::Registry,
};

use super::json::Json;

/// Writes a field of an object; `None` when its value is not at hand.
pub type Write<T> = Box<dyn for<'a> Fn(<T as AtHand>::View<'a>, &mut Json) -> Option<()>>;

/// An object that can give values of its fields without waiting.
pub trait AtHand: ContainerType + 'static {
    /// What its fields are written from: borrowed, so that nothing is cloned or counted for one that is
    /// only looked at.
    type View<'a>: Copy;

    /// Itself.
    fn view(&self) -> Self::View<'_>;

    /// How a field is written; `None` when it has to wait, or is not known here.
    fn field(asked: &Asked<'_>) -> Option<Write<Self>>;

    /// A field that is always at hand.
    fn value(write: impl for<'a> Fn(Self::View<'a>, &mut Json) + 'static) -> Write<Self> {
        Box::new(move |view, json| {
            write(view, json);
            Some(())
        })
    }

    /// A field that may not be at hand, or that has parts which may not be.
    fn part(write: impl for<'a> Fn(Self::View<'a>, &mut Json) -> Option<()> + 'static) -> Write<Self> {
        Box::new(write)
    }
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

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

    /// How its value is written, an object or a list of objects of this type.
    pub fn plan<T: AtHand>(&self) -> Option<Plan<T>> {
        Plan::of(&self.field.selection_set.node, self.fragments)
    }
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
    fn of(set: &SelectionSet, fragments: &Fragments) -> Option<Self> {
        let mut plan = Self(Vec::with_capacity(set.items.len()));
        plan.add(set, fragments)?;
        Some(plan)
    }

    fn add(&mut self, set: &SelectionSet, fragments: &Fragments) -> Option<()> {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => self.add_field(&field.node, fragments)?,
                Selection::FragmentSpread(spread) => {
                    none(&spread.node.directives)?;
                    let fragment = &fragments.get(&spread.node.fragment_name.node)?.node;
                    none(&fragment.directives)?;
                    is_on::<T>(&fragment.type_condition)?;
                    self.add(&fragment.selection_set.node, fragments)?;
                }
                Selection::InlineFragment(fragment) => {
                    none(&fragment.node.directives)?;
                    fragment.node.type_condition.as_ref().map_or(Some(()), is_on::<T>)?;
                    self.add(&fragment.node.selection_set.node, fragments)?;
                }
            }
        }
        Some(())
    }

    fn add_field(&mut self, field: &Field, fragments: &Fragments) -> Option<()> {
        none(&field.directives)?;
        let key = &field.response_key().node;
        if !field.arguments.is_empty() || self.0.iter().any(|step| step.response_key == *key) {
            return None;
        }
        let write = match field.name.node.as_str() {
            "__typename" => T::value(|_, json| json.quoted(&T::type_name())),
            _ => T::field(&Asked { field, fragments })?,
        };
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

fn is_on<T: OutputType>(condition: &Positioned<TypeCondition>) -> Option<()> {
    (condition.node.on.node.as_str() == T::type_name()).then_some(())
}

/// The text of what stands here; `None` when it has to go the ordinary way.
///
/// `query_env` is not documented by async-graphql, which is pinned: there is no other way to the
/// fragments of an operation.
fn at_once<T: AtHand>(
    ctx: &ContextSelectionSet<'_>,
    write: impl FnOnce(&Plan<T>, &mut Json) -> Option<()>,
) -> Option<Value> {
    let plan = Plan::of(&ctx.item.node, &ctx.query_env.fragments)?;
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
            None => Box::pin(self.0.resolve(ctx, field)).await,
        }
    }
}
