//! How much each caller has under way at once: a caller that asks for more is told to come back, so that nobody
//! takes the server from the others.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    config::CrowdLimits,
    domain::{
        access::{Caller, Identity},
        id::TokenId,
        text::Name,
    },
};

/// All callers that have something under way.
#[derive(Debug)]
pub struct Crowd {
    limits: CrowdLimits,
    present: Mutex<HashMap<Who, Present>>,
}

/// By what a caller is told from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    /// All who have shown nothing count as one.
    Nobody,
    Token(TokenId),
    Subject(Name),
}

#[derive(Debug, Clone, Copy, Default)]
struct Present {
    requests: usize,
    live: usize,
}

/// What a caller has under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that is answered once.
    Request,
    /// A WebSocket, or a stream of server-sent events.
    Live,
}

/// A place in the crowd, until it is dropped.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    who: Who,
    kind: Kind,
}

/// There is no place: the caller has as much under way as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("you have {most} {} under way, and no more may be at once; try again when one has ended", .kind.name())]
pub struct Full {
    kind: Kind,
    most: usize,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::Live => "live connections",
        }
    }
}

impl Who {
    fn of(caller: &Caller) -> Self {
        match caller.identity() {
            Identity::Nobody => Self::Nobody,
            Identity::Token { id, .. } => Self::Token(*id),
            Identity::Subject { name, .. } => Self::Subject(name.clone()),
        }
    }
}

impl Present {
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Request => &mut self.requests,
            Kind::Live => &mut self.live,
        }
    }
}

impl Crowd {
    /// Nobody is there yet.
    pub fn new(limits: CrowdLimits) -> Self {
        Self { limits, present: Mutex::default() }
    }

    /// A place for something of this caller.
    pub fn enter(self: &Arc<Self>, caller: &Caller, kind: Kind) -> Result<Place, Full> {
        let most = match kind {
            Kind::Request => self.limits.requests,
            Kind::Live => self.limits.live,
        };
        let who = Who::of(caller);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = present.entry(who.clone()).or_default().of(kind);
        if *under_way >= most {
            return Err(Full { kind, most });
        }
        *under_way += 1;
        Ok(Place { crowd: self.clone(), who, kind })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.crowd.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = present.entry(self.who.clone()) {
            *entry.get_mut().of(self.kind) -= 1;
            let Present { requests, live } = *entry.get();
            if requests + live == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left_and_nothing_is_kept_of_who_has_gone() {
        let crowd = Arc::new(Crowd::new(CrowdLimits { requests: 2, live: 1 }));
        let anybody = Caller::ANYBODY;
        let first = crowd.enter(&anybody, Kind::Request).unwrap();
        let second = crowd.enter(&anybody, Kind::Request).unwrap();
        let live = crowd.enter(&anybody, Kind::Live).unwrap();
        let full = crowd.enter(&anybody, Kind::Request).unwrap_err();
        assert!(full.to_string().contains("2 requests"), "{full}");
        assert_eq!(crowd.enter(&anybody, Kind::Live).unwrap_err(), Full { kind: Kind::Live, most: 1 });
        drop(first);
        let third = crowd.enter(&anybody, Kind::Request).unwrap();
        drop((second, third, live));
        assert!(crowd.present.lock().unwrap().is_empty());
    }
}
