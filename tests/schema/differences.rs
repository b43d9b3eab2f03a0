//! How one schema differs from another, and what each difference does to those who use the older one.
//! Descriptions are not compared: no program reads them.

use std::{
    collections::BTreeSet,
    fmt::{self, Display, Formatter},
};

use apollo_compiler::{
    Name, Schema,
    ast::{DirectiveList, OperationType},
    collections::IndexMap,
    schema::{Component, ComponentName, ExtendedType},
    validation::Valid,
};

use crate::{
    in_use::in_use,
    pairs::{Fate, pairs},
};

/// What a difference does to a client that works with the released schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It may stop working.
    Breaking,
    /// It goes on, but may see or bring about what it was not made for.
    Dangerous,
    /// It does not notice.
    Safe,
}

/// One difference.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    pub weight: Weight,
    /// `Type`, `Type.member` or `Type.field(argument)`.
    place: String,
    what: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Breaking => "BREAKING",
            Weight::Dangerous => "dangerous",
            Weight::Safe => "safe",
        };
        write!(f, "{weight}: {} {}", self.place, self.what)
    }
}

/// All differences between two schemas, the gravest first.
pub fn differences(released: &str, current: &str) -> Vec<Difference> {
    let (released, current) = (read(released), read(current));
    let mut comparison = Comparison { in_use: in_use(&released), found: Vec::new() };
    comparison.roots(&released, &current);
    comparison.types(&released, &current);
    comparison.directives(&released, &current);
    comparison.found.sort();
    comparison.found
}

fn read(schema: &str) -> Valid<Schema> {
    Schema::parse_and_validate(schema, "schema.graphql").unwrap()
}

/// The work of comparing. What has to do with fields and what goes into them is in [`crate::members`].
pub struct Comparison {
    /// The types that the released schema led to on a path where nothing was deprecated. A type itself can't be
    /// deprecated: its end is announced by the end of all that leads to it.
    in_use: BTreeSet<String>,
    found: Vec<Difference>,
}

impl Comparison {
    pub fn note(&mut self, weight: Weight, place: &str, what: impl Into<String>) {
        self.found.push(Difference { weight, place: place.to_owned(), what: what.into() });
    }

    /// Notes that something is gone, which only a deprecation can make harmless.
    pub fn removed(&mut self, place: &str, directives: &DirectiveList) {
        if directives.has("deprecated") {
            self.note(Weight::Safe, place, "was deprecated and is removed");
        } else {
            self.note(Weight::Breaking, place, "is removed");
        }
    }

    pub fn deprecation(&mut self, place: &str, was: &DirectiveList, is: &DirectiveList) {
        match (was.has("deprecated"), is.has("deprecated")) {
            (false, true) => self.note(Weight::Safe, place, "is deprecated"),
            (true, false) => self.note(Weight::Safe, place, "is no longer deprecated"),
            (false, false) | (true, true) => {}
        }
    }

    fn roots(&mut self, released: &Schema, current: &Schema) {
        for operation in [OperationType::Query, OperationType::Mutation, OperationType::Subscription] {
            let place = format!("schema.{operation}");
            match (released.root_operation(operation), current.root_operation(operation)) {
                (Some(was), Some(is)) if was != is => {
                    self.note(Weight::Breaking, &place, format!("is {is}, and was {was}"));
                }
                (Some(_), None) => self.note(Weight::Breaking, &place, "is removed"),
                (None, Some(_)) => self.note(Weight::Safe, &place, "is added"),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }

    fn types(&mut self, released: &Schema, current: &Schema) {
        for (name, fate) in pairs(own_types(released), own_types(current)) {
            match fate {
                Fate::Removed(_) if self.in_use.contains(name) => {
                    self.note(Weight::Breaking, name, "is removed");
                }
                Fate::Removed(_) => {
                    self.note(Weight::Safe, name, "is removed, after all that led to it was deprecated");
                }
                Fate::Kept(was, is) => self.kept_type(name, was, is),
                Fate::Added(_) => self.note(Weight::Safe, name, "is added"),
            }
        }
    }

    fn kept_type(&mut self, name: &str, was: &ExtendedType, is: &ExtendedType) {
        match (was, is) {
            (ExtendedType::Scalar(was), ExtendedType::Scalar(is)) => {
                if was.directives.get("specifiedBy") != is.directives.get("specifiedBy") {
                    self.note(Weight::Dangerous, name, "is specified by something else");
                }
            }
            (ExtendedType::Object(was), ExtendedType::Object(is)) => {
                self.names(name, "the interface", &was.implements_interfaces, &is.implements_interfaces);
                self.fields(name, by_name(&was.fields), by_name(&is.fields));
            }
            (ExtendedType::Interface(was), ExtendedType::Interface(is)) => {
                self.names(name, "the interface", &was.implements_interfaces, &is.implements_interfaces);
                self.fields(name, by_name(&was.fields), by_name(&is.fields));
            }
            (ExtendedType::Union(was), ExtendedType::Union(is)) => {
                self.names(name, "the member", &was.members, &is.members);
            }
            (ExtendedType::Enum(was), ExtendedType::Enum(is)) => {
                for (value, fate) in pairs(by_name(&was.values), by_name(&is.values)) {
                    let place = format!("{name}.{value}");
                    match fate {
                        Fate::Removed(was) => self.removed(&place, &was.directives),
                        Fate::Kept(was, is) => self.deprecation(&place, &was.directives, &is.directives),
                        Fate::Added(_) => self.note(Weight::Dangerous, &place, "is added"),
                    }
                }
            }
            (ExtendedType::InputObject(was), ExtendedType::InputObject(is)) => {
                let place = |field: &str| format!("{name}.{field}");
                self.inputs(place, by_name(&was.fields), by_name(&is.fields));
            }
            (was, is) => {
                self.note(Weight::Breaking, name, format!("is {}, and was {}", kind(is), kind(was)));
            }
        }
    }

    /// Interfaces of a type, or members of a union.
    fn names<'a>(
        &mut self,
        place: &str,
        what: &str,
        was: impl IntoIterator<Item = &'a ComponentName>,
        is: impl IntoIterator<Item = &'a ComponentName>,
    ) {
        let named = |name: &'a ComponentName| (name.as_str(), ());
        for (name, fate) in pairs(was.into_iter().map(named), is.into_iter().map(named)) {
            match fate {
                Fate::Removed(()) => self.note(Weight::Breaking, place, format!("loses {what} {name}")),
                Fate::Kept((), ()) => {}
                Fate::Added(()) => self.note(Weight::Dangerous, place, format!("gains {what} {name}")),
            }
        }
    }
}

/// The types that are not the specification's own.
fn own_types(schema: &Schema) -> impl Iterator<Item = (&str, &ExtendedType)> {
    let own = schema.types.iter().filter(|(_, definition)| !definition.is_built_in());
    own.map(|(name, definition)| (name.as_str(), definition))
}

fn by_name<T>(members: &IndexMap<Name, Component<T>>) -> impl Iterator<Item = (&str, &T)> {
    members.iter().map(|(name, member)| (name.as_str(), &***member))
}

fn kind(definition: &ExtendedType) -> &'static str {
    match definition {
        ExtendedType::Scalar(_) => "a scalar",
        ExtendedType::Object(_) => "an object",
        ExtendedType::Interface(_) => "an interface",
        ExtendedType::Union(_) => "a union",
        ExtendedType::Enum(_) => "an enum",
        ExtendedType::InputObject(_) => "an input object",
    }
}
