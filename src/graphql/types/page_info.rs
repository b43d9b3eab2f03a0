//! Where a page lies in its list.

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, Object, OutputType, Positioned, ServerResult, Value, parser::types::Field,
    registry::Registry,
};

use crate::{
    domain::{
        list::Order,
        page::{self, Key, ListKind},
    },
    graphql::{
        fields::fields,
        inline::{Kept, Viewed},
        json::Json,
        leaf::Leaf,
    },
};

/// A place in a list, which is written out where somebody asks for it.
#[derive(Clone, Copy)]
pub struct Cursor {
    /// The place.
    pub key: Key,
    /// The list.
    pub list: ListKind,
    /// Its order.
    pub order: Order,
}

impl Cursor {
    fn text(&self) -> String {
        page::encode(&self.key, self.list, self.order)
    }
}

impl OutputType for Cursor {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::String(self.text()))
    }
}

impl Leaf for Cursor {
    fn write(&self, json: &mut Json) {
        json.quoted(&self.text());
    }
}

/// The GraphQL type `PageInfo`.
#[derive(Clone, Copy)]
pub struct PageInfo {
    /// Whether the list goes on before the page.
    pub has_previous: bool,
    /// Whether the list goes on after the page.
    pub has_next: bool,
    /// Where the first of the page stands, if it has one.
    pub start: Option<Cursor>,
    /// Where the last of the page stands, if it has one.
    pub end: Option<Cursor>,
}

impl Viewed for PageInfo {
    type View<'a> = Self;

    fn view(&self) -> Self {
        *self
    }
}

impl Kept for PageInfo {
    fn kept(page: Self) -> Self {
        page
    }
}

fields! {
    /// Information about pagination in a connection
    #[Object(serial)]
    PageInfo |page|;

    /// When paginating backwards, are there more items?
    value has_previous_page: bool = page.has_previous;

    /// When paginating forwards, are there more items?
    value has_next_page: bool = page.has_next;

    /// When paginating backwards, the cursor to continue.
    value start_cursor: Option<Cursor> = page.start;

    /// When paginating forwards, the cursor to continue.
    value end_cursor: Option<Cursor> = page.end;
}
