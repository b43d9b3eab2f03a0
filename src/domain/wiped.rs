//! Work on something secret that leaves nothing of it behind.

use zeroize::zeroize_stack;

/// More than a digest takes of the stack, in bytes.
const STACK: usize = 16 * 1024;

/// What `work` gives. The state of a digest has a piece of its input in it and is moved about: the stack that `work`
/// used is wiped afterwards. What it left on the heap is wiped as it is freed.
pub fn wiped<T>(work: impl FnOnce() -> T) -> T {
    let done = apart(work);
    zeroize_stack::<STACK>();
    done
}

/// Below the caller's part of the stack, and so within what is wiped.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
