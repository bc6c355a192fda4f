//! A rewrite of an AOF that the server cut when it loaded it.
//!
//! After a crash the file can end within a command. Redis up to 8.2 cuts it behind the last whole command, also where that
//! command belongs to a `MULTI`. The beginning of the unit stays in the file, and what is appended is read as part of it
//! at the next start: half a transaction takes effect. A rewrite leaves the beginning out.
//!
//! The server does not tell modules that it cut a file, but the file was then modified during the load.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use redis_module::raw;

use super::call_reply::{self, CallReply};
use super::{clock, log};

/// How much earlier than the clock a file's time of modification may be: file systems use the time of the last tick.
const TICK_US: u64 = 10_000;

thread_local! {
    /// When the load of an AOF began, in microseconds since 1970.
    static BEGAN_US: Cell<Option<u64>> = const { Cell::new(None) };
    /// Flag: a rewrite is to begin.
    static IS_DUE: Cell<bool> = const { Cell::new(false) };
}

/// The load of an AOF begins.
pub fn begin_load() {
    BEGAN_US.set(Some(clock::now_us()));
}

/// A load has ended.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn end_load(ctx: *mut raw::RedisModuleCtx) {
    let Some(began_us) = BEGAN_US.take() else { return };
    // SAFETY: the caller vouches for `ctx`; the arguments live through the call.
    let reply = unsafe {
        let (get, name) = (c"GET".as_ptr(), c"appenddirname".as_ptr());
        CallReply(call_reply::run()(ctx, c"CONFIG".as_ptr(), c"cc".as_ptr(), get, name))
    };
    // The server's working directory is that of its files. `CONFIG` may be renamed.
    let Some(folder) = reply.text_of(b"appenddirname") else { return };
    if has_file_since(Path::new(OsStr::from_bytes(folder)), began_us.saturating_sub(TICK_US)) {
        IS_DUE.set(true);
    }
}

/// Returns true if a file of commands in the folder was modified at that time or later.
fn has_file_since(folder: &Path, since_us: u64) -> bool {
    let Ok(files) = fs::read_dir(folder) else { return false };
    files.flatten().filter(|file| file.file_name().as_bytes().ends_with(b".aof")).any(|file| {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let modified = modified.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        modified.is_some_and(|time| time.as_micros() as u64 >= since_us)
    })
}

/// Begins a rewrite that is due. Called several times a second.
///
/// # Safety
///
/// `ctx` is valid, and belongs to no command.
pub unsafe fn on_cron(ctx: *mut raw::RedisModuleCtx) {
    if !IS_DUE.take() {
        return;
    }
    let message = "the AOF was modified while it was loaded, as when the server cuts it: it is rewritten, so that no part of a transaction stays in it";
    log::notice(ctx, message);
    // SAFETY: the caller vouches for `ctx`.
    let reply =
        unsafe { CallReply(call_reply::run()(ctx, c"BGREWRITEAOF".as_ptr(), c"".as_ptr())) };
    if reply.is_error() {
        let reason = String::from_utf8_lossy(reply.text());
        log::warning(ctx, &format!("the AOF was not rewritten, run BGREWRITEAOF: {reason}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_commands_that_was_modified_since_is_found() {
        let folder = std::env::temp_dir().join(format!("torn-aof-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let before_us = clock::now_us() - TICK_US;
        fs::write(folder.join("appendonly.aof.manifest"), "").unwrap();
        fs::write(folder.join("appendonly.aof.1.base.rdb"), "").unwrap();
        assert!(!has_file_since(&folder, before_us));
        fs::write(folder.join("appendonly.aof.1.incr.aof"), "").unwrap();
        assert!(has_file_since(&folder, before_us));
        assert!(!has_file_since(&folder, clock::now_us() + 60_000_000));
        fs::remove_dir_all(&folder).unwrap();
        assert!(!has_file_since(&folder, 0));
    }
}
