//! Subscriptions in the shape that the executor understands: it runs the fields that stand directly in
//! the operation and silently passes over fragments. So the fields of fragments take their place there.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned, ServerError,
    parser::types::{Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
};

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Brings a valid subscription into that shape; an error where it selects more than one field.
pub fn prepare(
    operation: &mut Positioned<OperationDefinition>,
    fragments: &Fragments,
) -> Result<(), ServerError> {
    let set = &mut operation.node.selection_set.node;
    let mut root = Root { fragments, opened: HashSet::new(), items: Vec::new() };
    root.collect(std::mem::take(set));
    set.items = root.items;
    match set.items.as_slice() {
        [_] => Ok(()),
        _ => Err(ServerError::new("a subscription must select exactly one field", Some(operation.pos))),
    }
}

/// The selection of a subscription while its fragments are being opened.
struct Root<'a> {
    fragments: &'a Fragments,
    /// Each fragment is opened once: a second time would bring nothing new.
    opened: HashSet<Name>,
    items: Vec<Positioned<Selection>>,
}

impl Root<'_> {
    fn collect(&mut self, set: SelectionSet) {
        for item in set.items {
            match item.node {
                Selection::Field(field) => self.add(field),
                Selection::InlineFragment(inline) => self.collect(inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node;
                    if let Some(fragment) = self.fragments.get(&name)
                        && self.opened.insert(name)
                    {
                        self.collect(fragment.node.selection_set.node.clone());
                    }
                }
            }
        }
    }

    /// A field under a key that is there already gives that one its selection: it is the same field,
    /// with the same arguments, or the document would not be valid.
    fn add(&mut self, field: Positioned<Field>) {
        let same = self.items.iter_mut().find_map(|item| match &mut item.node {
            Selection::Field(other) if other.node.response_key().node == field.node.response_key().node => {
                Some(other)
            }
            Selection::Field(_) | Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        });
        match same {
            Some(same) => same.node.selection_set.node.items.extend(field.node.selection_set.node.items),
            None => self.items.push(Positioned::new(Selection::Field(field.clone()), field.pos)),
        }
    }
}
