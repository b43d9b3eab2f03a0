//! Responses: what became of an operation, as JSON and with our codes.

use std::time::Duration;

use async_graphql::{Pos, Response, ServerError, Value};

use super::json::Json;
use crate::domain::{denial::Denial, refusal::Refusal};

/// What became of an operation, or of one step of a subscription.
#[derive(Debug)]
pub struct Executed {
    /// The response, as JSON.
    pub json: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran; single fields may have failed.
    Ran,
    /// It ran, and the caller may not do something that it wanted.
    Forbidden,
    /// It was refused before it ran, or given up.
    Refused(Refusal),
}

/// What stands around the errors of a refusal.
const REFUSAL: (&str, &str) = (r#"{"errors":"#, "}");

impl Executed {
    /// The response of an operation that did not run, whose errors all bear this code.
    pub(super) fn refused(mut errors: Vec<ServerError>, refusal: Refusal) -> Self {
        for error in &mut errors {
            error.extensions.get_or_insert_default().set("code", refusal.code());
            // A place in the document that is none, where the complaint is about the request.
            error.locations.retain(|place| *place != Pos::default());
        }
        // Specified: what did not run has no `data` at all, not even null.
        let errors = serde_json::to_string(&errors).unwrap_or_default();
        let (before, after) = REFUSAL;
        Self { json: [before, &errors, after].concat(), outcome: Outcome::Refused(refusal) }
    }

    /// A refusal with one message, about the request as a whole.
    pub(super) fn refusal(refusal: Refusal, message: &str) -> Self {
        Self::refused(vec![ServerError::new(message, None)], refusal)
    }

    /// The response of an operation that was given up after this time.
    pub(super) fn too_slow(limit: Duration) -> Self {
        let message = format!(
            "the operation took longer than {limit:?} and was given up; what it was writing may be there or not"
        );
        Self::refusal(Refusal::TooSlow, &message)
    }

    /// The last response of a subscription one result of which took longer than this.
    pub(super) fn result_too_slow(limit: Duration) -> Self {
        let message = format!("a result took longer than {limit:?}: the subscription ends");
        Self::refusal(Refusal::TooSlow, &message)
    }

    /// What the executor answered; with what the operation cost, where that shall be shown.
    pub(super) fn of(mut response: Response, cost: Option<u64>) -> Self {
        // Whatever fails once an operation runs has a path.
        if response.data == Value::Null && response.errors.iter().all(|error| error.path.is_empty()) {
            return Self::refused(response.errors, Refusal::ValidationFailed);
        }
        let mut outcome = Outcome::Ran;
        for error in &mut response.errors {
            // The executor's own complaints come without a code: they are about values that do not fit.
            let extensions = error.extensions.get_or_insert_default();
            match extensions.get("code") {
                None => extensions.set("code", "BAD_USER_INPUT"),
                Some(code) if *code == Value::from(Denial::Forbidden.code()) => outcome = Outcome::Forbidden,
                Some(_) => {}
            }
        }
        Self { json: to_json(&response, cost), outcome }
    }

    /// The errors alone, a JSON array, where the operation did not run.
    pub fn errors(&self) -> Option<&str> {
        match self.outcome {
            Outcome::Ran | Outcome::Forbidden => None,
            Outcome::Refused(_) => self.json.strip_prefix(REFUSAL.0)?.strip_suffix(REFUSAL.1),
        }
    }
}

/// `errors` first, so that people see them; no `extensions` where nobody asked for them.
fn to_json(response: &Response, cost: Option<u64>) -> String {
    let mut json = Json::default();
    json.raw("{");
    if !response.errors.is_empty() {
        json.raw("\"errors\":");
        json.put(&response.errors);
        json.raw(",");
    }
    json.raw("\"data\":");
    json.tree(&response.data);
    if let Some(cost) = cost {
        json.raw(",\"extensions\":{\"cost\":");
        json.put(&cost);
        json.raw("}");
    }
    json.raw("}");
    json.into_text()
}
