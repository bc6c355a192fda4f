//! Memory from the server's allocator, so that `maxmemory` and `INFO memory` see it.
//!
//! Official Redis builds bundle a jemalloc with size classes of 8 bytes: a block of 24, 40 or 56 bytes is
//! aligned to 8 there. Every size is therefore rounded up to a multiple of the alignment asked for. jemalloc
//! aligns a block to the largest power of two that divides its size class, up to a page.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::io::Write;
use std::marker::PhantomData;

use redis_module::raw;

#[global_allocator]
static ALLOCATOR: ServerAllocator<Api> = ServerAllocator(PhantomData);

/// The largest alignment that `malloc` promises on every supported platform, given a size that is a multiple
/// of it.
const ALIGN: usize = 16;

/// The server's functions; none where there is no server, as in tests and tools.
trait Functions {
    fn alloc() -> Option<unsafe extern "C" fn(usize) -> *mut c_void>;
    fn calloc() -> Option<unsafe extern "C" fn(usize, usize) -> *mut c_void>;
    fn realloc() -> Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>;
    fn free() -> Option<unsafe extern "C" fn(*mut c_void)>;
}

/// The pointers of the module API, set all at once when the module is loaded, before its first allocation,
/// and never changed.
struct Api;

impl Functions for Api {
    #[inline]
    fn alloc() -> Option<unsafe extern "C" fn(usize) -> *mut c_void> {
        // SAFETY: set once, see above.
        unsafe { raw::RedisModule_Alloc }
    }

    #[inline]
    fn calloc() -> Option<unsafe extern "C" fn(usize, usize) -> *mut c_void> {
        // SAFETY: as above.
        unsafe { raw::RedisModule_Calloc }
    }

    #[inline]
    fn realloc() -> Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void> {
        // SAFETY: as above.
        unsafe { raw::RedisModule_Realloc }
    }

    #[inline]
    fn free() -> Option<unsafe extern "C" fn(*mut c_void)> {
        // SAFETY: as above.
        unsafe { raw::RedisModule_Free }
    }
}

/// The server's allocator, or the system's where there is no server.
struct ServerAllocator<F>(PhantomData<F>);

/// The size to ask of `malloc` so that the block is aligned.
#[inline]
fn padded(size: usize, align: usize) -> usize {
    // A layout's size, rounded up to its alignment, does not overflow `isize`.
    size.next_multiple_of(align)
}

/// Checks, in debug builds, that a block is aligned. A panic must not leave an allocator.
#[inline]
fn checked(block: *mut c_void, align: usize) -> *mut u8 {
    if cfg!(debug_assertions) && !block.addr().is_multiple_of(align) {
        let _ = std::io::stderr().write_all(b"ASSERTION FAILED: a block is not aligned\n");
        std::process::abort();
    }
    block.cast()
}

// SAFETY: every block comes from and goes back to the same allocator, see `Api`. Blocks with a larger
// alignment than `ALIGN` always come from the system's.
unsafe impl<F: Functions> GlobalAlloc for ServerAllocator<F> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; the server's allocator aborts rather than fail.
        unsafe {
            match F::alloc() {
                Some(alloc) if layout.align() <= ALIGN => {
                    checked(alloc(padded(layout.size(), layout.align())), layout.align())
                }
                _ => System.alloc(layout),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            match F::calloc() {
                Some(calloc) if layout.align() <= ALIGN => {
                    checked(calloc(1, padded(layout.size(), layout.align())), layout.align())
                }
                _ => System.alloc_zeroed(layout),
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            match F::realloc() {
                Some(realloc) if layout.align() <= ALIGN => {
                    let size = padded(size, layout.align());
                    checked(realloc(block.cast::<c_void>(), size), layout.align())
                }
                _ => System.realloc(block, layout, size),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            match F::free() {
                Some(free) if layout.align() <= ALIGN => free(block.cast::<c_void>()),
                _ => System.dealloc(block, layout),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An allocator with size classes of 8 bytes, as the jemalloc of official builds has: each block is
    /// aligned to 16 bytes where its size class is a multiple of that, and to no more than 8 elsewhere.
    struct EightByteClasses;

    /// In front of each block: where the underlying block begins and how large this one is.
    const HEADER: usize = 32;

    fn underlying(size: usize) -> Layout {
        Layout::from_size_align(HEADER + 8 + size, 16).unwrap()
    }

    unsafe extern "C" fn alloc(size: usize) -> *mut c_void {
        let class = size.next_multiple_of(8);
        // SAFETY: the layout is valid and not empty; the header and `class` bytes behind it fit.
        unsafe {
            let start = System.alloc_zeroed(underlying(class));
            let block = start.add(HEADER + class % 16);
            block.sub(16).cast::<(usize, usize)>().write_unaligned((start as usize, class));
            block.cast()
        }
    }

    unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        // SAFETY: as above.
        unsafe { alloc(count * size) }
    }

    unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the block came from `alloc` and holds as many bytes as its header says.
        unsafe {
            let (_, old) = block.cast::<u8>().sub(16).cast::<(usize, usize)>().read_unaligned();
            let new = alloc(size);
            std::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast(), old.min(size));
            free(block);
            new
        }
    }

    unsafe extern "C" fn free(block: *mut c_void) {
        // SAFETY: as above.
        unsafe {
            let header = block.cast::<u8>().sub(16).cast::<(usize, usize)>().read_unaligned();
            System.dealloc(header.0 as *mut u8, underlying(header.1));
        }
    }

    impl Functions for EightByteClasses {
        fn alloc() -> Option<unsafe extern "C" fn(usize) -> *mut c_void> {
            Some(alloc)
        }

        fn calloc() -> Option<unsafe extern "C" fn(usize, usize) -> *mut c_void> {
            Some(calloc)
        }

        fn realloc() -> Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void> {
            Some(realloc)
        }

        fn free() -> Option<unsafe extern "C" fn(*mut c_void)> {
            Some(free)
        }
    }

    const SUBJECT: ServerAllocator<EightByteClasses> = ServerAllocator(PhantomData);

    #[test]
    fn the_fake_aligns_blocks_of_24_40_and_56_bytes_to_8_only() {
        for size in [24, 40, 56] {
            // SAFETY: freed once.
            unsafe {
                let block = alloc(size);
                assert_eq!(block.addr() % 16, 8);
                free(block);
            }
        }
    }

    #[test]
    fn every_block_is_aligned_whatever_its_size() {
        for align in [1, 2, 4, 8, 16, 32, 4096] {
            for size in 1..300 {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: each block is freed once, with the layout it has then.
                unsafe {
                    for block in [SUBJECT.alloc(layout), SUBJECT.alloc_zeroed(layout)] {
                        assert_eq!(block.addr() % align, 0, "{layout:?}");
                        SUBJECT.dealloc(block, layout);
                    }
                }
            }
        }
    }

    #[test]
    fn a_reallocated_block_is_aligned_and_keeps_its_bytes() {
        for align in [8, 16, 32] {
            for (from, to) in (1..120).flat_map(|from| (1..120).map(move |to| (from, to))) {
                let layout = |size| Layout::from_size_align(size, align).unwrap();
                // SAFETY: the block is freed once, with the layout it has then.
                unsafe {
                    let block = SUBJECT.alloc(layout(from));
                    block.write_bytes(7, from);
                    let block = SUBJECT.realloc(block, layout(from), to);
                    assert_eq!(block.addr() % align, 0, "{from} to {to}, aligned to {align}");
                    let kept = std::slice::from_raw_parts(block, from.min(to));
                    assert!(kept.iter().all(|byte| *byte == 7));
                    SUBJECT.dealloc(block, layout(to));
                }
            }
        }
    }
}
