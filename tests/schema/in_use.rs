//! The types that clients have to do with.

use std::collections::BTreeSet;

use apollo_compiler::{
    Name, Schema,
    ast::{FieldDefinition, OperationType},
    collections::IndexMap,
    schema::{Component, ExtendedType},
};

/// The types that a client can come across without using anything that is deprecated.
pub fn in_use(schema: &Schema) -> BTreeSet<String> {
    let roots = [OperationType::Query, OperationType::Mutation, OperationType::Subscription];
    let mut todo: Vec<String> =
        roots.iter().filter_map(|root| schema.root_operation(*root)).map(Name::to_string).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if let Some(definition) = schema.types.get(&*name)
            && seen.insert(name.clone())
        {
            todo.extend(led_to(schema, &name, definition));
        }
    }
    seen
}

/// The types that a type leads to at once.
fn led_to(schema: &Schema, name: &str, definition: &ExtendedType) -> Vec<String> {
    match definition {
        ExtendedType::Scalar(_) | ExtendedType::Enum(_) => Vec::new(),
        ExtendedType::Object(object) => {
            let interfaces = object.implements_interfaces.iter().map(|name| name.to_string());
            interfaces.chain(by_fields(&object.fields)).collect()
        }
        ExtendedType::Interface(interface) => {
            let implementers = schema.types.keys().filter(|other| schema.is_subtype(name, other));
            implementers.map(Name::to_string).chain(by_fields(&interface.fields)).collect()
        }
        ExtendedType::Union(union) => union.members.iter().map(|name| name.to_string()).collect(),
        ExtendedType::InputObject(input) => {
            let live = input.fields.values().filter(|field| !field.directives.has("deprecated"));
            live.map(|field| field.ty.inner_named_type().to_string()).collect()
        }
    }
}

fn by_fields(fields: &IndexMap<Name, Component<FieldDefinition>>) -> impl Iterator<Item = String> {
    let live = fields.values().filter(|field| !field.directives.has("deprecated"));
    live.flat_map(|field| {
        let arguments = field.arguments.iter().filter(|argument| !argument.directives.has("deprecated"));
        let of_arguments = arguments.map(|argument| argument.ty.inner_named_type().to_string());
        of_arguments.chain([field.ty.inner_named_type().to_string()])
    })
}
