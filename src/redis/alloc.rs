//! Memory from the server's allocator, so that `maxmemory` and `INFO memory` see it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;

use redis_module::raw;

/// The server's allocator; the system's where there is no server, as in tests and tools.
struct ServerAllocator;

#[global_allocator]
static ALLOCATOR: ServerAllocator = ServerAllocator;

/// What `malloc` aligns to on every supported platform.
const ALIGN: usize = 16;

// SAFETY: every block comes from and goes back to the same allocator: the pointers are all set at
// once when the module is loaded, before its first allocation, and never change. Blocks with a
// larger alignment always come from the system's.
unsafe impl GlobalAlloc for ServerAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; the server's allocator aborts rather than fail.
        unsafe {
            match raw::RedisModule_Alloc {
                Some(alloc) if layout.align() <= ALIGN => alloc(layout.size()).cast(),
                _ => System.alloc(layout),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            match raw::RedisModule_Calloc {
                Some(calloc) if layout.align() <= ALIGN => calloc(1, layout.size()).cast(),
                _ => System.alloc_zeroed(layout),
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            match raw::RedisModule_Realloc {
                Some(realloc) if layout.align() <= ALIGN => {
                    realloc(block.cast::<c_void>(), size).cast()
                }
                _ => System.realloc(block, layout, size),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            match raw::RedisModule_Free {
                Some(free) if layout.align() <= ALIGN => free(block.cast::<c_void>()),
                _ => System.dealloc(block, layout),
            }
        }
    }
}
