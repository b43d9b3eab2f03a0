//! What is wrong with an input: the code, the place, and a sentence that says what would be right.
//!
//! Validation never stops at the first problem: it collects them all and says them at once.

use std::fmt;

/// One thing that is wrong with an input and that its sender can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is: stable, for programs.
    pub code: ProblemCode,
    /// What is wrong and what would be right: one sentence, for people.
    pub message: String,
    /// The place in the input that caused it; empty when it is the input as a whole.
    pub path: Vec<Segment>,
}

/// The kinds of problems. Both interfaces show them under these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemCode {
    /// The id names nothing that the caller can see.
    NotFound,
    /// The id is one of another kind of object.
    WrongIdKind,
    /// The text is not an id.
    InvalidId,
    /// A text or a list that must hold something is empty.
    Blank,
    /// A text or a document is longer than allowed.
    TooLong,
    /// There are more items than allowed.
    TooMany,
    /// A number lies outside of its range.
    OutOfRange,
    /// A text has a control character, a NUL for instance.
    InvalidCharacter,
    /// The value is not one that this field takes.
    InvalidValue,
    /// Two jobs of the batch share type, object, grain and connection.
    DuplicateJob,
    /// No job of the batch provides the required object, or no job of the schedule has it.
    UnknownObject,
    /// Jobs require each other in a circle; none of them could ever start.
    DependencyCycle,
    /// The text is not a point in time.
    InvalidSince,
    /// The text is no cron expression, or one that is never due.
    InvalidCron,
    /// The text is not the name of a time zone.
    InvalidTimeZone,
    /// The text is not a duration.
    InvalidDuration,
    /// The load would delete good data, since an extract that it requires shows only what changed.
    UnsafeDelete,
    /// Another object of this kind bears the name.
    NameTaken,
    /// The object is in a state that does not allow this.
    WrongState,
    /// The object has changed since the version that the caller has seen.
    StaleVersion,
    /// The idempotency key was used before, with another input.
    IdempotencyConflict,
    /// Some of what follows the cursor in the history is not kept any more.
    HistoryGone,
    /// The lease is not, or no longer, that of a running attempt.
    LeaseLost,
    /// Other objects still refer to this one.
    InUse,
    /// The value is given by the system and can't be set or changed.
    ReadOnly,
}

impl ProblemCode {
    const ALL: [Self; 25] = [
        Self::NotFound,
        Self::WrongIdKind,
        Self::InvalidId,
        Self::Blank,
        Self::TooLong,
        Self::TooMany,
        Self::OutOfRange,
        Self::InvalidCharacter,
        Self::InvalidValue,
        Self::DuplicateJob,
        Self::UnknownObject,
        Self::DependencyCycle,
        Self::InvalidSince,
        Self::InvalidCron,
        Self::InvalidTimeZone,
        Self::InvalidDuration,
        Self::UnsafeDelete,
        Self::NameTaken,
        Self::WrongState,
        Self::StaleVersion,
        Self::IdempotencyConflict,
        Self::HistoryGone,
        Self::LeaseLost,
        Self::InUse,
        Self::ReadOnly,
    ];

    /// The code with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The name that programs see, `NOT_FOUND` for instance.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::WrongIdKind => "WRONG_ID_KIND",
            Self::InvalidId => "INVALID_ID",
            Self::Blank => "BLANK",
            Self::TooLong => "TOO_LONG",
            Self::TooMany => "TOO_MANY",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::InvalidCharacter => "INVALID_CHARACTER",
            Self::InvalidValue => "INVALID_VALUE",
            Self::DuplicateJob => "DUPLICATE_JOB",
            Self::UnknownObject => "UNKNOWN_OBJECT",
            Self::DependencyCycle => "DEPENDENCY_CYCLE",
            Self::InvalidSince => "INVALID_SINCE",
            Self::InvalidCron => "INVALID_CRON",
            Self::InvalidTimeZone => "INVALID_TIME_ZONE",
            Self::InvalidDuration => "INVALID_DURATION",
            Self::UnsafeDelete => "UNSAFE_DELETE",
            Self::NameTaken => "NAME_TAKEN",
            Self::WrongState => "WRONG_STATE",
            Self::StaleVersion => "STALE_VERSION",
            Self::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            Self::HistoryGone => "HISTORY_GONE",
            Self::LeaseLost => "LEASE_LOST",
            Self::InUse => "IN_USE",
            Self::ReadOnly => "READ_ONLY",
        }
    }
}

/// One step of a path into an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// A field, in snake case; GraphQL shows it in camel case.
    Field(&'static str),
    /// An item of a list, counted from 0.
    Index(usize),
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A place in an input, built while descending into it. It lives on the stack, so that an input
/// without problems costs no allocation.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// The input as a whole.
    Root,
    /// A field of a place.
    Field(&'a At<'a>, &'static str),
    /// An item of a place.
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// The field `name` of this place.
    pub fn field(&self, name: &'static str) -> At<'_> {
        At::Field(self, name)
    }

    /// The item `index` of this place.
    pub fn index(&self, index: usize) -> At<'_> {
        At::Index(self, index)
    }

    /// A problem at this place.
    pub fn problem(&self, code: ProblemCode, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), path: self.path() }
    }

    /// The steps that lead here from the outside.
    pub fn path(&self) -> Vec<Segment> {
        let (mut path, last) = match self {
            Self::Root => return Vec::new(),
            Self::Field(parent, name) => (parent.path(), Segment::Field(name)),
            Self::Index(parent, index) => (parent.path(), Segment::Index(*index)),
        };
        path.push(last);
        path
    }
}

impl Problem {
    /// What is wrong with a template of which nobody has sent more than whose it is.
    pub fn of_template(&self) -> String {
        let place: Vec<String> = self.path.iter().map(ToString::to_string).collect();
        format!("its template does not do any more, at {}: {}", place.join("."), self.message)
    }

    /// The same problem seen from further out: `prefix` is put before its path.
    pub fn under(mut self, prefix: &[Segment]) -> Self {
        self.path.splice(0..0, prefix.iter().copied());
        self
    }
}

/// Keeps the value of a success and collects the problem of a failure.
pub fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_place_from_the_outside_in() {
        let jobs = At::Root.field("jobs");
        let job = jobs.index(3);
        let problem = job.field("object").problem(ProblemCode::Blank, "…");
        let path: Vec<String> = problem
            .under(&[Segment::Field("batches"), Segment::Index(1)])
            .path
            .iter()
            .map(Segment::to_string)
            .collect();
        assert_eq!(path, ["batches", "1", "jobs", "3", "object"]);
    }
}
