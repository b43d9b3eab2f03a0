//! The course of a backfill: what is to be done about it, and what becomes of it.

use chrono::{DateTime, Utc};

use super::{Backfill, BackfillState, WindowCounts};
use crate::domain::{
    event::Change,
    firing::FiringProblem,
    problem::{At, Problem, ProblemCode},
};

/// What is to be done about a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing, until a batch of it has ended or somebody has changed it.
    None,
    /// So many windows are begun, or run again.
    Begin(u32),
    /// It has ended.
    End(Outcome),
}

/// How a backfill has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// See [`BackfillState::Succeeded`].
    Succeeded,
    /// See [`BackfillState::Failed`].
    Failed,
    /// See [`BackfillState::Canceled`].
    Canceled,
}

/// Whether a change has changed anything.
pub type Changed = Result<Option<Change>, Problem>;

impl Backfill {
    /// What is to be done about it, by what the records of its windows say.
    pub fn work(&self, recorded: WindowCounts) -> Work {
        let open = recorded.pending + self.unbegun();
        let room = self.max_parallel.saturating_sub(recorded.running);
        match self.state {
            BackfillState::Running if open > 0 && room > 0 => Work::Begin(open.min(room)),
            BackfillState::Running | BackfillState::Paused { .. } if open == 0 && recorded.running == 0 => {
                let whole = recorded.succeeded == self.windows.count;
                Work::End(if whole { Outcome::Succeeded } else { Outcome::Failed })
            }
            BackfillState::Canceling if recorded.running == 0 => Work::End(Outcome::Canceled),
            BackfillState::Running
            | BackfillState::Paused { .. }
            | BackfillState::Canceling
            | BackfillState::Succeeded { .. }
            | BackfillState::Failed { .. }
            | BackfillState::Canceled { .. } => Work::None,
        }
    }

    /// It ends like this. Gives what has changed.
    pub fn end(&mut self, outcome: Outcome, now: DateTime<Utc>) -> Change {
        let (state, change) = match outcome {
            Outcome::Succeeded => (BackfillState::Succeeded { ended_at: now }, Change::BackfillSucceeded),
            Outcome::Failed => (BackfillState::Failed { ended_at: now }, Change::BackfillFailed),
            Outcome::Canceled => (BackfillState::Canceled { ended_at: now }, Change::BackfillCanceled),
        };
        self.enter(state, now);
        change
    }

    /// No more windows are begun. One that is paused already stays as it is.
    pub fn pause(&mut self, problems: Vec<FiringProblem>, now: DateTime<Utc>) -> Changed {
        match self.state {
            BackfillState::Paused { .. } => Ok(None),
            BackfillState::Running => {
                self.enter(BackfillState::Paused { since: now, problems }, now);
                Ok(Some(Change::BackfillPaused))
            }
            BackfillState::Canceling
            | BackfillState::Succeeded { .. }
            | BackfillState::Failed { .. }
            | BackfillState::Canceled { .. } => Err(self.wrong_state(" and can't be paused any more")),
        }
    }

    /// Its windows are begun again. One that is not paused stays as it is.
    pub fn resume(&mut self, now: DateTime<Utc>) -> Changed {
        match self.state {
            BackfillState::Running => Ok(None),
            BackfillState::Paused { .. } => {
                self.enter(BackfillState::Running, now);
                Ok(Some(Change::BackfillResumed))
            }
            BackfillState::Canceling
            | BackfillState::Succeeded { .. }
            | BackfillState::Failed { .. }
            | BackfillState::Canceled { .. } => {
                Err(self.wrong_state(" and can't be resumed; retry it to run what did not succeed"))
            }
        }
    }

    /// It is canceled. One that was canceled already stays as it is.
    pub fn cancel(&mut self, now: DateTime<Utc>) -> Changed {
        match self.state {
            BackfillState::Canceling | BackfillState::Canceled { .. } => Ok(None),
            BackfillState::Running | BackfillState::Paused { .. } => {
                self.enter(BackfillState::Canceling, now);
                Ok(Some(Change::BackfillCanceling))
            }
            BackfillState::Succeeded { .. } | BackfillState::Failed { .. } => {
                Err(self.wrong_state(" already"))
            }
        }
    }

    /// What did not succeed is run again: so many windows of which there are records, and those that were not begun
    /// if it was canceled. Where there is nothing to run again it stays as it is.
    pub fn retry(&mut self, again: u32, now: DateTime<Utc>) -> Changed {
        match self.state {
            BackfillState::Canceling => Err(self.wrong_state("; retry it when its last batch has stopped")),
            BackfillState::Succeeded { .. } => Ok(None),
            BackfillState::Running | BackfillState::Paused { .. } if again == 0 => Ok(None),
            BackfillState::Running | BackfillState::Paused { .. } => {
                self.enter(self.state.clone(), now);
                Ok(Some(Change::BackfillRetried))
            }
            BackfillState::Failed { .. } | BackfillState::Canceled { .. } => {
                self.enter(BackfillState::Running, now);
                Ok(Some(Change::BackfillRetried))
            }
        }
    }

    /// Somebody runs a batch of it again by itself: one that has failed goes on. Gives what has changed.
    pub fn reopen(&mut self, now: DateTime<Utc>) -> Option<Change> {
        match self.state {
            BackfillState::Failed { .. } => {
                self.enter(BackfillState::Running, now);
                Some(Change::BackfillRetried)
            }
            BackfillState::Running
            | BackfillState::Paused { .. }
            | BackfillState::Canceling
            | BackfillState::Succeeded { .. }
            | BackfillState::Canceled { .. } => None,
        }
    }

    fn enter(&mut self, state: BackfillState, now: DateTime<Utc>) {
        self.state = state;
        self.version += 1;
        self.updated_at = now;
    }

    fn wrong_state(&self, rest: &str) -> Problem {
        let message = format!("this backfill is {}{rest}", self.state.status().name());
        At::Root.field("id").problem(ProblemCode::WrongState, message)
    }
}
