//! Randomness, from the system.

use crate::{
    domain::{lease::LeaseToken, retry::Jitter},
    store::Error,
};

/// The token of a new lease.
pub fn lease() -> Result<LeaseToken, Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|_| Error::Interrupted)?;
    Ok(LeaseToken::new(bits))
}

/// What a backoff is spread by.
pub fn jitter() -> Result<Jitter, Error> {
    Ok(Jitter::new(getrandom::u32().map_err(|_| Error::Interrupted)?))
}
