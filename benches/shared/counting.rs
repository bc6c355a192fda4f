//! Counts allocated bytes, for benchmarks without the server's shell.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// Counts what is allocated at the moment.
struct Counting;

/// Bytes as requested.
pub static REQUESTED: AtomicIsize = AtomicIsize::new(0);
/// Bytes in jemalloc's size classes, which is what the server pays.
pub static ROUNDED: AtomicIsize = AtomicIsize::new(0);

// The server's shell brings an allocator of its own.
#[cfg_attr(not(feature = "module"), global_allocator)]
#[cfg_attr(feature = "module", allow(dead_code))]
static ALLOCATOR: Counting = Counting;

fn count(size: usize, sign: isize) {
    REQUESTED.fetch_add(sign * size as isize, Ordering::Relaxed);
    ROUNDED.fetch_add(sign * size_class(size) as isize, Ordering::Relaxed);
}

/// jemalloc's size class: four to each doubling, sixteen bytes apart at least (and 8).
pub fn size_class(size: usize) -> usize {
    if size <= 8 {
        return 8;
    }
    let step = (size - 1).checked_ilog2().map_or(0, |log| 1 << log.saturating_sub(2));
    size.next_multiple_of(step.max(16))
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}
