//! What hides how much there is. The cursor of an event is its position, and that counts the events of all tenants: seen
//! through a veil, it tells nothing to who does not have the key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// How long a key is, in bytes: a block of SHA-256.
pub const KEY: usize = 64;

/// As many rounds as make a Feistel network a strong permutation (Luby and Rackoff, 1988).
const ROUNDS: [u8; 4] = [0, 1, 2, 3];

/// A permutation of 128 bits that only who has the key can go either way.
#[derive(Clone)]
pub struct Veil(Hmac<Sha256>);

impl Veil {
    /// The veil with this key.
    pub fn new(key: &[u8; KEY]) -> Self {
        Self(Hmac::new(key.into()))
    }

    /// What stands outside for what is inside.
    pub fn cover(&self, inside: Uuid) -> Uuid {
        let (mut left, mut right) = inside.as_u64_pair();
        for round in ROUNDS {
            (left, right) = (right, left ^ self.mixed(round, right));
        }
        Uuid::from_u64_pair(left, right)
    }

    /// What is inside for what stands outside.
    pub fn lift(&self, outside: Uuid) -> Uuid {
        let (mut left, mut right) = outside.as_u64_pair();
        for round in ROUNDS.into_iter().rev() {
            (left, right) = (right ^ self.mixed(round, left), left);
        }
        Uuid::from_u64_pair(left, right)
    }

    fn mixed(&self, round: u8, half: u64) -> u64 {
        let mut mac = self.0.clone();
        mac.update(&[round]);
        mac.update(&half.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Without the key.
impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veil(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_covered_is_lifted_by_the_same_key_alone(inside in any::<u128>(), key in prop::collection::vec(any::<u8>(), KEY)) {
            let mut key: [u8; KEY] = key.try_into().unwrap();
            let (veil, inside) = (Veil::new(&key), Uuid::from_u128(inside));
            let outside = veil.cover(inside);
            prop_assert_eq!(veil.lift(outside), inside);
            prop_assert_eq!(veil.cover(veil.lift(inside)), inside);
            key[0] ^= 1;
            prop_assert_ne!(Veil::new(&key).lift(outside), inside);
        }
    }

    #[test]
    fn neighbours_look_like_strangers() {
        let veil = Veil::new(&[7; KEY]);
        let covered: Vec<u128> =
            (0..1_000).map(|number| veil.cover(Uuid::from_u128(number)).as_u128()).collect();
        let flipped: u32 = covered.windows(2).map(|pair| (pair[0] ^ pair[1]).count_ones()).sum();
        // Half of the bits, give or take.
        assert!((60..68).contains(&(flipped / 999)), "{flipped}");
    }
}
