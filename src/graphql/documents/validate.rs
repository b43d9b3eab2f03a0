//! Whether a document is one that the schema answers, as the specification has it.
//!
//! apollo-compiler does the work. Where it departs from the specification, or from graphql-js, it is
//! mended here and in [`super::rules`].

use std::collections::HashSet;

use apollo_compiler::{
    ExecutableDocument, Node, Schema,
    ast::{self, Definition, Document, Selection, Value},
    diagnostic::{Diagnostic, ToCliReport},
    validation::{DiagnosticData, Valid, WithErrors},
};
use async_graphql::{Pos, ServerError};

use super::{hints, lines::Lines, rules};
use crate::domain::documents::{DocumentLimits, Introspection};

/// The most errors that a response has: a document of 100 kB could have as many thousands.
const MOST_ERRORS: usize = 20;
/// The longest message, in characters: it repeats names, which may be as long as a document.
const LONGEST_MESSAGE: usize = 200;

/// A valid document with its types.
pub fn validate(
    document: &Document,
    lines: &Lines<'_>,
    schema: &Valid<Schema>,
    limits: &DocumentLimits,
) -> Result<Valid<ExecutableDocument>, Vec<ServerError>> {
    let valid = match document.to_executable_validate(schema) {
        Ok(valid) => valid,
        Err(WithErrors { partial, errors }) => {
            let free = rules::free_variables(&partial, schema);
            let wrong = errors.iter().filter(|error| !is_ours(error, &free, lines)).map(|error| {
                let hint = match limits.introspection {
                    Introspection::Shown => hints::hint(error.error, schema).unwrap_or_default(),
                    Introspection::Hidden => String::new(),
                };
                server_error(&(error.error.to_string() + &hint), lines.of(error.error.location()))
            });
            let wrong: Vec<ServerError> = wrong.take(MOST_ERRORS).collect();
            if !wrong.is_empty() {
                return Err(wrong);
            }
            Valid::assume_valid(partial)
        }
    };
    let mut wrong = rules::wrong_values(&valid, schema, lines);
    wrong.extend(rules::introspection_too_deep(&valid, lines));
    match limits.introspection {
        Introspection::Shown => {}
        Introspection::Hidden => wrong.extend(rules::introspection(&valid, lines)),
    }
    if let Some(other) = with_lengths(document) {
        wrong.extend(conflicts(&other, schema, lines));
    }
    wrong.truncate(MOST_ERRORS);
    if wrong.is_empty() { Ok(valid) } else { Err(wrong) }
}

/// What is no error, or not here. Whether a subscription has one field is checked by
/// [`super::subscriptions`]: here one that is selected twice counts as two.
fn is_ours(error: &Diagnostic<'_, DiagnosticData>, free: &HashSet<usize>, lines: &Lines<'_>) -> bool {
    let place = error.error.location();
    match error.error.unstable_error_name() {
        // It has one, whose fields are all unknown, as other errors say.
        Some("MissingSubselection") => place.is_some_and(|span| lines.text_of(span).ends_with('}')),
        Some("SubscriptionUsesMultipleFields") => true,
        Some("UnsupportedValueType") => place.is_some_and(|span| free.contains(&span.offset())),
        _ => false,
    }
}

/// An error as the response has it.
pub fn shown(error: &Diagnostic<'_, DiagnosticData>, lines: &Lines<'_>) -> ServerError {
    server_error(&error.error.to_string(), lines.of(error.error.location()))
}

/// An error at a place, cut where it is too long.
pub fn server_error(message: &str, at: Pos) -> ServerError {
    let end = message.char_indices().nth(LONGEST_MESSAGE - 1).map(|(end, _)| end);
    let message = match end {
        Some(end) if end + 1 < message.len() => format!("{}…", &message[..end]),
        _ => message.to_owned(),
    };
    ServerError::new(message, Some(at))
}

/// Fields under one key whose arguments differ.
fn conflicts(document: &Document, schema: &Valid<Schema>, lines: &Lines<'_>) -> Vec<ServerError> {
    let Err(WithErrors { errors, .. }) = document.to_executable_validate(schema) else { return Vec::new() };
    let of_arguments = |error: &Diagnostic<'_, DiagnosticData>| {
        error.error.unstable_error_name() == Some("ConflictingFieldArgument")
    };
    errors.iter().filter(of_arguments).map(|error| shown(&error, lines)).take(MOST_ERRORS).collect()
}

/// The same with its length before the items of each list. `None` where no two lists have different
/// lengths: the comparison of arguments takes a list for the beginning of another one, and is done a
/// second time where that could matter.
fn with_lengths(document: &Document) -> Option<Document> {
    let mut document = document.clone();
    let mut lengths = Lengths::default();
    for definition in &mut document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                lengths.selections(&mut operation.make_mut().selection_set);
            }
            Definition::FragmentDefinition(fragment) => {
                lengths.selections(&mut fragment.make_mut().selection_set);
            }
            _ => {}
        }
    }
    lengths.differ.then_some(document)
}

/// Writes the lengths of lists, and remembers whether they differ.
#[derive(Default)]
struct Lengths {
    seen: Option<usize>,
    differ: bool,
}

impl Lengths {
    fn selections(&mut self, selections: &mut [Selection]) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let field = field.make_mut();
                    for argument in &mut field.arguments {
                        self.value(&mut argument.make_mut().value);
                    }
                    self.selections(&mut field.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&mut inline.make_mut().selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn value(&mut self, value: &mut Node<Value>) {
        match value.make_mut() {
            Value::List(items) => {
                self.differ |= *self.seen.get_or_insert(items.len()) != items.len();
                items.iter_mut().for_each(|item| self.value(item));
                let length = i32::try_from(items.len()).unwrap_or(i32::MAX);
                items.insert(0, Node::new(Value::Int(ast::IntValue::from(length))));
            }
            Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| self.value(value)),
            _ => {}
        }
    }
}
