//! One page of a list: what a client may ask for, what the store must fetch for it, and what the
//! answer says about its neighbours. After the Relay connection specification
//! (<https://relay.dev/graphql/connections.htm>).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    backfill::{Backfill, BackfillWindow},
    batch::Batch,
    connection::Connection,
    event::Event,
    firing::Firing,
    job::Job,
    list::{Direction, Order, SortField},
    problem::{At, Problem, ProblemCode, keep},
    schedule::Schedule,
    tenant::Tenant,
    token::Token,
    watermark::Watermark,
};

/// The most rows that one page can have.
pub const MAX_PAGE: u32 = 100;
/// How many rows a page has where nobody says otherwise.
pub const DEFAULT_PAGE: u32 = 20;

/// What a client asks for, as it was written.
#[derive(Debug, Clone, Default)]
pub struct PageArgs {
    /// How many rows from the start.
    pub first: Option<i32>,
    /// Only what follows this cursor.
    pub after: Option<String>,
    /// How many rows from the end.
    pub last: Option<i32>,
    /// Only what precedes this cursor.
    pub before: Option<String>,
}

/// The lists that have cursors. A cursor of one is refused by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Tenants.
    Tenants,
    /// Connections.
    Connections,
    /// Batches.
    Batches,
    /// Jobs.
    Jobs,
    /// The history.
    Events,
    /// Tokens.
    Tokens,
    /// Schedules.
    Schedules,
    /// The firings of a schedule.
    Firings,
    /// The watermarks of a schedule.
    Watermarks,
    /// The backfills of a schedule.
    Backfills,
    /// The windows of a backfill.
    Windows,
}

/// From which end of the list a page is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `first`
    Start,
    /// `last`
    Finish,
}

/// A checked request for a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The list.
    pub list: ListKind,
    /// Its order.
    pub order: Order,
    /// From which end the page is cut.
    pub end: End,
    /// How many rows at the most.
    pub limit: u32,
    /// Only rows after this one.
    pub after: Option<Key>,
    /// Only rows before this one.
    pub before: Option<Key>,
}

/// Where a row stands in the order of its list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// What the list is sorted by.
    pub value: SortValue,
    /// The row's id, which decides among equals.
    pub id: Uuid,
}

/// What a row has in the field that its list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SortValue {
    /// The list is sorted by creation, that is by id alone.
    Id,
    /// A point in time, UTC.
    Time(DateTime<Utc>),
    /// A number.
    Number(i32),
}

/// What has a place in a list.
pub trait Keyed {
    /// The list.
    const LIST: ListKind;

    /// Where it stands when the list has this order.
    fn key(&self, order: Order) -> Key;
}

impl Keyed for Tenant {
    const LIST: ListKind = ListKind::Tenants;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for Connection {
    const LIST: ListKind = ListKind::Connections;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for Batch {
    const LIST: ListKind = ListKind::Batches;

    fn key(&self, order: Order) -> Key {
        let value = match order.field {
            SortField::CreatedAt => SortValue::Id,
            SortField::UpdatedAt => SortValue::Time(self.updated_at),
            SortField::Priority => SortValue::Number(self.priority),
        };
        Key { value, id: self.id.uuid() }
    }
}

impl Keyed for Job {
    const LIST: ListKind = ListKind::Jobs;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for Token {
    const LIST: ListKind = ListKind::Tokens;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for Schedule {
    const LIST: ListKind = ListKind::Schedules;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for Firing {
    const LIST: ListKind = ListKind::Firings;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for Watermark {
    const LIST: ListKind = ListKind::Watermarks;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.place }
    }
}

impl Keyed for Backfill {
    const LIST: ListKind = ListKind::Backfills;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.id.uuid() }
    }
}

impl Keyed for BackfillWindow {
    const LIST: ListKind = ListKind::Windows;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: Uuid::from_u128(self.stretch.index.into()) }
    }
}

impl Keyed for Event {
    const LIST: ListKind = ListKind::Events;

    fn key(&self, _: Order) -> Key {
        Key { value: SortValue::Id, id: self.cursor }
    }
}

impl Page {
    /// Checks what a client asks for and says everything that is wrong with it.
    pub fn parse(args: &PageArgs, list: ListKind, order: Order) -> Result<Self, Vec<Problem>> {
        let at = At::Root;
        let mut problems = Vec::new();
        if args.first.is_some() && args.last.is_some() {
            problems.push(at.field("last").problem(
                ProblemCode::InvalidValue,
                "`first` and `last` can't be asked for together; leave one of them out",
            ));
        }
        let (end, rows, at_rows) = match (args.first, args.last) {
            (None, Some(last)) => (End::Finish, Some(last), at.field("last")),
            (first, _) => (End::Start, first, at.field("first")),
        };
        let limit = match rows {
            None => DEFAULT_PAGE,
            Some(rows) => u32::try_from(rows).ok().filter(|rows| *rows <= MAX_PAGE).unwrap_or_else(|| {
                let message = format!("this must be between 0 and {MAX_PAGE}");
                problems.push(at_rows.problem(ProblemCode::OutOfRange, message));
                DEFAULT_PAGE
            }),
        };
        let mut key = |cursor: &Option<String>, name| {
            let cursor = cursor.as_deref()?;
            keep(decode(cursor, list, order, &at.field(name)), &mut problems)
        };
        let after = key(&args.after, "after");
        let before = key(&args.before, "before");
        if problems.is_empty() { Ok(Self { list, order, end, limit, after, before }) } else { Err(problems) }
    }

    /// The direction in which the store walks: from the end that the page is cut from.
    pub fn walk(&self) -> Direction {
        match self.end {
            End::Start => self.order.direction,
            End::Finish => self.order.direction.reversed(),
        }
    }

    /// How many rows the store must fetch: one more than asked for tells whether there are more.
    pub fn rows_to_fetch(&self) -> u64 {
        u64::from(self.limit) + 1
    }

    /// Makes the answer of the rows that the store found, in the order in which it walked.
    pub fn cut<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let (has_previous, has_next) = match self.end {
            End::Start => (self.after.is_some(), more || self.before.is_some()),
            End::Finish => (more || self.after.is_some(), self.before.is_some()),
        };
        if self.end == End::Finish {
            rows.reverse();
        }
        Slice { rows, has_previous, has_next }
    }
}

/// The rows of a page and whether there are others around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<T> {
    /// The rows, in the order of the list.
    pub rows: Vec<T>,
    /// Whether the list goes on before them.
    pub has_previous: bool,
    /// Whether the list goes on after them.
    pub has_next: bool,
}

impl<T> Slice<T> {
    /// The same slice with other rows in place of these, one for one.
    pub fn map<U>(self, change: impl FnOnce(Vec<T>) -> Vec<U>) -> Slice<U> {
        Slice { rows: change(self.rows), has_previous: self.has_previous, has_next: self.has_next }
    }
}

/// The cursor of a row: which list, which order, and where. Opaque to clients.
pub fn encode(key: &Key, list: ListKind, order: Order) -> String {
    let value = match key.value {
        SortValue::Id => String::new(),
        SortValue::Time(time) => time.timestamp_micros().to_string(),
        SortValue::Number(number) => number.to_string(),
    };
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{value}/{}", stamp(list, order), key.id.simple()))
}

/// The problem of a text that is no cursor.
pub fn no_cursor(at: &At<'_>) -> Problem {
    at.problem(ProblemCode::InvalidValue, "this is not a cursor; take one from an answer, as it is")
}

fn decode(cursor: &str, list: ListKind, order: Order, at: &At<'_>) -> Result<Key, Problem> {
    let wrong = |message: &str| at.problem(ProblemCode::InvalidValue, message);
    let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts: Option<[String; 3]> =
        text.and_then(|text| text.split('/').map(str::to_owned).collect::<Vec<_>>().try_into().ok());
    let Some([found, value, id]) = parts else {
        return Err(no_cursor(at));
    };
    if found != stamp(list, order) {
        return Err(wrong("this cursor comes from another list or another order; start again without it"));
    }
    let value = match order.field {
        SortField::CreatedAt => value.is_empty().then_some(SortValue::Id),
        SortField::UpdatedAt => {
            value.parse().ok().and_then(DateTime::from_timestamp_micros).map(SortValue::Time)
        }
        SortField::Priority => value.parse().ok().map(SortValue::Number),
    };
    match (value, Uuid::try_parse(&id)) {
        (Some(value), Ok(id)) => Ok(Key { value, id }),
        _ => Err(wrong("this is not a cursor; take one from an answer, as it is")),
    }
}

/// What a cursor bears to be known again: the list and its order.
fn stamp(list: ListKind, order: Order) -> String {
    let list = match list {
        ListKind::Tenants => "tenants",
        ListKind::Connections => "connections",
        ListKind::Batches => "batches",
        ListKind::Jobs => "jobs",
        ListKind::Events => "events",
        ListKind::Tokens => "tokens",
        ListKind::Schedules => "schedules",
        ListKind::Firings => "firings",
        ListKind::Watermarks => "watermarks",
        ListKind::Backfills => "backfills",
        ListKind::Windows => "windows",
    };
    let field = match order.field {
        SortField::CreatedAt => "created",
        SortField::UpdatedAt => "updated",
        SortField::Priority => "priority",
    };
    let direction = match order.direction {
        Direction::Ascending => "asc",
        Direction::Descending => "desc",
    };
    format!("{list}.{field}.{direction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(args: PageArgs) -> Result<Page, Vec<(ProblemCode, String)>> {
        Page::parse(&args, ListKind::Batches, Order::NEWEST).map_err(|problems| {
            problems.into_iter().map(|problem| (problem.code, problem.path[0].to_string())).collect()
        })
    }

    #[test]
    fn a_page_is_cut_from_one_end_and_of_bounded_size() {
        assert_eq!(parse(PageArgs::default()).unwrap().limit, DEFAULT_PAGE);
        assert_eq!(parse(PageArgs { last: Some(3), ..PageArgs::default() }).unwrap().end, End::Finish);
        let out_of_range = |field: &str| Err(vec![(ProblemCode::OutOfRange, field.to_owned())]);
        assert_eq!(parse(PageArgs { first: Some(-1), ..PageArgs::default() }), out_of_range("first"));
        assert_eq!(parse(PageArgs { last: Some(101), ..PageArgs::default() }), out_of_range("last"));
        let both = PageArgs { first: Some(1), last: Some(1), ..PageArgs::default() };
        assert_eq!(parse(both), Err(vec![(ProblemCode::InvalidValue, "last".to_owned())]));
    }

    #[test]
    fn a_cursor_of_another_list_or_order_is_refused() {
        let key = Key { value: SortValue::Id, id: Uuid::from_u128(7) };
        let after = |cursor: String| parse(PageArgs { after: Some(cursor), ..PageArgs::default() });
        assert_eq!(after(encode(&key, ListKind::Batches, Order::NEWEST)).unwrap().after, Some(key));
        assert!(after(encode(&key, ListKind::Jobs, Order::NEWEST)).is_err());
        assert!(after(encode(&key, ListKind::Batches, Order::OLDEST)).is_err());
        assert!(after("nonsense".into()).is_err());
        assert!(after(String::new()).is_err());
    }

    #[test]
    fn the_answer_knows_its_neighbours() {
        let page = |end, after: bool, before: bool| {
            let key = Some(Key { value: SortValue::Id, id: Uuid::nil() });
            Page {
                end,
                after: key.filter(|_| after),
                before: key.filter(|_| before),
                list: ListKind::Jobs,
                order: Order::OLDEST,
                limit: 2,
            }
        };
        let neighbours = |page: Page, rows: Vec<u8>| {
            let slice = page.cut(rows);
            (slice.rows, slice.has_previous, slice.has_next)
        };
        assert_eq!(neighbours(page(End::Start, false, false), vec![1, 2, 3]), (vec![1, 2], false, true));
        assert_eq!(neighbours(page(End::Start, true, false), vec![1, 2]), (vec![1, 2], true, false));
        assert_eq!(neighbours(page(End::Start, true, true), vec![1]), (vec![1], true, true));
        assert_eq!(neighbours(page(End::Finish, false, false), vec![3, 2, 1]), (vec![2, 3], true, false));
        assert_eq!(neighbours(page(End::Finish, false, true), vec![2, 1]), (vec![1, 2], false, true));
    }

    proptest! {
        #[test]
        fn cursors_read_back_as_they_were_written(micros in any::<i32>(), id in any::<u128>()) {
            let order = Order { field: SortField::UpdatedAt, direction: Direction::Ascending };
            let time = DateTime::from_timestamp_micros(i64::from(micros)).unwrap();
            let key = Key { value: SortValue::Time(time), id: Uuid::from_u128(id) };
            let cursor = encode(&key, ListKind::Jobs, order);
            prop_assert_eq!(decode(&cursor, ListKind::Jobs, order, &At::Root), Ok(key));
        }

        #[test]
        fn no_cursor_makes_the_parser_panic(text in ".*") {
            let _ = decode(&text, ListKind::Jobs, Order::OLDEST, &At::Root);
            let _ = decode(&BASE64_URL_SAFE_NO_PAD.encode(&text), ListKind::Jobs, Order::OLDEST, &At::Root);
        }
    }
}
