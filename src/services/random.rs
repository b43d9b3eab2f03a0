//! Randomness, from the system.

use crate::{
    domain::{id::TokenId, keyring::NONCE, lease::LeaseToken, retry::Jitter, token::Secret},
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

fn bits<const BYTES: usize>() -> Result<[u8; BYTES], Error> {
    let mut bits = [0; BYTES];
    getrandom::fill(&mut bits).map_err(|_| Error::Interrupted)?;
    Ok(bits)
}

/// The nonce of a new envelope.
pub fn nonce() -> Result<[u8; NONCE], Error> {
    bits()
}

/// What a backoff is spread by.
pub fn jitter() -> Result<Jitter, Error> {
    Ok(Jitter::new(getrandom::u32().map_err(|_| Error::Interrupted)?))
}
