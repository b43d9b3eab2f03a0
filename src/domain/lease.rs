//! Leases: the right to run one attempt of one job until a deadline. A lease is a secret token; only
//! its hash is kept.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::{
    problem::{At, Problem, ProblemCode},
    wiped::wiped,
};

/// Begins every lease, so that one that leaks is recognised.
const PREFIX: &str = "lease_";

/// The secret that a worker shows to prove that it holds a lease: 256 random bits. `Debug` and
/// `Display` don't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct LeaseToken(String);

impl LeaseToken {
    /// The token with these random bits.
    pub fn new(random: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random)))
    }

    /// A text that a client shows. Whether it is the token of a lease is told by its hash.
    pub fn shown(text: String) -> Self {
        Self(text)
    }

    /// The text that goes to the worker, and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. A hash without salt will do: there is nothing to guess in 256 random bits.
    pub fn hash(&self) -> LeaseHash {
        LeaseHash(wiped(|| Sha256::digest(self.0.as_bytes()).to_vec()))
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lease_…")
    }
}

/// The SHA-256 of a lease's token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseHash(Vec<u8>);

impl LeaseHash {
    /// A hash as it was stored.
    pub fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How long a lease lasts without a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseDuration(i32);

impl LeaseDuration {
    /// What holds where a worker says nothing else, in seconds.
    pub const DEFAULT: i32 = 60;
    /// The longest, in seconds: a day.
    pub const MAX: i32 = 24 * 60 * 60;

    /// Checks a number of seconds that came from outside.
    pub fn parse(seconds: i32, at: &At<'_>) -> Result<Self, Problem> {
        if (1..=Self::MAX).contains(&seconds) {
            return Ok(Self(seconds));
        }
        let message = format!("this must be between 1 and {} seconds", Self::MAX);
        Err(at.problem(ProblemCode::OutOfRange, message))
    }

    /// A duration that was stored.
    pub fn stored(seconds: i32) -> Self {
        Self(seconds)
    }

    /// In seconds.
    pub fn seconds(self) -> i32 {
        self.0
    }

    /// As a difference between points in time.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognisable_and_never_shown() {
        let token = LeaseToken::new([7; 32]);
        assert_eq!(token.reveal().len(), PREFIX.len() + 43);
        assert!(token.reveal().starts_with(PREFIX));
        assert_eq!(format!("{token:?}"), "lease_…");
        assert_eq!(LeaseToken::shown(token.reveal().to_owned()).hash(), token.hash());
        assert_ne!(LeaseToken::new([8; 32]).hash(), token.hash());
    }
}
