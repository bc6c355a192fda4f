//! A module with a command filter: a command that has the word `refuse-me` behind its key becomes one that no server
//! has, as a module for auditing or quotas would refuse it. Compiled by the test that loads it.

#![no_std]

use core::ffi::{c_char, c_int, c_void};
use core::mem::transmute;
use core::slice;

type Context = c_void;
type Text = c_void;
type Filtered = c_void;

type GetApi = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Count = unsafe extern "C" fn(*mut Filtered) -> c_int;
type Get = unsafe extern "C" fn(*mut Filtered, c_int) -> *const Text;
type Bytes = unsafe extern "C" fn(*const Text, *mut usize) -> *const u8;
type Create = unsafe extern "C" fn(*mut Context, *const c_char, usize) -> *mut Text;
type Replace = unsafe extern "C" fn(*mut Filtered, c_int, *mut Text) -> c_int;
type Callback = unsafe extern "C" fn(*mut Filtered);
type Register = unsafe extern "C" fn(*mut Context, Callback, c_int) -> *mut c_void;
type SetAttributes = unsafe extern "C" fn(*mut Context, *const c_char, c_int, c_int);

/// The functions of the server, set when the module is loaded.
struct Api {
    count: Count,
    get: Get,
    bytes: Bytes,
    create: Create,
    replace: Replace,
}

static mut API: Option<Api> = None;

unsafe extern "C" fn filter(command: *mut Filtered) {
    // SAFETY: commands are filtered on the main thread, after the module was loaded; the strings live as long as the
    // call, and the new one belongs to the server.
    unsafe {
        let Some(api) = (*(&raw const API)).as_ref() else { return };
        for nth in 2..(api.count)(command) {
            let mut len = 0;
            let start = (api.bytes)((api.get)(command, nth), &raw mut len);
            if slice::from_raw_parts(start, len) == b"refuse-me" {
                let name = c"refused.by.a.filter";
                let name = (api.create)(core::ptr::null_mut(), name.as_ptr(), name.count_bytes());
                (api.replace)(command, 0, name);
                return;
            }
        }
    }
}

/// # Safety
///
/// Called by the server, with a context that begins with the function that finds all others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    context: *mut Context,
    _: *const *mut Text,
    _: c_int,
) -> c_int {
    // SAFETY: the names are those of the functions with these types.
    unsafe {
        let get_api: GetApi = transmute(*context.cast::<*mut c_void>());
        let find = |name: *const c_char| {
            let mut found = core::ptr::null_mut();
            get_api(name, &raw mut found);
            found
        };
        let attributes: SetAttributes = transmute(find(c"RedisModule_SetModuleAttribs".as_ptr()));
        attributes(context, c"refuse".as_ptr(), 1, 1);
        API = Some(Api {
            count: transmute::<*mut c_void, Count>(find(c"RedisModule_CommandFilterArgsCount".as_ptr())),
            get: transmute::<*mut c_void, Get>(find(c"RedisModule_CommandFilterArgGet".as_ptr())),
            bytes: transmute::<*mut c_void, Bytes>(find(c"RedisModule_StringPtrLen".as_ptr())),
            create: transmute::<*mut c_void, Create>(find(c"RedisModule_CreateString".as_ptr())),
            replace: transmute::<*mut c_void, Replace>(find(c"RedisModule_CommandFilterArgReplace".as_ptr())),
        });
        let register: Register = transmute(find(c"RedisModule_RegisterCommandFilter".as_ptr()));
        register(context, filter, 0);
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
