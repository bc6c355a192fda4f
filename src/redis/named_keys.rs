//! Keys that a command found, as strings of the server behind those of its arguments.

use std::ptr;

use redis_module::raw;

use super::api::{bytes, call};

/// The arguments of a command, and behind them the keys that it found.
pub struct NamedKeys {
    pub argv: Vec<*mut raw::RedisModuleString>,
    /// The bytes of `argv`. They live as long as the command runs, and those of the keys found as long as this.
    pub args: Vec<&'static [u8]>,
    /// The number of arguments: those are the server's.
    arguments: usize,
}

impl NamedKeys {
    /// # Safety
    ///
    /// The arguments outlive the result.
    pub unsafe fn behind(argv: &[*mut raw::RedisModuleString], names: &[&[u8]]) -> NamedKeys {
        let mut all = argv.to_vec();
        all.extend(names.iter().map(|name| {
            // SAFETY: the name is copied. Without a context the string is no part of a memory pool; it is freed in `drop`.
            unsafe {
                call!(RedisModule_CreateString(ptr::null_mut(), name.as_ptr().cast(), name.len()))
            }
        }));
        // SAFETY: the caller vouches for the arguments; the others live as long as this.
        let args = all.iter().map(|string| unsafe { bytes(*string) }).collect();
        NamedKeys { argv: all, args, arguments: argv.len() }
    }
}

impl Drop for NamedKeys {
    fn drop(&mut self) {
        for string in &self.argv[self.arguments..] {
            // SAFETY: made by `behind`, freed once; who keeps one has counted it.
            unsafe { call!(RedisModule_FreeString(ptr::null_mut(), *string)) };
        }
    }
}
