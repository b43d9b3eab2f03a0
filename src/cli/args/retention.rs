//! Flags that say how long what has ended is kept: those of `sluice serve`, and of `sluice prune`.

use clap::Args as ClapArgs;

use super::DatabaseArgs;
use crate::domain::{
    problem::At,
    retention::{Keep, Retention},
};

/// How long a server keeps what has ended.
#[derive(Debug, ClapArgs)]
pub struct RetentionArgs {
    /// Delete batches with their jobs this long after they have ended, 90d for instance (w, d, h, m, s; an hour at
    /// least) [default: never]
    #[arg(long, env = "SLUICE_KEEP_FINISHED", value_parser = keep_an_hour)]
    keep_finished: Option<Keep>,
    /// Delete events this long after they have happened, whatever they are about [default: never]
    #[arg(long, env = "SLUICE_KEEP_EVENTS", value_parser = keep_an_hour)]
    keep_events: Option<Keep>,
}

impl RetentionArgs {
    /// What is kept, and for how long.
    pub fn retention(self) -> Retention {
        Retention { finished: self.keep_finished, events: self.keep_events }
    }
}

/// What `prune` takes.
#[derive(Debug, ClapArgs)]
pub struct PruneArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Delete batches with their jobs that ended longer ago, 90d for instance (w, d, h, m, s)
    #[arg(long, value_parser = keep, required_unless_present = "events_older_than")]
    older_than: Option<Keep>,
    /// Delete events that happened longer ago, whatever they are about
    #[arg(long, value_parser = keep)]
    events_older_than: Option<Keep>,
    /// Only say how much would be deleted
    #[arg(long)]
    pub dry_run: bool,
}

impl PruneArgs {
    /// What is kept, and for how long.
    pub fn retention(&self) -> Retention {
        Retention { finished: self.older_than, events: self.events_older_than }
    }
}

fn keep(text: &str) -> Result<Keep, String> {
    Keep::parse(text, &At::Root).map_err(|problem| problem.message)
}

/// Who looks at a batch that has ended, or follows the history, needs some time for it.
fn keep_an_hour(text: &str) -> Result<Keep, String> {
    let keep = keep(text)?;
    if keep >= Keep::HOUR {
        Ok(keep)
    } else {
        Err("a server keeps what has ended for an hour at least".into())
    }
}
