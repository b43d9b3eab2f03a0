//! How much an operation asks for once its fragments stand where they are spread.
//!
//! Nothing is put there to find out: each fragment is measured once, by itself, and then counted
//! wherever it is spread. A document of 1 kB can ask for more fields than there are atoms; it costs as
//! much as any other of 1 kB.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{Definition, Document, OperationDefinition, Selection, Value};

use crate::domain::{documents::DocumentLimits, refusal::Refusal};

/// A limit that a document is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess {
    /// Which limit.
    pub refusal: Refusal,
    /// What the limit is, and how much there was.
    pub message: String,
}

/// How much there is of everything that is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measure {
    depth: usize,
    fields: usize,
    aliases: usize,
    directives: usize,
    root_fields: usize,
    longest_list: usize,
}

/// An operation or a fragment by itself.
#[derive(Default)]
struct Shape<'a> {
    own: Measure,
    spreads: Vec<Spread<'a>>,
}

/// Where a fragment is spread.
struct Spread<'a> {
    fragment: &'a str,
    depth: usize,
    place: Place,
}

/// Where a selection stands in its definition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the top, or only in fragments there.
    Root,
    /// In a field.
    Field,
}

impl<'a> Shape<'a> {
    fn of(selections: &'a [Selection]) -> Self {
        let mut shape = Self::default();
        shape.add(selections, 1, Place::Root);
        shape
    }

    fn of_operation(operation: &'a OperationDefinition) -> Self {
        let mut shape = Self::of(&operation.selection_set);
        let of_variables: usize = operation.variables.iter().map(|variable| variable.directives.len()).sum();
        shape.own.directives += operation.directives.len() + of_variables;
        let defaults = operation.variables.iter().filter_map(|variable| variable.default_value.as_ref());
        defaults.for_each(|value| shape.add_value(value));
        shape
    }

    fn add(&mut self, selections: &'a [Selection], depth: usize, place: Place) {
        self.own.depth = self.own.depth.max(depth);
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    self.own.fields += 1;
                    self.own.aliases += usize::from(field.alias.is_some());
                    self.own.directives += field.directives.len();
                    self.own.root_fields += usize::from(place == Place::Root);
                    field.arguments.iter().for_each(|argument| self.add_value(&argument.value));
                    if !field.selection_set.is_empty() {
                        self.add(&field.selection_set, depth + 1, Place::Field);
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.own.directives += inline.directives.len();
                    self.add(&inline.selection_set, depth + 1, place);
                }
                Selection::FragmentSpread(spread) => {
                    self.own.directives += spread.directives.len();
                    self.spreads.push(Spread { fragment: &spread.fragment_name, depth, place });
                }
            }
        }
    }

    /// The parser bounds how deep values nest.
    fn add_value(&mut self, value: &Value) {
        match value {
            Value::List(items) => {
                self.own.longest_list = self.own.longest_list.max(items.len());
                items.iter().for_each(|item| self.add_value(item));
            }
            Value::Object(fields) => fields.iter().for_each(|(_, field)| self.add_value(field)),
            Value::Null
            | Value::Enum(_)
            | Value::Variable(_)
            | Value::String(_)
            | Value::Float(_)
            | Value::Int(_)
            | Value::Boolean(_) => {}
        }
    }

    /// With the fragments where they are spread. One that is not measured is unknown, or spreads
    /// itself: the validation complains about both.
    fn total(&self, fragments: &HashMap<&str, Measure>) -> Measure {
        let mut total = self.own;
        for spread in &self.spreads {
            let Some(fragment) = fragments.get(spread.fragment) else { continue };
            total.depth = total.depth.max(spread.depth.saturating_add(fragment.depth));
            total.fields = total.fields.saturating_add(fragment.fields);
            total.aliases = total.aliases.saturating_add(fragment.aliases);
            total.directives = total.directives.saturating_add(fragment.directives);
            total.longest_list = total.longest_list.max(fragment.longest_list);
            if spread.place == Place::Root {
                total.root_fields = total.root_fields.saturating_add(fragment.root_fields);
            }
        }
        total
    }
}

/// Measures fragments: those that another one spreads before that one. Without recursion, since a
/// chain of them may be as long as the document.
fn measured<'a>(shapes: &HashMap<&'a str, Shape<'a>>) -> HashMap<&'a str, Measure> {
    let mut measured = HashMap::new();
    let mut begun = HashSet::new();
    for name in shapes.keys().copied() {
        let mut chain: Vec<(&str, usize)> = Vec::new();
        if begun.insert(name) {
            chain.push((name, 0));
        }
        while let Some((name, seen)) = chain.last_mut() {
            let Some(shape) = shapes.get(name) else { break };
            if let Some(spread) = shape.spreads.get(*seen) {
                *seen += 1;
                if shapes.contains_key(spread.fragment) && begun.insert(spread.fragment) {
                    chain.push((spread.fragment, 0));
                }
            } else {
                measured.insert(*name, shape.total(&measured));
                chain.pop();
            }
        }
    }
    measured
}

/// Refuses a document that is over a limit.
pub fn check(document: &Document, limits: &DocumentLimits) -> Result<(), Excess> {
    let mut operations = Vec::new();
    let mut fragments = HashMap::new();
    let mut definitions = 0;
    for definition in &document.definitions {
        if let Definition::OperationDefinition(operation) = definition {
            operations.push(Shape::of_operation(operation));
        }
        if let Definition::FragmentDefinition(fragment) = definition {
            definitions += 1;
            let mut shape = Shape::of(&fragment.selection_set);
            shape.own.directives += fragment.directives.len();
            fragments.entry(fragment.name.as_str()).or_insert(shape);
        }
    }
    within(Refusal::TooManyFragments, "the document defines", definitions, "fragments", limits.fragments)?;
    let fragments = measured(&fragments);
    operations.iter().try_for_each(|operation| operation.total(&fragments).check(limits))
}

impl Measure {
    fn check(&self, limits: &DocumentLimits) -> Result<(), Excess> {
        let spread = "the operation, with its fragments where they are spread, has";
        within(Refusal::TooManyAliases, spread, self.aliases, "aliases", limits.aliases)?;
        within(Refusal::TooManyDirectives, spread, self.directives, "directives", limits.directives)?;
        within(Refusal::TooManyRootFields, spread, self.root_fields, "root fields", limits.root_fields)?;
        let list = "a list in the document has";
        within(Refusal::ListTooLong, list, self.longest_list, "items", limits.list_items)?;
        within(Refusal::QueryTooComplex, spread, self.fields, "fields", limits.fields)?;
        let nests = "the operation nests selections";
        within(Refusal::QueryTooDeep, nests, self.depth, "levels deep", limits.depth)
    }
}

/// Refuses what there is more of than is allowed.
pub fn within(refusal: Refusal, what: &str, count: usize, of: &str, limit: usize) -> Result<(), Excess> {
    if count <= limit {
        return Ok(());
    }
    // Numbers that are as large as they get stand for larger ones.
    let count = if count == usize::MAX { format!("at least {count}") } else { count.to_string() };
    Err(Excess { refusal, message: format!("{what} {count} {of}; at most {limit} are allowed") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DocumentLimits = DocumentLimits {
        depth: 4,
        fields: 10,
        aliases: 3,
        directives: 3,
        root_fields: 5,
        fragments: 40,
        list_items: 3,
        ..DocumentLimits::DEFAULT
    };

    fn checked(document: &str) -> Result<(), String> {
        let document = Document::parse(document, "").unwrap();
        check(&document, &LIMITS).map_err(|excess| format!("{}: {}", excess.refusal.code(), excess.message))
    }

    fn code(document: &str) -> String {
        checked(document).map_or_else(|excess| excess.split(':').next().unwrap().to_owned(), |()| "OK".into())
    }

    #[test]
    fn what_is_at_a_limit_passes_and_what_is_over_it_does_not() {
        for (at, over, expected) in [
            ("{ a { b { c { d } } } }", "{ a { b { c { d { e } } } } }", "QUERY_TOO_DEEP"),
            (
                "{ ...F } fragment F on Q { a { b { c } } }",
                "{ ...F } fragment F on Q { a { b { c { d } } } }",
                "QUERY_TOO_DEEP",
            ),
            ("{ ... { ... { a { b } } } }", "{ ... { ... { a { b { c } } } } }", "QUERY_TOO_DEEP"),
            ("{ a { b c d e f g h i j } }", "{ a { b c d e f g h i j k } }", "QUERY_TOO_COMPLEX"),
            (
                "{ a { ...F ...F c } b } fragment F on A { f g h }",
                "{ a { ...F ...F ...F c } b } fragment F on A { f g h }",
                "QUERY_TOO_COMPLEX",
            ),
            ("{ x: a y: a z: a }", "{ x: a y: a z: a w: a }", "TOO_MANY_ALIASES"),
            (
                "{ a { ...F ...F } x: b } fragment F on A { f: f }",
                "{ a { ...F ...F } x: b y: b } fragment F on A { f: f }",
                "TOO_MANY_ALIASES",
            ),
            (
                "query @d { a @d ...F } fragment F on Q @d { b }",
                "query @d { a @d ...F @d } fragment F on Q @d { b }",
                "TOO_MANY_DIRECTIVES",
            ),
            (
                "query ($v: I @d) { a(v: $v) @d ... @d { b } }",
                "query ($v: I @d) { a(v: $v) @d ... @d { b @d } }",
                "TOO_MANY_DIRECTIVES",
            ),
            ("{ a b c d e }", "{ a b c d e f }", "TOO_MANY_ROOT_FIELDS"),
            ("{ a(b: { c: [1, 2, 3] }) }", "{ a(b: { c: [1, 2, 3, 4] }) }", "LIST_TOO_LONG"),
            ("{ a(b: [[[1, 2, 3]]]) }", "{ a(b: [[[1, 2, 3, 4]]]) }", "LIST_TOO_LONG"),
            (
                "query ($v: [I] = [1, 2, 3]) { a(v: $v) }",
                "query ($v: [I] = [1, 2, 3, 4]) { a(v: $v) }",
                "LIST_TOO_LONG",
            ),
            (
                "{ ...F } fragment F on Q { a(b: [1, 2, 3]) }",
                "{ ...F } fragment F on Q { a(b: [1, 2, 3, 4]) }",
                "LIST_TOO_LONG",
            ),
            (
                "{ a ... { b ...F } } fragment F on Q { c d e { f } }",
                "{ a ... { b ...F } } fragment F on Q { c d e { f } g }",
                "TOO_MANY_ROOT_FIELDS",
            ),
        ] {
            assert_eq!([code(at), code(over)], ["OK", expected], "{at}");
        }
        let fragments =
            |count: usize| (0..count).map(|n| format!("fragment F{n} on Q {{ a }} ")).collect::<String>();
        assert_eq!(code(&format!("{{ a }} {}", fragments(40))), "OK");
        assert_eq!(code(&format!("{{ a }} {}", fragments(41))), "TOO_MANY_FRAGMENTS");
    }

    #[test]
    fn the_message_says_what_the_limit_is_and_how_much_there_was() {
        let expected = "TOO_MANY_ALIASES: the operation, with its fragments where they are spread, has 4 aliases; at most 3 are allowed";
        assert_eq!(checked("{ x: a y: a z: a w: a }").unwrap_err(), expected);
    }

    #[test]
    fn a_fragment_bomb_is_counted_and_not_set_off() {
        let bomb = |levels: usize| {
            let fragments: String =
                (0..levels).map(|n| format!("fragment F{n} on Q {{ ...F{0} ...F{0} }} ", n + 1)).collect();
            format!("{{ ...F0 }} {fragments} fragment F{levels} on Q {{ a {{ b }} }}")
        };
        assert!(checked(&bomb(30)).unwrap_err().contains("has 1073741824 root fields"));
        let limits = DocumentLimits { fragments: 20_000, root_fields: usize::MAX - 1, ..LIMITS };
        let document = Document::parse(bomb(10_000), "").unwrap();
        let excess = check(&document, &limits).unwrap_err();
        assert_eq!((excess.refusal, excess.message.contains("at least")), (Refusal::TooManyRootFields, true));
    }

    #[test]
    fn fragments_that_spread_themselves_or_are_not_there_are_left_to_the_validation() {
        for document in [
            "{ ...F } fragment F on Q { a ...F }",
            "{ ...F } fragment F on Q { a ...G } fragment G on Q { b ...F }",
            "{ ...Nothing }",
            "{ a { ...F } } fragment F on Q { a } fragment F on Q { b }",
        ] {
            assert_eq!(checked(document), Ok(()), "{document}");
        }
    }

    #[test]
    fn every_operation_of_a_document_is_measured() {
        assert_eq!(code("query A { a } query B { a { b { c { d { e } } } } }"), "QUERY_TOO_DEEP");
    }
}
