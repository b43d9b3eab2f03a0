//! Whether the values that a request gives to variables are of their types. JSON does not tell `1.0` from `1`: a number
//! without a fraction is made an integer, where one is wanted.

use apollo_compiler::{
    Node, Schema,
    ast::{Type, VariableDefinition},
    schema::{ExtendedType, InputObjectType},
};
use serde_json::{Map, Value};

/// A value that does not fit.
#[derive(Debug)]
struct Misfit {
    /// Where in the value it is, from the inside outward.
    path: Vec<String>,
    wanted: String,
}

type Checked = Result<(), Misfit>;

/// What is wrong with the value of a variable; `None` when nothing is, and the value is as the executor takes it.
pub fn misfit(
    definition: &Node<VariableDefinition>,
    values: &mut Map<String, Value>,
    schema: &Schema,
) -> Option<String> {
    let name = &definition.name;
    let Some(value) = values.get_mut(name.as_str()) else {
        let is_required = definition.ty.is_non_null() && definition.default_value.is_none();
        return is_required
            .then(|| format!("variable `${name}` of the required type `{}` is missing", definition.ty));
    };
    let misfit = check(value, &definition.ty, schema).err()?;
    let path: Vec<&str> = misfit.path.iter().rev().map(String::as_str).collect();
    let place = if path.is_empty() { String::new() } else { format!(" at `{}`", path.join(".")) };
    Some(format!("variable `${name}` does not fit{place}: {}", misfit.wanted))
}

fn check(value: &mut Value, wanted: &Type, schema: &Schema) -> Checked {
    match (value, wanted) {
        (Value::Null, _) if wanted.is_non_null() => misses(format!("`{wanted}` must not be null")),
        (Value::Null, _) => Ok(()),
        (Value::Array(items), Type::List(item) | Type::NonNullList(item)) => {
            items.iter_mut().enumerate().try_for_each(|(index, value)| {
                check(value, item, schema).map_err(|misfit| misfit.within(&index.to_string()))
            })
        }
        // A list of one may be written as its item.
        (one, Type::List(item) | Type::NonNullList(item)) => check(one, item, schema),
        (one, Type::Named(name) | Type::NonNullNamed(name)) => named(one, name, schema),
    }
}

fn named(value: &mut Value, name: &str, schema: &Schema) -> Checked {
    let fits = match schema.types.get(name) {
        Some(ExtendedType::InputObject(input)) => return object(value, input, schema),
        Some(ExtendedType::Enum(of)) => value.as_str().is_some_and(|value| of.values.contains_key(value)),
        // Our own scalars say themselves what they take.
        _ => match name {
            "Int" => {
                make_whole(value);
                value.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            "Float" => value.is_number(),
            "String" => value.is_string(),
            "Boolean" => value.is_boolean(),
            "ID" => value.is_string() || value.is_i64() || value.is_u64(),
            _ => true,
        },
    };
    if fits { Ok(()) } else { misses(format!("this is no value of `{name}`")) }
}

/// Makes a number without a fraction an integer, if it is one that `Int` could hold.
fn make_whole(value: &mut Value) {
    let whole = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= f64::from(u32::MAX));
    if let Some(number) = whole {
        *value = Value::from(number as i64);
    }
}

fn object(value: &mut Value, input: &InputObjectType, schema: &Schema) -> Checked {
    let Value::Object(fields) = value else {
        return misses(format!("`{}` is a JSON object", input.name));
    };
    if let Some(unknown) = fields.keys().find(|field| !input.fields.contains_key(field.as_str())) {
        return misses(format!("`{}` has no field `{unknown}`", input.name));
    }
    input.fields.iter().try_for_each(|(name, field)| match fields.get_mut(name.as_str()) {
        Some(value) => check(value, &field.ty, schema).map_err(|misfit| misfit.within(name)),
        None if field.is_required() => misses(format!("the required field `{name}` is missing")),
        None => Ok(()),
    })
}

fn misses(wanted: String) -> Checked {
    Err(Misfit { path: Vec::new(), wanted })
}

impl Misfit {
    fn within(mut self, step: &str) -> Self {
        self.path.push(step.to_owned());
        self
    }
}
