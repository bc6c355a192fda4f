//! Keys that a command found, as strings of the server behind those of its arguments.

use redis_module::raw;

use super::api::bytes;
use super::held::HeldString;

/// The arguments of a command, and behind them the keys that it found.
pub struct NamedKeys {
    pub argv: Vec<*mut raw::RedisModuleString>,
    /// The bytes of `argv`. They live as long as the command runs, and those of the keys found as long as this.
    pub args: Vec<&'static [u8]>,
    _found: Vec<HeldString>,
}

impl NamedKeys {
    /// # Safety
    ///
    /// The arguments outlive the result.
    pub unsafe fn behind(
        argv: &[*mut raw::RedisModuleString],
        found: Vec<HeldString>,
    ) -> NamedKeys {
        let mut all = Vec::with_capacity(argv.len() + found.len());
        all.extend_from_slice(argv);
        all.extend(found.iter().map(HeldString::as_ptr));
        // SAFETY: the caller vouches for the arguments; the others live as long as this.
        let args = all.iter().map(|string| unsafe { bytes(*string) }).collect();
        NamedKeys { argv: all, args, _found: found }
    }
}
