//! The history, queried and followed.
//!
//! One reader a server follows the table, woken by whoever appends to it, and hands what is new to all
//! who follow the history here. Whoever is too slow, or begins further back, reads the table itself
//! until it has caught up: then too nothing is lost and nothing comes twice, since everybody knows the
//! position of what it saw last.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chrono::{SecondsFormat, TimeDelta};
use futures_util::{Stream, stream};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use super::{
    Error, Services,
    wakeups::{Topic, Wakeups},
};
use crate::{
    clock::Clock,
    domain::{
        access::{Caller, Scope},
        event::{Event, EventFilter, EventPosition},
        id::BatchId,
        page::{Key, Page, Slice, no_cursor},
        problem::{At, Problem, ProblemCode, keep},
    },
    store::{
        self, Store,
        events::{self, Between},
        trim::{self, HistoryStart},
    },
};

/// How many events are read at once.
const READ: u64 = 500;
/// How many readings a follower may be behind before it has to read the table itself.
const BEHIND: usize = 64;
/// How long a follower goes without a look at the table, should a wake-up get lost.
const POLL: TimeDelta = TimeDelta::seconds(5);
/// How long to wait for an older transaction that is still open: it is about to commit. Twice as long
/// each time that it has not, up to the second.
const ALMOST: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(320)];

/// What followers are handed.
#[derive(Debug, Clone)]
enum Live {
    /// The events that follow those before.
    New(Arc<[Event]>),
    /// There may be events that were not handed out: nobody has followed for a while, or some were deleted before they
    /// were read.
    Reread,
}

/// Hands new events to all who follow the history.
#[derive(Debug, Clone)]
pub struct Follower {
    live: broadcast::Sender<Live>,
    /// Rises when somebody begins to follow.
    joined: Arc<watch::Sender<u64>>,
}

impl Follower {
    /// Starts to follow the table. Ends with the runtime.
    pub fn start(store: Store, clock: Clock, woken: watch::Receiver<()>) -> Self {
        let follower = Self { live: broadcast::Sender::new(BEHIND), joined: Arc::new(watch::Sender::new(0)) };
        let joined = follower.joined.subscribe();
        let reader = Reader { store, clock, live: follower.live.downgrade(), position: None };
        tokio::spawn(reader.follow(woken, joined));
        follower
    }

    fn join(&self) -> broadcast::Receiver<Live> {
        let live = self.live.subscribe();
        self.joined.send_modify(|joined| *joined += 1);
        live
    }
}

/// The one that reads the table for all.
struct Reader {
    store: Store,
    clock: Clock,
    live: broadcast::WeakSender<Live>,
    /// What was handed out last; `None`: nobody follows, and nothing is read.
    position: Option<EventPosition>,
}

impl Reader {
    async fn follow(mut self, mut woken: watch::Receiver<()>, mut joined: watch::Receiver<u64>) {
        let mut almost = ALMOST[0];
        while let Some(live) = self.live.upgrade() {
            woken.mark_unchanged();
            joined.mark_unchanged();
            let hidden = match self.read(&live).await {
                Ok(hidden) => hidden,
                Err(error) => {
                    tracing::warn!(%error, "the history can't be read; trying again");
                    false
                }
            };
            let followed = live.receiver_count() > 0;
            drop(live);
            let poll = self.clock.now() + POLL;
            tokio::select! {
                woken = woken.changed() => if woken.is_err() { return },
                joined = joined.changed() => if joined.is_err() { return },
                () = self.clock.sleep_until(poll), if followed => {}
                () = tokio::time::sleep(almost), if hidden => {}
            }
            almost = if hidden { (almost * 2).min(ALMOST[1]) } else { ALMOST[0] };
        }
    }

    /// Hands out what is new. Says whether there is more that can't be seen yet.
    async fn read(&mut self, live: &broadcast::Sender<Live>) -> Result<bool, store::Error> {
        if live.receiver_count() == 0 {
            self.position = None;
            return Ok(false);
        }
        let db = self.store.reader();
        // Before anything is read: what is hidden then and is to be seen a moment later may have been missed by
        // the reading, and nobody would say so again.
        let hidden = events::some_are_hidden(db).await?;
        let Some(mut position) = self.position else {
            self.position = Some(events::end(db).await?);
            let _ = live.send(Live::Reread);
            return Ok(hidden);
        };
        loop {
            let new =
                events::after(db, self.store.veil(), Scope::SLUICE, position, &EventFilter::default(), READ)
                    .await?;
            let Some(last) = new.last() else { break };
            let is_whole = trim::start(db).await?.position <= position;
            position = last.position;
            self.position = Some(position);
            let whole = new.len() as u64 == READ;
            // Who follows finds out by itself what it has missed.
            let _ = live.send(if is_whole { Live::New(new.into()) } else { Live::Reread });
            if !whole {
                break;
            }
        }
        Ok(hidden)
    }
}

impl Services {
    /// A page of the events that the filter lets through.
    pub async fn events(
        &self,
        caller: &Caller,
        filter: &EventFilter,
        page: &Page,
    ) -> Result<Slice<Event>, Error> {
        let scope = caller.may_read()?;
        let mut problems = Vec::new();
        let mut position =
            |key: Option<Key>, name| keep(self.position(key?.id, &At::Root.field(name)), &mut problems);
        let between =
            Between { after: position(page.after, "after"), before: position(page.before, "before") };
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let (db, veil) = (self.store.reader(), self.store.veil());
        let rows = events::page(db, veil, scope, filter, page, between).await?;
        if let Some(after) = between.after {
            check_kept(after, &trim::start(db).await?)?;
        }
        Ok(page.cut(rows))
    }

    /// How many events the filter lets through.
    pub async fn event_count(&self, caller: &Caller, filter: &EventFilter) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(events::count(self.store.reader(), scope, filter).await?)
    }

    /// The position for which a cursor stands.
    fn position(&self, cursor: Uuid, at: &At<'_>) -> Result<EventPosition, Problem> {
        EventPosition::from_key(self.store.veil().lift(cursor)).ok_or_else(|| no_cursor(at))
    }

    /// Every event after this cursor that the filter lets through: from the table first, then live,
    /// none lost and none twice, in order. Without a cursor, those that come from now on. Where some of them are not kept
    /// any more, it ends with HISTORY_GONE.
    pub async fn follow_events(
        &self,
        caller: &Caller,
        after: Option<Uuid>,
        filter: EventFilter,
    ) -> Result<impl Stream<Item = Result<Event, Error>> + Send + 'static + use<>, Error> {
        let scope = caller.may_read()?;
        let live = self.history.join();
        let position = match after {
            Some(cursor) => {
                let position = self.position(cursor, &At::Root.field("after"))?;
                check_kept(position, &trim::start(self.store.reader()).await?)?;
                position
            }
            None => events::end(self.store.reader()).await?,
        };
        let (store, ready) = (self.store.clone(), VecDeque::new());
        let following = Following { store, live, scope, filter, position, ready, source: Source::Table };
        Ok(stream::unfold(following, |mut following| async move {
            let next = following.next().await?;
            Some((next, following))
        }))
    }

    /// Begins to follow what happens to a batch. Follow it before you read it, so that nothing is missed.
    pub fn follow_batch(&self, id: BatchId) -> BatchChanges {
        BatchChanges { live: self.history.join(), id }
    }
}

/// Everything that follows this position must be kept, or whoever asks for it would not notice that it is not.
fn check_kept(position: EventPosition, start: &HistoryStart) -> Result<(), Problem> {
    if start.position <= position {
        return Ok(());
    }
    let until = start.at.map(|at| format!(", up to {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)));
    let message = format!(
        "some of what follows this cursor is not kept any more{}; read anew what you follow, and go on without a cursor",
        until.unwrap_or_default()
    );
    Err(At::Root.field("after").problem(ProblemCode::HistoryGone, message))
}

/// Where a follower finds its next events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Table,
    Live,
    /// It has missed some, and was told so.
    Gone,
}

struct Following {
    store: Store,
    live: broadcast::Receiver<Live>,
    scope: Scope,
    filter: EventFilter,
    position: EventPosition,
    ready: VecDeque<Event>,
    source: Source,
}

impl Following {
    /// The next event; `None` when the server stops.
    async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            match self.source {
                Source::Table => {
                    if let Err(error) = self.read_table().await {
                        return Some(Err(error));
                    }
                }
                Source::Gone => return None,
                Source::Live => match self.live.recv().await {
                    Ok(Live::New(events)) => self.take(&events),
                    Ok(Live::Reread) | Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.source = Source::Table;
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Reads on in the table. When there is nothing more to read, what comes next comes live: whatever was
    /// not to be seen yet will be handed out, since this was registered before it looked.
    async fn read_table(&mut self) -> Result<(), Error> {
        let (db, veil) = (self.store.reader(), self.store.veil());
        let read = events::after(db, veil, self.scope, self.position, &self.filter, READ).await?;
        if let Err(gone) = check_kept(self.position, &trim::start(db).await?) {
            self.source = Source::Gone;
            return Err(gone.into());
        }
        if (read.len() as u64) < READ {
            self.source = Source::Live;
        }
        if let Some(last) = read.last() {
            self.position = last.position;
        }
        self.ready.extend(read);
        Ok(())
    }

    /// Takes what is new of what was handed out.
    fn take(&mut self, events: &[Event]) {
        let seen = self.position;
        for event in events.iter().filter(|event| event.position > seen) {
            self.position = event.position;
            if self.scope.contains(event.event.tenant_id) && self.filter.matches(&event.event) {
                self.ready.push_back(event.clone());
            }
        }
    }
}

/// What happens to one batch.
pub struct BatchChanges {
    live: broadcast::Receiver<Live>,
    id: BatchId,
}

impl BatchChanges {
    /// Waits for the next change. What has gathered meanwhile counts as one. `None`: the server stops.
    pub async fn next(&mut self) -> Option<()> {
        loop {
            let concerned = match self.live.recv().await {
                Ok(live) => self.concerns(&live),
                Err(broadcast::error::RecvError::Lagged(_)) => true,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            if concerned {
                // The newest state will be read: what led there need not be looked at one by one.
                while let Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) = self.live.try_recv() {}
                return Some(());
            }
        }
    }

    fn concerns(&self, live: &Live) -> bool {
        match live {
            Live::New(events) => events.iter().any(|event| event.event.subject.batch() == Some(self.id)),
            Live::Reread => true,
        }
    }
}

/// Starts to follow the history for all who will want to.
pub fn follower(store: &Store, clock: &Clock, wakeups: &Wakeups) -> Follower {
    Follower::start(store.clone(), clock.clone(), wakeups.subscribe(Topic::History))
}
