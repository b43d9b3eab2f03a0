//! Points in time.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{SecondsFormat, Utc};

use crate::domain::{self, problem::At};

/// The GraphQL scalar `DateTime`.
#[derive(Clone, Copy)]
pub struct DateTime(pub chrono::DateTime<Utc>);

/// A point in time in RFC 3339, always UTC: `2026-11-23T20:15:00.123456Z`.
#[Scalar(name = "DateTime", specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(chrono::DateTime::parse_from_rfc3339(text)?.to_utc())),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.text())
    }
}

impl DateTime {
    /// As it is answered.
    pub fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

/// The GraphQL scalar `Since`.
#[derive(Clone)]
pub enum Since {
    /// As a client wrote it; the domain says whether it is a point in time, so that the answer is a
    /// user error with its path.
    Written(String),
    /// As the API answers it.
    Point(domain::since::Since),
}

/// A point in time. You may write Unix seconds (`1262304000` or `"1262304000"`), an ISO 8601 date
/// (`"2010-01-01"`, midnight UTC) or RFC 3339 (`"2010-01-01T00:00:00Z"`), between the years 1 and
/// 9999. It is always answered in RFC 3339, UTC.
#[Scalar(name = "Since")]
impl ScalarType for Since {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self::Written(text)),
            Value::Number(number) => Ok(Self::Written(number.to_string())),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(match self {
            Self::Written(text) => text.clone(),
            Self::Point(since) => DateTime(since.instant()).text(),
        })
    }
}

impl From<domain::since::Since> for Since {
    fn from(since: domain::since::Since) -> Self {
        Self::Point(since)
    }
}

impl Since {
    /// One that was stored as a client wrote it.
    pub fn stored(text: String) -> Self {
        match domain::since::Since::parse(&text, &At::Root) {
            Ok(since) => Self::Point(since),
            Err(_) => Self::Written(text),
        }
    }

    /// What the client wrote.
    pub fn into_text(self) -> String {
        match self {
            Self::Written(text) => text,
            Self::Point(since) => since.to_string(),
        }
    }
}

/// The GraphQL scalar `BigCount`.
#[derive(Clone, Copy)]
pub struct BigCount(pub i64);

/// A count that may be too large for `Int`: a whole number from 0 to 9223372036854775807. It is answered as a
/// JSON number; you may write a number or its digits in a string.
#[Scalar(name = "BigCount")]
impl ScalarType for BigCount {
    fn parse(value: Value) -> InputValueResult<Self> {
        let count = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        count.map(Self).ok_or_else(|| InputValueError::expected_type(value))
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}
