//! Which denials are written down: a few of each address and reason, so that nobody can fill the log by knocking.

use std::{
    mem::take,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use lru::LruCache;

use crate::domain::denial::Denial;

/// How long it takes until there is room for lines again.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// The most lines about one address and reason in that time.
const LINES: u32 = 5;
/// The most lines about all of them: who knocks may have any number of addresses.
const LINES_OF_ALL: u32 = 100;
/// How many addresses and reasons are remembered.
const REMEMBERED: usize = 1_000;

/// What was written down lately.
#[derive(Debug)]
pub struct DenialLog {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    windows: LruCache<(Option<IpAddr>, Denial), Window>,
    all: Window,
    /// How many lines were left out about those that are no longer remembered.
    forgotten: u64,
}

/// The lines of some time.
#[derive(Debug)]
struct Window {
    began: DateTime<Utc>,
    written: u32,
    left_out: u64,
}

/// A line that is to be written, and what it stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// How many lines about the same address and reason were left out before it.
    pub left_out: u64,
    /// How many about others, which are no longer remembered.
    pub left_out_of_others: u64,
}

impl Default for DenialLog {
    fn default() -> Self {
        let windows = LruCache::unbounded();
        let all = Window::new(DateTime::<Utc>::MIN_UTC);
        Self { known: Mutex::new(Known { windows, all, forgotten: 0 }) }
    }
}

impl Window {
    fn new(began: DateTime<Utc>) -> Self {
        Self { began, written: 0, left_out: 0 }
    }

    fn has_room(&mut self, most: u32, now: DateTime<Utc>) -> bool {
        if now.signed_duration_since(self.began) >= WINDOW {
            (self.began, self.written) = (now, 0);
        }
        self.written < most
    }
}

impl DenialLog {
    /// The line about somebody who is turned away at this time; `None`: it is left out.
    pub fn line(&self, from: Option<IpAddr>, denial: Denial, now: DateTime<Utc>) -> Option<Line> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { windows, all, forgotten } = &mut *known;
        let window = windows.get_or_insert_mut((from, denial), || Window::new(now));
        let line = if window.has_room(LINES, now) && all.has_room(LINES_OF_ALL, now) {
            window.written += 1;
            all.written += 1;
            Some(Line { left_out: take(&mut window.left_out), left_out_of_others: take(forgotten) })
        } else {
            window.left_out += 1;
            None
        };
        if windows.len() > REMEMBERED
            && let Some((_, gone)) = windows.pop_lru()
        {
            *forgotten += gone.left_out;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// A log, and the time by which it goes.
    struct Test {
        log: DenialLog,
        clock: ManualClock,
    }

    impl Test {
        fn new() -> Self {
            Self { log: DenialLog::default(), clock: ManualClock::new(0) }
        }

        fn line(&self, address: u32, denial: Denial) -> Option<Line> {
            let now = Clock::Manual(self.clock.clone()).now();
            self.log.line(Some(IpAddr::from(address.to_be_bytes())), denial, now)
        }

        /// How many of so many denials are written down.
        fn lines(&self, address: u32, denials: u32) -> usize {
            (0..denials).filter_map(|_| self.line(address, Denial::NoToken)).count()
        }
    }

    const FIRST: Option<Line> = Some(Line { left_out: 0, left_out_of_others: 0 });

    #[test]
    fn a_few_lines_are_written_and_the_next_one_says_how_many_were_not() {
        let test = Test::new();
        assert_eq!(test.lines(1, LINES + 7), 5);
        test.clock.advance(WINDOW - TimeDelta::milliseconds(1));
        assert_eq!(test.line(1, Denial::NoToken), None);
        test.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(test.line(1, Denial::NoToken), Some(Line { left_out: 8, left_out_of_others: 0 }));
        assert_eq!(test.line(1, Denial::NoToken), FIRST, "it was said");
    }

    #[test]
    fn each_address_and_each_reason_has_lines_of_its_own() {
        let test = Test::new();
        assert_eq!(test.lines(1, 100), 5);
        assert_eq!(test.line(2, Denial::NoToken), FIRST);
        assert_eq!(test.line(1, Denial::BadJwt), FIRST);
        assert_eq!(test.log.line(None, Denial::NoToken, DateTime::UNIX_EPOCH), FIRST);
    }

    #[test]
    fn who_has_many_addresses_fills_neither_the_log_nor_the_memory() {
        let test = Test::new();
        let written: usize = (0..5_000).map(|address| test.lines(address, 1)).sum();
        assert_eq!(written, 100);
        assert_eq!(test.log.known.lock().unwrap().windows.len(), REMEMBERED);
        test.clock.advance(WINDOW);
        // The last 1,000 are remembered, and nothing was written about them; nor about 3,900 before.
        assert_eq!(test.line(4_999, Denial::NoToken), Some(Line { left_out: 1, left_out_of_others: 3_900 }));
        assert_eq!(test.line(4_998, Denial::NoToken), Some(Line { left_out: 1, left_out_of_others: 0 }));
    }
}
