//! Leaves: values without a selection of their own, and how each is written in the fast way ([`super::fields`]).

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value, parser::types::Field,
    registry::Registry, resolver_utils::EnumType, types::Json as AnyJson,
};
use serde_json::Map;
use type_safe_id::StaticType;

use super::{
    json::Json,
    scalar::{BigCount, DateTime, Since},
};
use crate::domain::{id::Id, text::ObjectName};

/// A value that can be written where it stands: a scalar, an enum, a list of texts, or nothing at all.
///
/// It writes the very text that becomes of its [`OutputType`] in the ordinary way. This file is all that has to be said
/// of a value twice.
pub trait Leaf: OutputType {
    /// Writes it.
    fn write(&self, json: &mut Json);
}

macro_rules! as_serde_has_it {
    ($($leaf:ty),*) => { $(
        impl Leaf for $leaf {
            fn write(&self, json: &mut Json) {
                json.put(self);
            }
        }
    )* };
}

as_serde_has_it!(bool, i32, u32, i64, &str, String);

impl<T: Leaf + Sync> Leaf for Option<T> {
    fn write(&self, json: &mut Json) {
        match self {
            Some(leaf) => leaf.write(json),
            None => json.raw("null"),
        }
    }
}

impl Leaf for DateTime {
    fn write(&self, json: &mut Json) {
        json.quoted(&self.text());
    }
}

impl Leaf for Since {
    fn write(&self, json: &mut Json) {
        match self {
            Self::Written(text) => json.put(text),
            Self::Point(since) => DateTime(since.instant()).write(json),
        }
    }
}

impl Leaf for BigCount {
    fn write(&self, json: &mut Json) {
        json.put(&self.0);
    }
}

/// Writes the name of an enum's value.
pub fn write_choice<T: EnumType>(value: &T, json: &mut Json) {
    match T::items().iter().find(|item| item.value == *value) {
        Some(item) => json.quoted(item.name),
        None => json.raw("null"),
    }
}

/// Makes leaves of enums.
macro_rules! choices {
    ($($choice:ty),* $(,)?) => { $(
        impl $crate::graphql::leaf::Leaf for $choice {
            fn write(&self, json: &mut $crate::graphql::json::Json) {
                $crate::graphql::leaf::write_choice(self, json);
            }
        }
    )* };
}
pub(super) use choices;

/// As the scalar `ID`.
impl<K: StaticType + 'static> OutputType for Id<K> {
    fn type_name() -> Cow<'static, str> {
        <ID as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::String(self.to_string()))
    }
}

impl<K: StaticType + 'static> Leaf for Id<K> {
    fn write(&self, json: &mut Json) {
        json.raw("\"");
        json.raw(K::TYPE);
        json.raw("_");
        json.ascii(&self.suffix());
        json.raw("\"");
    }
}

/// A list of names that is only looked at.
pub struct ObjectNames<'a>(pub &'a [ObjectName]);

impl OutputType for ObjectNames<'_> {
    fn type_name() -> Cow<'static, str> {
        <Vec<String> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<String> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<String> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::List(self.0.iter().map(|name| Value::String(name.to_string())).collect()))
    }
}

impl Leaf for ObjectNames<'_> {
    fn write(&self, json: &mut Json) {
        json.list(self.0, |json, name| {
            json.put(&**name);
            Some(())
        });
    }
}

/// A JSON object that is only looked at, as the scalar `JSON`.
pub struct JsonObject<'a>(pub &'a Map<String, serde_json::Value>);

impl OutputType for JsonObject<'_> {
    fn type_name() -> Cow<'static, str> {
        <AnyJson<serde_json::Value> as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <AnyJson<serde_json::Value> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        AnyJson(self.0).resolve(ctx, field).await
    }
}

impl Leaf for JsonObject<'_> {
    fn write(&self, json: &mut Json) {
        json.put(self.0);
    }
}
