//! The documents that were asked for lately.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

/// The most documents that are kept.
const MOST: usize = 1_000;
/// About how much memory they may take, in bytes.
const BYTES: usize = 32 * 1024 * 1024;

/// A bounded number of things by a text, which take a bounded amount of memory. What has not been asked
/// for for the longest time goes first.
pub struct Cache<T> {
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    things: LruCache<Arc<str>, Thing<T>>,
    bytes: usize,
}

struct Thing<T> {
    what: Arc<T>,
    bytes: usize,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { things: LruCache::unbounded(), bytes: 0 }) }
    }
}

impl<T> Cache<T> {
    /// What has this very text.
    pub fn get(&self, text: &str) -> Option<Arc<T>> {
        self.with(|kept| kept.things.get(text).map(|thing| thing.what.clone()))
    }

    /// Keeps something that takes about so many bytes. What would take a large part of the memory by
    /// itself is not kept: others would have to go for it.
    pub fn put(&self, text: &str, what: Arc<T>, bytes: usize) {
        if bytes > BYTES / 16 {
            return;
        }
        self.with(|kept| {
            kept.bytes += bytes;
            if let Some(old) = kept.things.put(text.into(), Thing { what, bytes }) {
                kept.bytes -= old.bytes;
            }
            while kept.things.len() > MOST || kept.bytes > BYTES {
                let Some((_, gone)) = kept.things.pop_lru() else { break };
                kept.bytes -= gone.bytes;
            }
        });
    }

    /// No one who held it can have left it half changed: nothing in it panics.
    fn with<R>(&self, work: impl FnOnce(&mut Kept<T>) -> R) -> R {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<T>(cache: &Cache<T>) -> (usize, usize) {
        cache.with(|kept| (kept.things.len(), kept.bytes))
    }

    #[test]
    fn what_was_put_is_there_under_its_text_only() {
        let cache = Cache::default();
        cache.put("a", Arc::new(1), 10);
        cache.put("b", Arc::new(2), 10);
        cache.put("a", Arc::new(3), 5);
        assert_eq!(
            [cache.get("a"), cache.get("b"), cache.get("c")].map(|found| found.as_deref().copied()),
            [Some(3), Some(2), None]
        );
        assert_eq!(size(&cache), (2, 15));
    }

    #[test]
    fn the_number_is_bounded_and_what_was_not_asked_for_goes_first() {
        let cache = Cache::default();
        for number in 0..MOST + 10 {
            cache.put(&number.to_string(), Arc::new(number), 1);
            assert!(cache.get("0").is_some());
        }
        assert_eq!(size(&cache), (MOST, MOST));
        assert_eq!((cache.get("1"), cache.get("10"), cache.get("11").is_some()), (None, None, true));
    }

    #[test]
    fn the_memory_is_bounded() {
        let cache = Cache::default();
        for number in 0..100 {
            cache.put(&number.to_string(), Arc::new(number), BYTES / 16);
        }
        assert_eq!(size(&cache), (16, BYTES));
        cache.put("large", Arc::new(0), BYTES / 16 + 1);
        assert_eq!((cache.get("large"), size(&cache)), (None, (16, BYTES)));
    }
}
