//! Who is let in: whoever shows a good token, or is vouched for by the issuer that is trusted; and, while a server is open, everybody.
//!
//! What was read of a token is believed for a short while, so that a request costs no statement. A
//! wake-up ends that belief at once; where none comes (another process has changed an SQLite file) it
//! ends by itself.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use super::{
    Error, Services,
    wakeups::{Topic, Wakeups},
};
use crate::{
    domain::{
        access::{Caller, Identity, Openness, Scope},
        denial::Denial,
        id::TokenId,
        token::{Secret, Token},
    },
    issuer::Issuer,
    store::tokens,
    telemetry::{DenialLog, Line},
};

/// How long what was read is believed.
const BELIEVED: TimeDelta = TimeDelta::seconds(2);
/// How often it is looked whether somebody with a live connection may still be served, should a wake-up
/// get lost.
const LOOK: TimeDelta = TimeDelta::seconds(5);
/// The same for somebody who waits for an answer.
const SELDOM: TimeDelta = TimeDelta::seconds(20);
/// How many tokens are remembered.
const REMEMBERED: usize = 10_000;

/// What is known of tokens, and of who was turned away.
#[derive(Debug)]
pub struct Admission {
    openness: Openness,
    issuer: Option<Issuer>,
    known: Mutex<Known>,
    denials: DenialLog,
}

#[derive(Debug)]
struct Known {
    news: watch::Receiver<()>,
    /// How often there were news: what was asked before the last of them may no longer be true.
    heard: u64,
    tokens: HashMap<TokenId, Read>,
    made: Made,
}

/// A token as it was read.
#[derive(Debug, Clone)]
struct Read {
    token: Arc<Token>,
    /// Whoever shows it.
    caller: Arc<Caller>,
    at: DateTime<Utc>,
}

/// Whether a token was ever made.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// There was none at that time.
    NotAt(DateTime<Utc>),
    /// There was, and that is never forgotten.
    Yes,
}

impl Admission {
    /// Nothing is known yet.
    pub fn new(openness: Openness, issuer: Option<Issuer>, wakeups: &Wakeups) -> Self {
        let news = wakeups.subscribe(Topic::Access);
        let made = Made::NotAt(DateTime::<Utc>::MIN_UTC);
        let known = Mutex::new(Known { news, heard: 0, tokens: HashMap::new(), made });
        Self { openness, issuer, known, denials: DenialLog::default() }
    }

    /// What is known, and still to be believed.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.news.has_changed().unwrap_or(true) {
            known.news.mark_unchanged();
            known.heard += 1;
            known.tokens.clear();
            if let Made::NotAt(at) = &mut known.made {
                *at = DateTime::<Utc>::MIN_UTC;
            }
        }
        known
    }
}

impl Services {
    /// Whoever shows this, or why that is no token that is good.
    pub async fn admit(&self, shown: &str) -> Result<Result<Arc<Caller>, Denial>, Error> {
        let Some(secret) = Secret::shown(shown) else {
            let Some(issuer) = &self.admission.issuer else { return Ok(Err(Denial::UnknownToken)) };
            return Ok(issuer.admit(shown, self.now()).await.map(Arc::new).ok_or(Denial::BadJwt));
        };
        let Some(Read { token, caller, .. }) = self.token(secret.id()).await? else {
            return Ok(Err(Denial::UnknownToken));
        };
        if token.hash != secret.hash() {
            return Ok(Err(Denial::UnknownToken));
        }
        if let Err(denial) = token.check(self.now()) {
            return Ok(Err(denial));
        }
        if tokens::is_use_news(&token, self.now()) {
            self.remember_use(&token).await;
        }
        Ok(Ok(caller))
    }

    /// Counts somebody who is turned away, and writes down from where it came, unless that was done often enough.
    pub fn turned_away(&self, from: Option<IpAddr>, denial: Denial) {
        self.metrics.denied(denial);
        let Some(Line { left_out, left_out_of_others }) =
            self.admission.denials.line(from, denial, self.now())
        else {
            return;
        };
        let from = from.map(tracing::field::display);
        let some = |lines: u64| (lines > 0).then_some(lines);
        tracing::warn!(
            from,
            code = denial.code(),
            reason = denial.name(),
            left_out = some(left_out),
            left_out_of_others = some(left_out_of_others),
            "a request was not let in"
        );
    }

    /// To whom the server is open without a token.
    pub fn openness(&self) -> Openness {
        self.admission.openness
    }

    /// Whoever shows nothing; `None`: a token must be shown. Who is let in [at home](Openness::AtHome) only must
    /// have been looked at before.
    pub async fn admit_anybody(&self) -> Result<Option<Arc<Caller>>, Error> {
        let open = match self.admission.openness {
            Openness::ToAnybody => true,
            Openness::AtHome => !self.a_token_was_made().await?,
            Openness::ToNobody => false,
        };
        Ok(open.then(|| Arc::new(Caller::ANYBODY)))
    }

    /// Waits until a caller with a live connection may no longer be served.
    pub fn leaves(self: &Arc<Self>, caller: Arc<Caller>) -> impl Future<Output = ()> + Send + use<> {
        let services = self.clone();
        let mut news = services.wakeups.subscribe(Topic::Access);
        async move {
            while services.is_still_welcome(&caller).await {
                services.look_again(&mut news, LOOK).await;
            }
        }
    }

    /// The same for a caller that was let in a moment ago and waits for an answer, a worker for a job for instance. That
    /// is over soon anyway, and however many wait, an idle server has next to nothing to ask the database.
    pub fn leaves_the_queue(
        self: &Arc<Self>,
        caller: Arc<Caller>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let services = self.clone();
        let mut news = services.wakeups.subscribe(Topic::Access);
        async move {
            loop {
                services.look_again(&mut news, SELDOM).await;
                if !services.is_still_welcome(&caller).await {
                    return;
                }
            }
        }
    }

    /// Waits for news of tokens, or until it is time to look without any.
    async fn look_again(&self, news: &mut watch::Receiver<()>, pause: TimeDelta) {
        let look = self.now() + pause;
        tokio::select! {
            Ok(()) = news.changed() => {}
            () = self.clock.sleep_until(look) => {}
        }
    }

    async fn is_still_welcome(&self, caller: &Caller) -> bool {
        self.is_welcome(caller).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "can't look whether a token is still good");
            true
        })
    }

    async fn is_welcome(&self, caller: &Caller) -> Result<bool, Error> {
        match caller.identity() {
            Identity::Nobody => Ok(self.admit_anybody().await?.is_some()),
            Identity::Subject { expires_at, .. } => Ok(self.now() < *expires_at),
            Identity::Token { id, .. } => {
                let found = self.token(*id).await?;
                Ok(found.is_some_and(|read| read.token.check(self.now()).is_ok()))
            }
        }
    }

    async fn token(&self, id: TokenId) -> Result<Option<Read>, Error> {
        let now = self.now();
        let heard = {
            let known = self.admission.known();
            if let Some(read) = known.tokens.get(&id)
                && now - read.at < BELIEVED
            {
                return Ok(Some(read.clone()));
            }
            known.heard
        };
        let Some(token) = tokens::by_ids(self.store.reader(), Scope::SLUICE, &[id]).await?.pop() else {
            return Ok(None);
        };
        let read = Read { caller: Arc::new(token.caller()), token: Arc::new(token), at: now };
        let mut known = self.admission.known();
        if known.heard == heard {
            if known.tokens.len() >= REMEMBERED {
                known.tokens.clear();
            }
            known.tokens.insert(id, read.clone());
        }
        Ok(Some(read))
    }

    /// It only tells people when a token was last used: no reason to refuse a request.
    async fn remember_use(&self, token: &Token) {
        let now = self.now();
        let written = async {
            let transaction = self.store.write().await?;
            tokens::used(transaction.db(), token.id, now).await?;
            transaction.commit().await
        };
        if let Err(error) = written.await {
            tracing::warn!(%error, "could not write down that a token was used");
        }
        let mut known = self.admission.known();
        if let Some(read) = known.tokens.get_mut(&token.id) {
            read.token = Arc::new(Token { last_used_at: Some(now), ..(*read.token).clone() });
        }
    }

    async fn a_token_was_made(&self) -> Result<bool, Error> {
        let now = self.now();
        let heard = {
            let known = self.admission.known();
            match known.made {
                Made::Yes => return Ok(true),
                Made::NotAt(at) if now.signed_duration_since(at) < BELIEVED => return Ok(false),
                Made::NotAt(_) => known.heard,
            }
        };
        let made = tokens::any(self.store.reader()).await?;
        let mut known = self.admission.known();
        if made {
            known.made = Made::Yes;
        } else if known.heard == heard {
            known.made = Made::NotAt(now);
        }
        Ok(made)
    }
}
