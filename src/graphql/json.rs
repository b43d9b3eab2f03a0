//! JSON text, written from left to right into one buffer.

use async_graphql::Value;
use serde::Serialize;

/// The text of a JSON value, or the beginning of one.
#[derive(Debug, Default)]
pub struct Json(Vec<u8>);

impl Json {
    /// The text as it was written so far. Nothing but UTF-8 is ever written.
    pub fn into_text(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }

    /// The finished text in the place of the value that it stands for. Nothing else here makes
    /// [`Value::Binary`], and only [`Json::tree`] reads it.
    pub fn into_value(self) -> Value {
        Value::Binary(self.0.into())
    }

    /// Punctuation, keys, and what else is JSON already.
    pub fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Characters of ASCII, as they are.
    pub fn ascii(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    /// Anything that serde knows how to write: texts, numbers, truth values.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Neither a buffer nor what is written here can fail.
        serde_json::to_writer(&mut self.0, value).unwrap_or_default();
    }

    /// A text that has nothing to be escaped.
    pub fn quoted(&mut self, text: &str) {
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    /// A list; `None` when one of its items is given up.
    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Option<()>,
    ) -> Option<()> {
        let mut items = items.into_iter();
        self.raw("[");
        if let Some(first) = items.next() {
            let start = self.0.len();
            write(self, first)?;
            // The others are about as long; the buffer need not grow step by step.
            let length = self.0.len() - start;
            self.0.reserve(items.size_hint().0 * (length + length / 8));
        }
        for item in items {
            self.raw(",");
            write(self, item)?;
        }
        self.raw("]");
        Some(())
    }

    /// What the executor put together, with the texts that stand in it as they are.
    pub fn tree(&mut self, value: &Value) {
        self.0.reserve(length_of_texts(value));
        self.add_tree(value);
    }

    fn add_tree(&mut self, value: &Value) {
        match value {
            Value::Binary(text) => self.0.extend_from_slice(text),
            Value::List(items) => {
                self.list(items, |json, item| {
                    json.add_tree(item);
                    Some(())
                });
            }
            Value::Object(fields) => {
                self.raw("{");
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        self.raw(",");
                    }
                    self.put(key.as_str());
                    self.raw(":");
                    self.add_tree(value);
                }
                self.raw("}");
            }
            Value::Null | Value::Number(_) | Value::String(_) | Value::Boolean(_) | Value::Enum(_) => {
                self.put(value);
            }
        }
    }
}

/// How long the finished texts in it are, with a little for what stands around each.
fn length_of_texts(value: &Value) -> usize {
    const AROUND: usize = 64;
    match value {
        Value::Binary(text) => text.len() + AROUND,
        Value::List(items) => items.iter().map(length_of_texts).sum(),
        Value::Object(fields) => fields.values().map(length_of_texts).sum(),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Boolean(_) | Value::Enum(_) => 0,
    }
}
