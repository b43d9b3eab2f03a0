//! Differences of fields, of what goes into them, and of directives.

use apollo_compiler::{
    Node, Schema,
    ast::{DirectiveDefinition, DirectiveLocation, FieldDefinition, InputValueDefinition},
};

use crate::{
    differences::{Comparison, Weight},
    pairs::{Fate, pairs},
};

impl Comparison {
    pub fn fields<'a>(
        &mut self,
        parent: &str,
        was: impl Iterator<Item = (&'a str, &'a FieldDefinition)>,
        is: impl Iterator<Item = (&'a str, &'a FieldDefinition)>,
    ) {
        for (name, fate) in pairs(was, is) {
            let place = format!("{parent}.{name}");
            match fate {
                Fate::Removed(was) => self.removed(&place, &was.directives),
                Fate::Kept(was, is) => self.field(&place, was, is),
                Fate::Added(_) => self.note(Weight::Safe, &place, "is added"),
            }
        }
    }

    fn field(&mut self, place: &str, was: &FieldDefinition, is: &FieldDefinition) {
        self.deprecation(place, &was.directives, &is.directives);
        if was.ty != is.ty {
            // Whoever expected the released type takes the new one in its place.
            let weight = if is.ty.is_assignable_to(&was.ty) { Weight::Safe } else { Weight::Breaking };
            self.note(weight, place, format!("is {}, and was {}", is.ty, was.ty));
        }
        let argument = |name: &str| format!("{place}({name})");
        self.inputs(argument, arguments(&was.arguments), arguments(&is.arguments));
    }

    /// Compares arguments, or the fields of an input object.
    pub fn inputs<'a>(
        &mut self,
        place: impl Fn(&str) -> String,
        was: impl Iterator<Item = (&'a str, &'a InputValueDefinition)>,
        is: impl Iterator<Item = (&'a str, &'a InputValueDefinition)>,
    ) {
        for (name, fate) in pairs(was, is) {
            let place = place(name);
            match fate {
                Fate::Removed(was) => self.removed(&place, &was.directives),
                Fate::Kept(was, is) => self.input(&place, was, is),
                Fate::Added(is) if is.is_required() => {
                    self.note(Weight::Breaking, &place, "is added, and must be given");
                }
                Fate::Added(_) => self.note(Weight::Safe, &place, "is added"),
            }
        }
    }

    fn input(&mut self, place: &str, was: &InputValueDefinition, is: &InputValueDefinition) {
        self.deprecation(place, &was.directives, &is.directives);
        if was.ty != is.ty {
            // A variable of the released type still fits.
            let weight = if was.ty.is_assignable_to(&is.ty) { Weight::Safe } else { Weight::Breaking };
            self.note(weight, place, format!("is {}, and was {}", is.ty, was.ty));
        }
        match (&was.default_value, &is.default_value) {
            (Some(_), None) if is.is_required() => {
                self.note(Weight::Breaking, place, "must be given, and had a default");
            }
            (was, is) if was != is => {
                let shown = |value: &Option<_>| value.as_ref().map_or("nothing".to_owned(), Node::to_string);
                self.note(
                    Weight::Dangerous,
                    place,
                    format!("is {} by default, and was {}", shown(is), shown(was)),
                );
            }
            (_, _) => {}
        }
    }

    pub fn directives(&mut self, released: &Schema, current: &Schema) {
        for (name, fate) in pairs(directives(released), directives(current)) {
            let place = format!("@{name}");
            match fate {
                Fate::Removed(_) => self.note(Weight::Breaking, &place, "is removed"),
                Fate::Kept(was, is) => self.directive(&place, was, is),
                Fate::Added(_) => self.note(Weight::Safe, &place, "is added"),
            }
        }
    }

    fn directive(&mut self, place: &str, was: &DirectiveDefinition, is: &DirectiveDefinition) {
        let argument = |name: &str| format!("{place}({name})");
        self.inputs(argument, arguments(&was.arguments), arguments(&is.arguments));
        match (was.repeatable, is.repeatable) {
            (true, false) => self.note(Weight::Breaking, place, "is no longer repeatable"),
            (false, true) => self.note(Weight::Safe, place, "is repeatable"),
            (true, true) | (false, false) => {}
        }
        let places = |of: &'_ DirectiveDefinition| of.locations.clone();
        let named = |location: &DirectiveLocation| (location.name(), ());
        let (was, is) = (places(was), places(is));
        for (location, fate) in pairs(was.iter().map(named), is.iter().map(named)) {
            match fate {
                Fate::Removed(()) => {
                    self.note(Weight::Breaking, place, format!("may no longer stand on {location}"));
                }
                Fate::Kept((), ()) => {}
                Fate::Added(()) => self.note(Weight::Safe, place, format!("may stand on {location}")),
            }
        }
    }
}

fn arguments(list: &[Node<InputValueDefinition>]) -> impl Iterator<Item = (&str, &InputValueDefinition)> {
    list.iter().map(|argument| (argument.name.as_str(), &**argument))
}

fn directives(schema: &Schema) -> impl Iterator<Item = (&str, &DirectiveDefinition)> {
    schema.directive_definitions.iter().map(|(name, definition)| (name.as_str(), &**definition))
}
