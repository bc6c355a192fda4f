//! The payload of a key that is being read: of a file, a full sync, a `RESTORE`.

use redis_module::raw;

use super::api::call;
use super::{config, models, role};
use crate::codec::origin::{Bounds, Origin};

/// The origin of the payload that is being read.
pub fn origin() -> Origin {
    if models::is_loading() {
        Origin::DataSet
    } else if role::is_master() {
        Origin::Client
    } else {
        Origin::Master
    }
}

/// The bounds of the payload that is being read.
pub fn bounds(origin: Origin) -> Bounds {
    let settings = config::settings();
    origin.bounds(Bounds {
        document: settings.document,
        locks: settings.locks,
        token_reply_bytes: settings.transactions.token_reply_bytes,
        command_steps: settings.work.command_steps,
    })
}

/// Reads from one buffer. None where the file ends too early or is damaged.
///
/// # Safety
///
/// `io` is valid.
pub unsafe fn read<T>(io: *mut raw::RedisModuleIO, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let mut len = 0;
    // SAFETY: the caller vouches for `io`; a buffer that was returned is ours to read and free.
    unsafe {
        let start = call!(RedisModule_LoadStringBuffer(io, &raw mut len));
        if start.is_null() || call!(RedisModule_IsIOError(io)) != 0 {
            return None;
        }
        let value = read(std::slice::from_raw_parts(start.cast::<u8>(), len));
        call!(RedisModule_Free(start.cast()));
        Some(value)
    }
}
