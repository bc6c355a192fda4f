//! Loaded in front of the C library: while the file `STEP` exists, the wall clock is an hour behind. Other
//! clocks go on as they are. Compiled by the test that uses it, with the file's name in `STEP`.

#![no_std]

use core::ffi::{c_char, c_int, c_long, c_void};

const WALL: c_int = 0;
const STEP_SECONDS: c_long = 3600;
const FILE: &str = concat!(env!("STEP"), "\0");
/// The library behind this one: `RTLD_NEXT`.
const NEXT: *mut c_void = -1isize as *mut c_void;

#[repr(C)]
pub struct Time {
    seconds: c_long,
    /// Nanoseconds or microseconds.
    fraction: c_long,
}

unsafe extern "C" {
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn access(path: *const c_char, mode: c_int) -> c_int;
}

/// # Safety
///
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Time) -> c_int {
    type Real = unsafe extern "C" fn(c_int, *mut Time) -> c_int;
    // SAFETY: the C library has this function, of this type; the caller vouches for the rest.
    unsafe {
        let real: Real = core::mem::transmute(dlsym(NEXT, c"clock_gettime".as_ptr()));
        let status = real(clock, time);
        if clock == WALL && access(FILE.as_ptr().cast::<c_char>(), 0) == 0 {
            (*time).seconds -= STEP_SECONDS;
        }
        status
    }
}

/// # Safety
///
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut Time, _zone: *mut c_void) -> c_int {
    // SAFETY: the caller vouches for `time`.
    unsafe {
        let status = clock_gettime(WALL, time);
        (*time).fraction /= 1000;
        status
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
