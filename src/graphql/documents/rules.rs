//! The rules that apollo-compiler does not check, or not everywhere.

use std::collections::{HashMap, HashSet};

use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema,
    ast::{self, Type, Value},
    executable::{Field, Selection, SelectionSet},
    parser::SourceSpan,
    schema::{ExtendedType, InputValueDefinition},
};
use async_graphql::ServerError;

use super::{lines::Lines, validate::server_error};

/// Values that are wrong: variables that do not fit where they stand ("All Variable Usages Are Allowed"),
/// or that are not defined, and fields that stand twice in an object. apollo-compiler looks at variables
/// that are whole arguments only, takes the default value null for a value, and does not look into the
/// literals of our own scalars.
pub fn wrong_values(document: &ExecutableDocument, schema: &Schema, lines: &Lines<'_>) -> Vec<ServerError> {
    let mut values = Values::new(document, schema);
    values.walk();
    values.wrong.into_iter().map(|(place, message)| server_error(&message, lines.position(place))).collect()
}

/// Where variables stand in literals of our own scalars, which take whatever they are. apollo-compiler
/// wants them to be of the scalar's type.
pub fn free_variables(document: &ExecutableDocument, schema: &Schema) -> HashSet<usize> {
    let mut values = Values::new(document, schema);
    values.walk();
    values.free
}

/// All values of a document, looked at once for each operation.
struct Values<'a> {
    document: &'a ExecutableDocument,
    schema: &'a Schema,
    /// The variables of the operation.
    variables: &'a [Node<ast::VariableDefinition>],
    /// The fragments that were looked at for this operation.
    opened: HashSet<&'a Name>,
    /// What is wrong, and the place of it in bytes.
    wrong: Vec<(usize, String)>,
    free: HashSet<usize>,
}

impl<'a> Values<'a> {
    fn new(document: &'a ExecutableDocument, schema: &'a Schema) -> Self {
        let (opened, wrong, free) = Default::default();
        Self { document, schema, variables: &[], opened, wrong, free }
    }

    fn walk(&mut self) {
        for operation in self.document.operations.iter() {
            self.variables = &operation.variables;
            self.opened.clear();
            for variable in &operation.variables {
                if let Some(value) = &variable.default_value {
                    self.value(value, Some(&variable.ty), HasDefault::No);
                }
            }
            self.directives(&operation.directives);
            self.selections(&operation.selection_set);
        }
    }

    fn selections(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments, &field.definition.arguments);
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.opened.insert(&spread.fragment_name)
                    {
                        self.directives(&fragment.directives);
                        self.selections(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &[Node<ast::Directive>]) {
        for directive in directives {
            if let Some(definition) = self.schema.directive_definitions.get(&directive.name) {
                self.arguments(&directive.arguments, &definition.arguments);
            }
        }
    }

    fn arguments(&mut self, arguments: &[Node<ast::Argument>], definitions: &[Node<InputValueDefinition>]) {
        for argument in arguments {
            if let Some(definition) = definitions.iter().find(|definition| definition.name == argument.name) {
                self.value(&argument.value, Some(&definition.ty), HasDefault::of(definition));
            }
        }
    }

    /// `wanted` is not there in a literal of a scalar of our own.
    fn value(&mut self, value: &Node<Value>, wanted: Option<&Type>, default: HasDefault) {
        match &**value {
            Value::Variable(name) => self.variable(name, value, wanted, default),
            Value::List(items) => {
                let wanted = wanted.filter(|wanted| wanted.is_list()).map(Type::item_type);
                items.iter().for_each(|item| self.value(item, wanted, HasDefault::No));
            }
            Value::Object(fields) => {
                let input = wanted.and_then(|wanted| self.schema.types.get(wanted.inner_named_type()));
                let input = match input {
                    Some(ExtendedType::InputObject(input)) => Some(&**input),
                    _ => None,
                };
                let mut seen = HashSet::new();
                for (name, value) in fields {
                    if !seen.insert(name) {
                        self.complain(name.location(), format!("the field `{name}` is given twice"));
                    }
                    match input.and_then(|input| input.fields.get(name)) {
                        Some(field) => self.value(value, Some(&field.ty), HasDefault::of(field)),
                        None => self.value(value, None, HasDefault::No),
                    }
                }
            }
            _ => {}
        }
    }

    fn variable(&mut self, name: &Name, place: &Node<Value>, wanted: Option<&Type>, default: HasDefault) {
        let Some(variable) = self.variables.iter().find(|variable| variable.name == *name) else {
            return self.complain(place.location(), format!("variable `${name}` is not defined"));
        };
        match wanted {
            None => self.free.extend(place.location().map(|span| span.offset())),
            Some(wanted) if fits(variable, wanted, default) => {}
            Some(wanted) => {
                let of = &variable.ty;
                let message =
                    format!("variable `${name}` of type `{of}` cannot be used where `{wanted}` is expected");
                self.complain(place.location(), message);
            }
        }
    }

    fn complain(&mut self, place: Option<SourceSpan>, message: String) {
        self.wrong.push((place.map_or(0, |span| span.offset()), message));
    }
}

/// Whether a place has a default value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HasDefault {
    Yes,
    No,
}

impl HasDefault {
    fn of(place: &InputValueDefinition) -> Self {
        if place.default_value.is_some() { Self::Yes } else { Self::No }
    }
}

/// "IsVariableUsageAllowed".
fn fits(variable: &ast::VariableDefinition, wanted: &Type, default: HasDefault) -> bool {
    if wanted.is_non_null() && !variable.ty.is_non_null() {
        let has_value = variable.default_value.as_ref().is_some_and(|value| !value.is_null());
        return (has_value || default == HasDefault::Yes)
            && variable.ty.is_assignable_to(&wanted.clone().nullable());
    }
    variable.ty.is_assignable_to(wanted)
}

/// How deep an introspection may go from lists into lists, as graphql-js has it: from there on the answer
/// grows with the power of what the schema has.
const INTROSPECTION_LISTS: usize = 3;

/// Introspections that go too deep.
pub fn introspection_too_deep(document: &ExecutableDocument, lines: &Lines<'_>) -> Vec<ServerError> {
    let mut nested = Nested { document, fragments: HashMap::new() };
    let too_deep = introspections(document).filter(|field| nested.lists(field) >= INTROSPECTION_LISTS);
    too_deep
        .map(|field| server_error("maximum introspection depth exceeded", lines.of(field.location())))
        .collect()
}

/// All introspections, where there shall be none.
pub fn introspection(document: &ExecutableDocument, lines: &Lines<'_>) -> Vec<ServerError> {
    let error = |field: &Node<Field>| {
        let message = format!("introspection is not allowed: the document asks for `{}`", field.name);
        server_error(&message, lines.of(field.location()))
    };
    introspections(document).map(error).collect()
}

fn introspections(document: &ExecutableDocument) -> impl Iterator<Item = &Node<Field>> {
    let operations = document.operations.iter().map(|operation| &operation.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.selection_set);
    let mut found = Vec::new();
    operations.chain(fragments).for_each(|set| add_introspections(set, &mut found));
    found.into_iter()
}

fn add_introspections<'a>(set: &'a SelectionSet, found: &mut Vec<&'a Node<Field>>) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) if ["__schema", "__type"].contains(&field.name.as_str()) => {
                found.push(field);
            }
            Selection::Field(field) => add_introspections(&field.selection_set, found),
            Selection::InlineFragment(inline) => add_introspections(&inline.selection_set, found),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// How many lists of an introspection stand in each other.
struct Nested<'a> {
    document: &'a ExecutableDocument,
    /// Each fragment is looked at once.
    fragments: HashMap<&'a Name, usize>,
}

impl<'a> Nested<'a> {
    fn lists(&mut self, field: &'a Field) -> usize {
        let own = ["fields", "interfaces", "possibleTypes", "inputFields"].contains(&field.name.as_str());
        usize::from(own) + self.lists_in(&field.selection_set)
    }

    fn lists_in(&mut self, set: &'a SelectionSet) -> usize {
        let deepest = set.selections.iter().map(|selection| match selection {
            Selection::Field(field) => self.lists(field),
            Selection::InlineFragment(inline) => self.lists_in(&inline.selection_set),
            Selection::FragmentSpread(spread) => self.lists_of(&spread.fragment_name),
        });
        deepest.max().unwrap_or_default()
    }

    fn lists_of(&mut self, name: &'a Name) -> usize {
        if let Some(known) = self.fragments.get(name) {
            return *known;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        let lists = self.lists_in(&fragment.selection_set);
        self.fragments.insert(name, lists);
        lists
    }
}
