//! Typed ids: a UUIDv7 that knows what kind of object it names.
//!
//! Outside they are written as TypeIDs (<https://github.com/jetify-com/typeid>): the kind, an
//! underscore and the UUID in Crockford's base 32. One id names one thing everywhere.

use std::{
    cmp::Ordering,
    fmt::{self, Write},
    hash,
    marker::PhantomData,
};

use chrono::{DateTime, Utc};
use type_safe_id::{DynamicType, StaticType, TypeSafeId};
use uuid::{ContextV7, Timestamp, Uuid};

use super::problem::{At, Problem, ProblemCode};

/// The id of an object of kind `K`.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:ident, $prefix:literal;)*) => {
        /// The kinds of objects that have ids. Markers only, never made.
        pub mod kind {
            $(
                #[doc = concat!("Marks ids that begin with `", $prefix, "_`.")]
                #[derive(Default)]
                pub struct $kind;
                impl type_safe_id::StaticType for $kind { const TYPE: &'static str = $prefix; }
            )*
        }
        $( $(#[$doc])* pub type $id = Id<kind::$kind>; )*

        /// The id of an object of any kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AnyId { $( $(#[$doc])* $kind($id), )* }

        impl AnyId {
            /// Reads an id of any kind.
            pub fn parse(text: &str, at: &At<'_>) -> Result<Self, Problem> {
                let (prefix, uuid) = split(text, at)?;
                match prefix.as_str() {
                    $( $prefix => Ok(Self::$kind(Id::from_uuid(uuid))), )*
                    unknown => Err(at.problem(ProblemCode::WrongIdKind, format!(
                        "there are no ids of the kind {unknown:?}; the kinds are {}",
                        [$($prefix),*].join(", "),
                    ))),
                }
            }
        }
    };
}

kinds! {
    /// Names a tenant.
    Tenant, TenantId, "tenant";
    /// Names a connection.
    Connection, ConnectionId, "connection";
    /// Names a batch.
    Batch, BatchId, "batch";
    /// Names a job.
    Job, JobId, "job";
    /// Names a schedule.
    Schedule, ScheduleId, "schedule";
    /// Names a firing of a schedule.
    Firing, FiringId, "firing";
    /// Names a backfill.
    Backfill, BackfillId, "backfill";
    /// Names a token.
    Token, TokenId, "token";
}

/// Ids made within one millisecond still rise, so that ids sort as they were made.
static CONTEXT: std::sync::Mutex<ContextV7> = std::sync::Mutex::new(ContextV7::new());

/// What no id has yet, for what has a place in a list and needs no id. Rises as ids do.
pub fn rising(now: DateTime<Utc>) -> Uuid {
    let seconds = now.timestamp().max(0).unsigned_abs();
    Uuid::new_v7(Timestamp::from_unix(&CONTEXT, seconds, now.timestamp_subsec_nanos()))
}

impl<K: StaticType> Id<K> {
    /// A new id, made at `now`. Within one process a later id is always the greater one.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(rising(now), PhantomData)
    }

    /// The id with these bits, as a database row has it.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The bits of the id, as a database row wants them.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// What follows the underscore when the id is written: the bits in Crockford's base 32, five to a
    /// digit, the highest first.
    pub fn suffix(self) -> [u8; SUFFIX] {
        let mut suffix = [0; SUFFIX];
        let mut bits = self.0.as_u128();
        for pair in suffix.rchunks_exact_mut(2) {
            pair.copy_from_slice(&PAIRS[bits as usize % PAIRS.len()]);
            bits /= PAIRS.len() as u128;
        }
        suffix
    }

    /// The id with this [suffix](Self::suffix).
    pub fn from_suffix(suffix: &str) -> Option<Self> {
        Self::parse(&format!("{}_{suffix}", K::TYPE), &At::Root).ok()
    }

    /// Reads an id of this kind. An id of another kind is refused with the kind that was expected.
    pub fn parse(text: &str, at: &At<'_>) -> Result<Self, Problem> {
        let (prefix, uuid) = split(text, at)?;
        if prefix == K::TYPE {
            return Ok(Self::from_uuid(uuid));
        }
        Err(at.problem(
            ProblemCode::WrongIdKind,
            format!(
                "this is the id of a {prefix}; the id of a {expected} is expected, {expected}_…",
                expected = K::TYPE
            ),
        ))
    }
}

/// All pairs of digits of a suffix: a page has some thousand ids.
const PAIRS: [[u8; 2]; 1024] = {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut pairs = [[0; 2]; 1024];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [DIGITS[number / 32], DIGITS[number % 32]];
        number += 1;
    }
    pairs
};

/// How many digits follow the underscore.
pub const SUFFIX: usize = 26;

/// The longest prefix that the TypeID specification allows, with the underscore and the suffix.
const MAX_LENGTH: usize = 63 + 1 + SUFFIX;

fn split(text: &str, at: &At<'_>) -> Result<(String, Uuid), Problem> {
    let parsed = if text.len() <= MAX_LENGTH && text.is_ascii() && text.contains('_') {
        text.parse::<TypeSafeId<DynamicType>>().ok()
    } else {
        None
    };
    match parsed {
        Some(id) => Ok((id.type_prefix().to_owned(), id.uuid())),
        None => Err(at.problem(
            ProblemCode::InvalidId,
            "this is not an id; an id is a kind, an underscore and 26 characters, as the API gave it",
        )),
    }
}

impl<K: StaticType> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::TYPE)?;
        f.write_str("_")?;
        self.suffix().iter().try_for_each(|digit| f.write_char(char::from(*digit)))
    }
}

impl<K: StaticType> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// By hand, since derives would ask the same of `K`.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_rise_in_the_order_they_are_made() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
        let ids: Vec<JobId> = (0..10_000).map(|_| JobId::new(now)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_kind_that_was_expected() {
        let job = JobId::new(DateTime::UNIX_EPOCH).to_string();
        let problem = BatchId::parse(&job, &At::Root).unwrap_err();
        assert_eq!(problem.code, ProblemCode::WrongIdKind);
        assert!(problem.message.contains("job") && problem.message.contains("batch_"));
        assert_eq!(
            AnyId::parse("user_01h2xcejqtf2nbrexx3vqjhp41", &At::Root).unwrap_err().code,
            ProblemCode::WrongIdKind
        );
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        let long = format!("{}é_", "x".repeat(62));
        for text in [
            "",
            "_",
            "batch",
            "batch_",
            "01k9",
            "batch_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "batch_01K9ZZZZZZZZZZZZZZZZZZZZZZ",
            &long,
        ] {
            assert_eq!(BatchId::parse(text, &At::Root).unwrap_err().code, ProblemCode::InvalidId, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_reads_back_as_it_was_written(bits in any::<u128>()) {
            let id = ConnectionId::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string(), TypeSafeId::<kind::Connection>::from_uuid(id.uuid()).to_string());
            prop_assert_eq!(ConnectionId::parse(&id.to_string(), &At::Root), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = AnyId::parse(&text, &At::Root);
        }
    }
}
