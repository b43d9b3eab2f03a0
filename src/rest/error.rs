//! Everything that can go wrong, as a problem document.

use actix_web::{HttpResponse, http::StatusCode};

use super::problem::{Item, ProblemDocument};
use crate::{
    domain::{
        denial::Denial,
        problem::{Problem, ProblemCode, Segment},
    },
    services::{self, Error},
};

/// The response to a request that was not done.
pub fn refused(error: Error) -> HttpResponse {
    match error {
        Error::Rejected(problems) => rejected(problems).response(),
        Error::Forbidden(error) => {
            ProblemDocument::new(StatusCode::FORBIDDEN, Denial::Forbidden.code(), error.to_string())
                .response()
        }
        Error::Failed(error) if error.is_unavailable() => {
            tracing::warn!(%error, "the database can't be reached");
            let (code, detail) = services::UNAVAILABLE;
            ProblemDocument::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).response()
        }
        Error::Failed(error) => {
            tracing::error!(%error, "a request failed");
            let (code, detail) = services::INTERNAL;
            ProblemDocument::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail).response()
        }
    }
}

/// The response to a body that has not the shape of the documentation.
pub fn misshapen(items: Vec<Item>) -> HttpResponse {
    document(StatusCode::BAD_REQUEST, items).response()
}

/// The response to a body that can't be read at all.
pub fn unreadable(status: StatusCode, code: &'static str, detail: &str) -> HttpResponse {
    ProblemDocument::new(status, code, detail).response()
}

fn rejected(problems: Vec<Problem>) -> ProblemDocument {
    let status = problems.iter().find_map(status_of_its_own).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    document(status, problems.into_iter().map(item).collect())
}

/// The status of a problem with the request as such, and not with a value in it.
fn status_of_its_own(problem: &Problem) -> Option<StatusCode> {
    let about_the_batch = matches!(problem.path[..], [Segment::Field("id")]);
    match problem.code {
        ProblemCode::NotFound | ProblemCode::InvalidId | ProblemCode::WrongIdKind => {
            about_the_batch.then_some(StatusCode::NOT_FOUND)
        }
        ProblemCode::WrongState | ProblemCode::LeaseLost => about_the_batch.then_some(StatusCode::CONFLICT),
        ProblemCode::StaleVersion if problem.path.is_empty() => Some(StatusCode::CONFLICT),
        ProblemCode::StaleVersion => Some(StatusCode::PRECONDITION_FAILED),
        ProblemCode::IdempotencyConflict | ProblemCode::InUse | ProblemCode::NameTaken => {
            Some(StatusCode::CONFLICT)
        }
        ProblemCode::Blank
        | ProblemCode::TooLong
        | ProblemCode::TooMany
        | ProblemCode::OutOfRange
        | ProblemCode::InvalidCharacter
        | ProblemCode::InvalidValue
        | ProblemCode::DuplicateJob
        | ProblemCode::UnknownObject
        | ProblemCode::DependencyCycle
        | ProblemCode::InvalidSince
        | ProblemCode::InvalidCron
        | ProblemCode::InvalidTimeZone
        | ProblemCode::InvalidDuration
        | ProblemCode::UnsafeDelete
        | ProblemCode::HistoryGone
        | ProblemCode::ReadOnly => None,
    }
}

fn item(problem: Problem) -> Item {
    let path = problem.path.iter().map(Segment::to_string).collect();
    Item { code: problem.code.name(), message: problem.message, path }
}

/// The document speaks of the first item, and lists all.
fn document(status: StatusCode, items: Vec<Item>) -> ProblemDocument {
    let (code, detail) = match &items[..] {
        [] => ("INVALID_VALUE", String::new()),
        [only] => (only.code, only.message.clone()),
        [first, rest @ ..] => {
            (first.code, format!("{} (and {} more, see `errors`)", first.message, rest.len()))
        }
    };
    ProblemDocument::new(status, code, detail).with(items)
}
