//! What somebody may have meant who named something that the schema does not have.

use apollo_compiler::{Schema, schema::ExtendedType, validation::DiagnosticData};

/// Longer names are not compared with others: that takes time with the square of their length.
const LONGEST_NAME: usize = 64;
/// The most names that are given.
const MOST: usize = 3;

/// A sentence for the end of the message, where names of the schema are near. The names stand in the
/// message only, each between backticks.
pub fn hint(error: &DiagnosticData, schema: &Schema) -> Option<String> {
    let message = error.to_string();
    let mut named = message.split('`').skip(1).step_by(2);
    let (wrong, mut near) = match error.unstable_error_name()? {
        "UndefinedField" => {
            let (of, field) = (named.next()?, named.next()?);
            (field, near(field, fields(schema.types.get(of)?)))
        }
        "UndefinedArgument" => {
            let (argument, (of, field)) = (named.next()?, named.next()?.split_once('.')?);
            let definition = schema.type_field(of, field).ok()?;
            (argument, near(argument, definition.arguments.iter().map(|argument| argument.name.as_str())))
        }
        _ => return None,
    };
    near.retain(|name| *name != wrong);
    let names: Vec<String> = near.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("; did you mean {}?", names.join(" or ")))
}

fn fields(of: &ExtendedType) -> Vec<&str> {
    match of {
        ExtendedType::Object(object) => object.fields.keys().map(|name| name.as_str()).collect(),
        ExtendedType::Interface(interface) => interface.fields.keys().map(|name| name.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// The names that differ from `wrong` in a few letters, the nearest first.
fn near<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if wrong.len() > LONGEST_NAME {
        return Vec::new();
    }
    let far = wrong.len().div_ceil(3);
    let distance = |name: &str| strsim::osa_distance(&wrong.to_lowercase(), &name.to_lowercase());
    let mut near: Vec<(usize, &str)> = names.into_iter().map(|name| (distance(name), name)).collect();
    near.retain(|(distance, _)| *distance <= far);
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).collect()
}
