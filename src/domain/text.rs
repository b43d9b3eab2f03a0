//! Text of a bounded length: names, objects, grains.

use std::{fmt, ops::Deref};

use super::problem::{At, Problem, ProblemCode};

/// A text that is not blank, has at most `MAX` characters and no control characters: a NUL would
/// be refused by PostgreSQL, and a line break in a name breaks every log and table it appears in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

/// The name of a tenant or a connection.
pub type Name = Text<255>;
/// The kind of system that a connection leads to, `postgres` for instance.
pub type Provider = Text<100>;
/// The name of a thing in a system: a table, an endpoint, a stream.
pub type ObjectName = Text<255>;
/// The granularity of a summary report, `daily` for instance.
pub type Grain = Text<64>;
/// What a client sends to make a repeated request harmless.
pub type IdempotencyKey = Text<255>;
/// What a worker calls itself.
pub type WorkerName = Text<255>;

/// Words for people, of one or more lines: at most [`Message::MAX`] bytes, longer ones are cut. A NUL
/// is left out: PostgreSQL refuses it, and to lose the report of a failure for it would be worse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// The longest, in bytes.
    pub const MAX: usize = 8 * 1024;

    /// The words that a client sent, cut to what can be kept.
    pub fn of(mut text: String) -> Self {
        text.retain(|character| character != '\0');
        if text.len() > Self::MAX {
            let end = (0..=Self::MAX - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            text.push('…');
        }
        Self(text)
    }

    /// Words that were stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }
}

impl Deref for Message {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Text<MAX> {
    /// Checks a text that came from outside.
    pub fn parse(text: String, at: &At<'_>) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(at.problem(ProblemCode::Blank, "this must not be blank"));
        }
        let length = text.chars().count();
        if length > MAX {
            return Err(at.problem(
                ProblemCode::TooLong,
                format!("this has {length} characters; at most {MAX} are allowed"),
            ));
        }
        if text.contains(char::is_control) {
            return Err(at.problem(
                ProblemCode::InvalidCharacter,
                "this has a control character (a NUL or a line break, for instance); leave it out",
            ));
        }
        Ok(Self(text))
    }

    /// A text that was checked when it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_and_its_limit_is_named() {
        assert!(Text::<3>::parse("äöü".into(), &At::Root).is_ok());
        let problem = Text::<3>::parse("äöüß".into(), &At::Root).unwrap_err();
        assert_eq!(problem.code, ProblemCode::TooLong);
        assert!(problem.message.contains("at most 3"), "{}", problem.message);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = Message::of(format!("a\0{}", "ß".repeat(Message::MAX)));
        assert!(message.len() <= Message::MAX && message.starts_with("aß") && message.ends_with("ß…"));
        assert_eq!(&*Message::of("two\nlines".into()), "two\nlines");
    }

    #[test]
    fn blank_text_and_control_characters_are_refused() {
        let code = |text: &str| Text::<9>::parse(text.into(), &At::Root).unwrap_err().code;
        assert_eq!(code(""), ProblemCode::Blank);
        assert_eq!(code(" \t"), ProblemCode::Blank);
        assert_eq!(code("a\0b"), ProblemCode::InvalidCharacter);
        assert_eq!(code("a\nb"), ProblemCode::InvalidCharacter);
    }
}
