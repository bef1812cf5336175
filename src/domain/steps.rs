//! Counts the comparisons of a test. A test of the work for a long list compares two counts, and no times.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Counts one comparison.
pub(crate) fn count() {
    STEPS.set(STEPS.get() + 1);
}

/// Returns the number of comparisons of `work`.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> u64 {
    let before = STEPS.get();
    drop(work());
    STEPS.get() - before
}
