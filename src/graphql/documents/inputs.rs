//! How much the values are that a request gives to variables.

use std::io::{Result as Written, Write};

use serde_json::Value;

use super::measure::{Excess, within};
use crate::domain::{documents::DocumentLimits, refusal::Refusal};

/// Refuses values that are over a limit.
pub fn check(variables: &Value, limits: &DocumentLimits) -> Result<(), Excess> {
    if variables.is_null() {
        return Ok(());
    }
    let mut size = Size::default();
    size.add(variables, 1);
    let bytes = bytes(variables);
    within(Refusal::VariablesTooLarge, "the variables take", bytes, "bytes as JSON", limits.variable_bytes)?;
    within(
        Refusal::VariablesTooDeep,
        "the variables nest",
        size.depth,
        "levels deep",
        limits.variable_depth,
    )?;
    within(Refusal::ListTooLong, "a list in the variables has", size.longest, "items", limits.list_items)
}

#[derive(Default)]
struct Size {
    /// How deep objects and lists stand in each other. The reader of JSON bounds it, too: this is recursive.
    depth: usize,
    /// How many items the longest list has.
    longest: usize,
}

impl Size {
    fn add(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
            Value::Array(items) => {
                self.longest = self.longest.max(items.len());
                items.iter().for_each(|item| self.add(item, depth + 1));
            }
            Value::Object(fields) => fields.values().for_each(|field| self.add(field, depth + 1)),
        }
        self.depth = self.depth.max(depth);
    }
}

/// How long a value is as JSON without spaces, in bytes.
fn bytes(value: &Value) -> usize {
    let mut count = Count(0);
    // Nothing can fail here: it is only counted.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Counts what is written.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> Written<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Written<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: DocumentLimits =
        DocumentLimits { variable_bytes: 30, variable_depth: 4, list_items: 3, ..DocumentLimits::DEFAULT };

    fn refusal(variables: &Value) -> Option<Refusal> {
        check(variables, &LIMITS).err().map(|excess| excess.refusal)
    }

    #[test]
    fn what_is_at_a_limit_passes_and_what_is_over_it_does_not() {
        for (at, over, expected) in [
            (json!({ "a": "x".repeat(22) }), json!({ "a": "x".repeat(23) }), Refusal::VariablesTooLarge),
            (json!({ "a": [{ "b": [] }] }), json!({ "a": [{ "b": [[]] }] }), Refusal::VariablesTooDeep),
            (json!({ "a": { "b": [1, 2, 3] } }), json!({ "a": { "b": [1, 2, 3, 4] } }), Refusal::ListTooLong),
        ] {
            assert_eq!([refusal(&at), refusal(&over)], [None, Some(expected)], "{over}");
        }
        assert_eq!(refusal(&Value::Null), None);
    }

    #[test]
    fn the_message_says_what_the_limit_is_and_how_much_there_was() {
        let excess = check(&json!({ "a": [1, 2, 3, 4] }), &LIMITS).unwrap_err();
        assert_eq!(excess.message, "a list in the variables has 4 items; at most 3 are allowed");
    }
}
