//! Randomness, from the system.

use crate::{
    domain::{id::TokenId, lease::LeaseToken, retry::Jitter, token::Secret},
    store::Error,
};

/// The token of a new lease.
pub fn lease() -> Result<LeaseToken, Error> {
    Ok(LeaseToken::new(bits()?))
}

/// The secret of a new token.
pub fn secret(id: TokenId) -> Result<Secret, Error> {
    Ok(Secret::new(id, bits()?))
}

fn bits() -> Result<[u8; 32], Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|_| Error::Interrupted)?;
    Ok(bits)
}

/// What a backoff is spread by.
pub fn jitter() -> Result<Jitter, Error> {
    Ok(Jitter::new(getrandom::u32().map_err(|_| Error::Interrupted)?))
}
