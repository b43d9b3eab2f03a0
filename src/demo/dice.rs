//! Chance.

/// Whether something happens that happens so many times in a hundred.
pub fn happens(in_a_hundred: u32) -> bool {
    up_to(100) < in_a_hundred
}

/// A number from 0 up to, and without, `end`.
pub fn up_to(end: u32) -> u32 {
    // Without randomness the demonstration is a little dull, and that is all.
    getrandom::u32().unwrap_or_default() % end.max(1)
}
