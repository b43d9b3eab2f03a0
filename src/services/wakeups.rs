//! Wake-ups: hints that something has changed. They carry no data: whoever wakes reads the table, and
//! whoever missed one polls.

use chrono::{DateTime, Utc};
use tokio::sync::watch;

/// What can have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A job may be ready, or a slot free.
    Work,
    /// The history has grown.
    History,
    /// A token was made or revoked.
    Access,
    /// A schedule may be due earlier than it was.
    Schedules,
    /// A backfill may go on.
    Backfills,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 5] = [Self::Work, Self::History, Self::Access, Self::Schedules, Self::Backfills];
    /// What a change of a batch changes.
    pub const OF_BATCHES: [Self; 2] = [Self::Work, Self::History];
    /// What the end of a batch of a schedule changes: a firing may have waited for it, or a backfill.
    pub const OF_SCHEDULED: [Self; 4] = [Self::Work, Self::History, Self::Schedules, Self::Backfills];

    /// The name that goes to other servers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::History => "history",
            Self::Access => "access",
            Self::Schedules => "schedules",
            Self::Backfills => "backfills",
        }
    }

    /// The topic with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// How often each topic has changed, as far as this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    work: u64,
    history: u64,
    access: u64,
    schedules: u64,
    backfills: u64,
}

impl Counts {
    /// How often this topic has changed.
    pub fn of(self, topic: Topic) -> u64 {
        match topic {
            Topic::Work => self.work,
            Topic::History => self.history,
            Topic::Access => self.access,
            Topic::Schedules => self.schedules,
            Topic::Backfills => self.backfills,
        }
    }

    fn of_mut(&mut self, topic: Topic) -> &mut u64 {
        match topic {
            Topic::Work => &mut self.work,
            Topic::History => &mut self.history,
            Topic::Access => &mut self.access,
            Topic::Schedules => &mut self.schedules,
            Topic::Backfills => &mut self.backfills,
        }
    }
}

/// The wake-ups of one server.
#[derive(Debug)]
pub struct Wakeups {
    work: watch::Sender<()>,
    history: watch::Sender<()>,
    access: watch::Sender<()>,
    schedules: watch::Sender<()>,
    backfills: watch::Sender<()>,
    own: watch::Sender<Counts>,
    expiry: watch::Sender<DateTime<Utc>>,
}

impl Default for Wakeups {
    fn default() -> Self {
        Self {
            work: watch::Sender::default(),
            history: watch::Sender::default(),
            access: watch::Sender::default(),
            schedules: watch::Sender::default(),
            backfills: watch::Sender::default(),
            own: watch::Sender::default(),
            expiry: watch::Sender::new(DateTime::<Utc>::MAX_UTC),
        }
    }
}

impl Wakeups {
    /// A lease was given that expires then: wakes who waits for an earlier one to expire.
    pub fn expires(&self, at: DateTime<Utc>) {
        self.expiry.send_if_modified(|next| {
            let sooner = at < *next;
            if sooner {
                *next = at;
            }
            sooner
        });
    }

    /// Looks at the expiries anew: only leases that are given from now on count.
    pub fn forget_expiry(&self) {
        self.expiry.send_if_modified(|next| {
            *next = DateTime::<Utc>::MAX_UTC;
            false
        });
    }

    /// Hears of leases that expire earlier than all that were heard of.
    pub fn expiries(&self) -> watch::Receiver<DateTime<Utc>> {
        self.expiry.subscribe()
    }

    /// This server has changed something: wakes who waits here, and lets other servers know.
    pub fn changed(&self, topics: &[Topic]) {
        topics.iter().for_each(|topic| self.heard(*topic));
        self.own.send_modify(|own| topics.iter().for_each(|topic| *own.of_mut(*topic) += 1));
    }

    /// Another server has changed something, or may have.
    pub fn heard(&self, topic: Topic) {
        match topic {
            Topic::Work => self.work.send_replace(()),
            Topic::History => self.history.send_replace(()),
            Topic::Access => self.access.send_replace(()),
            Topic::Schedules => self.schedules.send_replace(()),
            Topic::Backfills => self.backfills.send_replace(()),
        }
    }

    /// Hears of a topic from now on. Register before you read the table, so that nothing is missed.
    pub fn subscribe(&self, topic: Topic) -> watch::Receiver<()> {
        match topic {
            Topic::Work => self.work.subscribe(),
            Topic::History => self.history.subscribe(),
            Topic::Access => self.access.subscribe(),
            Topic::Schedules => self.schedules.subscribe(),
            Topic::Backfills => self.backfills.subscribe(),
        }
    }

    /// What this server has changed, for whoever tells the others.
    pub fn own(&self) -> watch::Receiver<Counts> {
        self.own.subscribe()
    }
}
