//! Things that are kept in a bounded amount of memory.

use std::{
    borrow::Borrow,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;

/// What a cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most things.
    pub things: usize,
    /// About how much memory they may take together, in bytes.
    pub bytes: usize,
}

/// Things by their keys, no more of them than its bounds allow. What has not been asked for for the longest time
/// goes first.
#[derive(Debug)]
pub struct Cache<K: Hash + Eq, V> {
    kept: Mutex<Kept<K, V>>,
    bounds: Bounds,
}

#[derive(Debug)]
struct Kept<K: Hash + Eq, V> {
    things: LruCache<K, Thing<V>>,
    bytes: usize,
}

#[derive(Debug)]
struct Thing<V> {
    what: V,
    bytes: usize,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache with nothing in it.
    pub fn within(bounds: Bounds) -> Self {
        Self { kept: Mutex::new(Kept { things: LruCache::unbounded(), bytes: 0 }), bounds }
    }

    /// What is kept under this key.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.with(|kept| kept.things.get(key).map(|thing| thing.what.clone()))
    }

    /// Keeps something that takes about so many bytes, in the place of what is kept under this key. What would take
    /// a large part of the memory by itself is not kept: others would have to go for it.
    pub fn put(&self, key: K, what: V, bytes: usize) {
        if bytes > self.bounds.bytes / 8 {
            return;
        }
        self.with(|kept| {
            kept.bytes += bytes;
            if let Some(old) = kept.things.put(key, Thing { what, bytes }) {
                kept.bytes -= old.bytes;
            }
            while kept.things.len() > self.bounds.things || kept.bytes > self.bounds.bytes {
                let Some((_, gone)) = kept.things.pop_lru() else { break };
                kept.bytes -= gone.bytes;
            }
        });
    }

    /// About how much memory the things take, in bytes.
    pub fn bytes(&self) -> usize {
        self.with(|kept| kept.bytes)
    }

    /// No one who held it can have left it half changed: nothing in it panics.
    fn with<R>(&self, work: impl FnOnce(&mut Kept<K, V>) -> R) -> R {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { things: 20, bytes: 160 };

    fn cache() -> Cache<String, usize> {
        Cache::within(BOUNDS)
    }

    fn size(cache: &Cache<String, usize>) -> (usize, usize) {
        cache.with(|kept| (kept.things.len(), kept.bytes))
    }

    #[test]
    fn what_was_put_is_there_under_its_key_only() {
        let cache = cache();
        cache.put("a".into(), 1, 10);
        cache.put("b".into(), 2, 10);
        cache.put("a".into(), 3, 5);
        assert_eq!(["a", "b", "c"].map(|key| cache.get(key)), [Some(3), Some(2), None]);
        assert_eq!((size(&cache), cache.bytes()), ((2, 15), 15));
    }

    #[test]
    fn the_number_is_bounded_and_what_was_not_asked_for_goes_first() {
        let cache = cache();
        for number in 0..BOUNDS.things + 10 {
            cache.put(number.to_string(), number, 1);
            assert!(cache.get("0").is_some());
        }
        assert_eq!(size(&cache), (BOUNDS.things, BOUNDS.things));
        assert_eq!(["1", "10", "11"].map(|key| cache.get(key).is_some()), [false, false, true]);
    }

    #[test]
    fn the_memory_is_bounded() {
        let cache = cache();
        for number in 0..100 {
            cache.put(number.to_string(), number, 20);
        }
        assert_eq!(size(&cache), (8, 160));
        cache.put("large".into(), 0, 21);
        assert_eq!((cache.get("large"), size(&cache)), (None, (8, 160)));
    }
}
