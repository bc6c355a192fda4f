//! Keys that a command found, as strings of the server behind those of its arguments.

use std::cell::Cell;
use std::mem;

use redis_module::raw;

use super::api::bytes;
use super::held::HeldString;

/// The arguments of a command, and behind them the keys that it found.
pub struct NamedKeys {
    pub argv: Vec<*mut raw::RedisModuleString>,
    /// The bytes of `argv`. They live as long as the command runs, and those of the keys found as long as this.
    pub args: Vec<&'static [u8]>,
    found: Vec<HeldString>,
}

thread_local! {
    /// The lists of an earlier command, empty.
    static KEPT: Cell<NameLists> = Cell::default();
}

/// Lists with room for more are not kept.
const KEPT_MAX: usize = 64;

type NameLists = (Vec<*mut raw::RedisModuleString>, Vec<&'static [u8]>, Vec<HeldString>);

impl NamedKeys {
    /// # Safety
    ///
    /// The arguments outlive the result.
    pub unsafe fn behind(
        argv: &[*mut raw::RedisModuleString],
        keys: impl ExactSizeIterator<Item = HeldString>,
    ) -> NamedKeys {
        let (mut all, mut args, mut found) = KEPT.take();
        found.reserve(keys.len());
        found.extend(keys);
        all.reserve(argv.len() + found.len());
        all.extend_from_slice(argv);
        all.extend(found.iter().map(HeldString::as_ptr));
        // SAFETY: the caller vouches for the arguments; the others live as long as this.
        args.extend(all.iter().map(|string| unsafe { bytes(*string) }));
        NamedKeys { argv: all, args, found }
    }
}

impl Drop for NamedKeys {
    fn drop(&mut self) {
        let NamedKeys { argv, args, found } = self;
        argv.clear();
        args.clear();
        found.clear();
        if argv.capacity() <= KEPT_MAX && found.capacity() <= KEPT_MAX {
            KEPT.set((mem::take(argv), mem::take(args), mem::take(found)));
        }
    }
}
