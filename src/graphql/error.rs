//! Problems as user errors, and what goes into `errors`.

use std::sync::Arc;

use async_graphql::{Enum, Error, ErrorExtensionValues, ErrorExtensions, SimpleObject, Value};

use crate::{
    domain::{
        access::Forbidden,
        denial::Denial,
        firing::FiringProblem,
        problem::{Problem, ProblemCode, Segment},
    },
    services,
};

/// What a caller did wrong and can mend.
#[derive(SimpleObject, Debug)]
#[graphql(serial)]
pub struct UserError {
    /// What kind of problem it is: stable, for programs.
    code: UserErrorCode,
    /// What is wrong and what would be right: for people.
    message: String,
    /// The path of the input that caused it, from `input` inward: `["jobs", "3", "object"]`. Empty
    /// when it is the input as a whole.
    field: Vec<String>,
}

/// The kinds of problems that a caller can cause and mend.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "ProblemCode")]
pub enum UserErrorCode {
    /// The id names nothing that you can see.
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
    /// The text is not an ISO 8601 duration.
    InvalidDuration,
    /// The load would delete good data, since an extract that it requires shows only what changed.
    UnsafeDelete,
    /// Another object of this kind bears the name.
    NameTaken,
    /// The object is in a state that does not allow this.
    WrongState,
    /// The object has changed since the version that you have seen.
    StaleVersion,
    /// The idempotency key was used before, with another input.
    IdempotencyConflict,
    /// Some of what follows the cursor in the history was deleted, having been kept long enough.
    HistoryGone,
    /// The lease is not, or no longer, that of a running attempt: whoever held it can change nothing.
    LeaseLost,
    /// Other objects still refer to this one.
    InUse,
    /// The value is given by the system and can't be set or changed.
    ReadOnly,
}

impl From<Problem> for UserError {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code.into(), message: problem.message, field: field(&problem.path) }
    }
}

impl UserError {
    /// What was wrong with a template when its schedule fired.
    pub fn of_firing(problem: &FiringProblem) -> Self {
        let field = problem.path.iter().map(|step| camel_case(step)).collect();
        Self { code: problem.code.into(), message: problem.message.clone(), field }
    }
}

/// A path as GraphQL's clients know it: in camel case.
fn field(path: &[Segment]) -> Vec<String> {
    path.iter()
        .map(|segment| match segment {
            Segment::Field(name) => camel_case(name),
            Segment::Index(index) => index.to_string(),
        })
        .collect()
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}

/// The two halves of a mutation's payload: what was made, or what was wrong.
pub fn payload<T>(result: Result<T, services::Error>) -> async_graphql::Result<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(made) => Ok((Some(made), Vec::new())),
        Err(services::Error::Rejected(problems)) => {
            Ok((None, problems.into_iter().map(UserError::from).collect()))
        }
        Err(services::Error::Forbidden(error)) => Err(forbidden(error)),
        Err(services::Error::Failed(error)) => Err(failure(&error)),
    }
}

/// The error of a query: the caller's problems or our fault.
pub fn query_error(error: services::Error) -> Error {
    of(&error)
}

/// The error of a query whose arguments are wrong. The code is that of the first problem; all of
/// them stand in `extensions.problems`.
pub fn bad_argument(problems: Vec<Problem>) -> Error {
    let message = problems.iter().map(|problem| {
        let place = field(&problem.path).join(".");
        if place.is_empty() { problem.message.clone() } else { format!("{place}: {}", problem.message) }
    });
    let error = Error::new(message.collect::<Vec<_>>().join("\n"));
    error.extend_with(|_, extensions| {
        let code = problems.first().map_or("INVALID_VALUE", |problem| problem.code.name());
        extensions.set("code", code);
        extensions.set("problems", Value::List(problems.iter().map(problem_value).collect()));
    })
}

/// The error of a query whose id is none, or one of another kind.
pub fn bad_id(problem: Problem) -> Error {
    bad_argument(vec![problem])
}

fn problem_value(problem: &Problem) -> Value {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", problem.code.name());
    extensions.set("message", problem.message.as_str());
    extensions.set("field", Value::List(field(&problem.path).into_iter().map(Value::from).collect()));
    Value::from_json(serde_json::to_value(extensions).unwrap_or_default()).unwrap_or_default()
}

/// The caller's role is another one.
pub fn forbidden(error: Forbidden) -> Error {
    Error::new(error.to_string())
        .extend_with(|_, extensions| extensions.set("code", Denial::Forbidden.code()))
}

/// Our own fault, or the database's. The client is told only which of the two; the log says more.
fn failure(error: &services::Failure) -> Error {
    let (code, message) = if error.is_unavailable() {
        tracing::warn!(%error, "the database can't be reached");
        services::UNAVAILABLE
    } else {
        tracing::error!(%error, "a request failed");
        services::INTERNAL
    };
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// What was read a moment ago has been replaced or deleted since: to ask again gives the true answer.
pub fn gone(what: &str) -> Error {
    Error::new(format!("the {what} was changed or deleted just now; ask again"))
        .extend_with(|_, extensions| extensions.set("code", ProblemCode::StaleVersion.name()))
}

/// The error of a loader, whose one failure reaches many waiters.
pub fn loader_error(error: Arc<services::Error>) -> Error {
    of(&error)
}

/// Whose fault it was decides what the client is told.
fn of(error: &services::Error) -> Error {
    match error {
        services::Error::Rejected(problems) => bad_argument(problems.clone()),
        services::Error::Forbidden(error) => forbidden(*error),
        services::Error::Failed(error) => failure(error),
    }
}
