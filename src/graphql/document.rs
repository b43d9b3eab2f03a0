//! What is looked at in a document before the executor sees it.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned, ServerError,
    parser::{
        parse_query,
        types::{
            DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
            OperationType, Selection, SelectionSet, TypeCondition,
        },
    },
};

/// The name of the type of subscriptions.
const SUBSCRIPTION: &str = "Subscription";

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Reads a document.
pub fn parse(query: &str) -> Result<ExecutableDocument, ServerError> {
    parse_query(query).map_err(|error| shortened(error.into()))
}

/// A syntax error quotes the line it is in. Where that is a long one, only what was expected is said;
/// the place stands in `locations`.
fn shortened(mut error: ServerError) -> ServerError {
    const LONGEST_LINE: usize = 200;
    if error.message.lines().any(|line| line.len() > LONGEST_LINE) {
        let expected = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
        error.message = expected.chars().take(LONGEST_LINE).collect();
    }
    error
}

/// The type of the operation that would run; `None` where the name names none, or none is named among
/// several: that is left to the executor to complain about.
pub fn operation_type(document: &ExecutableDocument, name: Option<&str>) -> Option<OperationType> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => operation,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name)?,
        // One that has a name stands here even if it is the only one, and runs without being named.
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.values().next()?
        }
        (DocumentOperations::Multiple(_), None) => return None,
    };
    Some(operation.node.ty)
}

/// Brings subscriptions into the shape that the executor understands: it runs the fields that stand
/// directly in the operation and silently passes over fragments. So the fields of fragments take their
/// place there. That a subscription has just one field is specified, and not checked by the executor.
pub fn prepare_subscriptions(document: &mut ExecutableDocument) -> Result<(), ServerError> {
    let ExecutableDocument { operations, fragments } = document;
    let mut operations: Vec<&mut Positioned<OperationDefinition>> = match operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    operations.retain(|operation| operation.node.ty == OperationType::Subscription);
    if operations.is_empty() {
        return Ok(());
    }
    for operation in operations {
        let set = &mut operation.node.selection_set.node;
        let mut root = Root { fragments, opened: HashSet::new(), items: Vec::new() };
        root.collect(std::mem::take(set));
        set.items = root.items;
        one_field(set).map_err(|message| ServerError::new(message, Some(operation.pos)))?;
    }
    // Nothing spreads them any more, and a fragment that nothing spreads is an error.
    fragments.retain(|_, fragment| !is_on_subscription(&fragment.node.type_condition));
    Ok(())
}

fn is_on_subscription(condition: &Positioned<TypeCondition>) -> bool {
    condition.node.on.node == SUBSCRIPTION
}

/// The selection of a subscription while its fragments are being opened.
struct Root<'a> {
    fragments: &'a Fragments,
    /// Each fragment is opened once: a second time would bring nothing new, and a circle has no end.
    opened: HashSet<Name>,
    items: Vec<Positioned<Selection>>,
}

impl Root<'_> {
    fn collect(&mut self, set: SelectionSet) {
        for item in set.items {
            match &item.node {
                Selection::Field(field) => {
                    if !self.merge(field) {
                        self.items.push(item);
                    }
                }
                Selection::InlineFragment(fragment)
                    if fragment.node.directives.is_empty()
                        && fragment.node.type_condition.as_ref().is_none_or(is_on_subscription) =>
                {
                    self.collect(fragment.node.selection_set.node.clone());
                }
                Selection::FragmentSpread(spread) if spread.node.directives.is_empty() => {
                    let name = &spread.node.fragment_name.node;
                    let fragments = self.fragments;
                    let fragment = fragments.get(name).filter(|fragment| {
                        is_on_subscription(&fragment.node.type_condition)
                            && fragment.node.directives.is_empty()
                    });
                    match fragment {
                        Some(fragment) if self.opened.insert(name.clone()) => {
                            self.collect(fragment.node.selection_set.node.clone());
                        }
                        Some(_) => {}
                        // For the validation to complain about.
                        None => self.items.push(item),
                    }
                }
                Selection::InlineFragment(_) | Selection::FragmentSpread(_) => self.items.push(item),
            }
        }
    }

    /// Whether the field was there already; it then gets this one's selection, too.
    fn merge(&mut self, field: &Positioned<Field>) -> bool {
        let same = self.items.iter_mut().find_map(|item| match &mut item.node {
            Selection::Field(other) if is_same(&other.node, &field.node) => Some(&mut other.node),
            Selection::Field(_) | Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        });
        let Some(same) = same else { return false };
        same.selection_set.node.items.extend(field.node.selection_set.node.items.iter().cloned());
        true
    }
}

fn is_same(one: &Field, other: &Field) -> bool {
    one.response_key().node == other.response_key().node
        && one.name.node == other.name.node
        && one.arguments == other.arguments
        && one.directives.is_empty()
        && other.directives.is_empty()
}

fn one_field(set: &SelectionSet) -> Result<(), &'static str> {
    match set.items.as_slice() {
        [Positioned { node: Selection::Field(field), .. }] if field.node.name.node.starts_with("__") => {
            Err("a subscription must not select an introspection field")
        }
        [item] if !matches!(item.node, Selection::Field(_)) && !item.node.directives().is_empty() => {
            Err("directives don't work on the fragments at the root of a subscription")
        }
        [_] => Ok(()),
        _ => Err("a subscription must select exactly one field"),
    }
}
