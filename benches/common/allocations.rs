//! The allocator of the program, which can count.

use std::{
    alloc::{GlobalAlloc, Layout},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// The allocator of the program. It counts only where it was told to, since counting takes time.
pub struct Counting;

static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// What was allocated, by all threads.
#[derive(Debug, Clone, Copy)]
pub struct Allocated {
    /// How often.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Counts while `work` is done.
pub async fn counted<T>(work: impl Future<Output = T>) -> (T, Allocated) {
    COUNT.store(0, Relaxed);
    BYTES.store(0, Relaxed);
    ON.store(true, Relaxed);
    let result = work.await;
    ON.store(false, Relaxed);
    (result, Allocated { count: COUNT.load(Relaxed), bytes: BYTES.load(Relaxed) })
}

fn count(bytes: usize) {
    if ON.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { ALLOCATOR.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { ALLOCATOR.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { ALLOCATOR.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { ALLOCATOR.dealloc(old, layout) }
    }
}
