//! A rewrite of an AOF that the server cut when it loaded it.
//!
//! After a crash the file can end within a command. Redis up to 8.2 cuts it behind the last whole command, also where that
//! command belongs to a `MULTI`. The beginning of the unit stays in the file, and what is appended is read as part of it
//! at the next start: half a transaction takes effect. A rewrite leaves the beginning out.
//!
//! The server does not tell modules that it cut a file, but a file of commands is then smaller than before the load.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use redis_module::raw;

use super::call_reply::{self, CallReply};
use super::log;

/// The sizes of the files of commands of an AOF, in bytes, by their names.
type Sizes = BTreeMap<OsString, u64>;

thread_local! {
    /// The sizes from before the load of an AOF.
    static SIZES_BEFORE: RefCell<Option<Sizes>> = const { RefCell::new(None) };
    /// Flag: a rewrite is to begin.
    static IS_DUE: Cell<bool> = const { Cell::new(false) };
}

/// The load of an AOF begins.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn begin_load(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`.
    SIZES_BEFORE.replace(unsafe { sizes(ctx) });
}

/// A load has ended.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn end_load(ctx: *mut raw::RedisModuleCtx) {
    let Some(before) = SIZES_BEFORE.take() else { return };
    // SAFETY: the caller vouches for `ctx`.
    if unsafe { sizes(ctx) }.is_some_and(|after| is_cut(&before, &after)) {
        IS_DUE.set(true);
    }
}

/// Returns the sizes of the server's files of commands; `None` if the server does not tell its folder (`CONFIG` may be
/// renamed).
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn sizes(ctx: *mut raw::RedisModuleCtx) -> Option<Sizes> {
    // SAFETY: the caller vouches for `ctx`; the arguments live through the call.
    let reply = unsafe {
        let (get, name) = (c"GET".as_ptr(), c"appenddirname".as_ptr());
        CallReply(call_reply::run()(ctx, c"CONFIG".as_ptr(), c"cc".as_ptr(), get, name))
    };
    // The server's working directory is that of its files.
    let folder = reply.text_of(b"appenddirname")?;
    Some(sizes_in(Path::new(OsStr::from_bytes(folder))))
}

/// Returns the sizes of the files of commands in a folder. A file that cannot be read is left out.
fn sizes_in(folder: &Path) -> Sizes {
    let Ok(files) = fs::read_dir(folder) else { return Sizes::new() };
    let commands = files.flatten().filter(|file| file.file_name().as_bytes().ends_with(b".aof"));
    commands.filter_map(|file| Some((file.file_name(), file.metadata().ok()?.len()))).collect()
}

/// Returns true if a file is smaller than it was.
fn is_cut(before: &Sizes, after: &Sizes) -> bool {
    before.iter().any(|(name, size)| after.get(name).is_some_and(|now| now < size))
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
    let message = "the server cut the AOF when it loaded it: it is rewritten, so that no part of a transaction stays in it";
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
    fn a_file_of_commands_that_became_smaller_is_found() {
        let folder = std::env::temp_dir().join(format!("torn-aof-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let commands = folder.join("appendonly.aof.1.incr.aof");
        let base = folder.join("appendonly.aof.1.base.rdb");
        fs::write(&commands, "12345").unwrap();
        fs::write(&base, "12345").unwrap();
        let before = sizes_in(&folder);
        assert_eq!(before, Sizes::from([(OsString::from("appendonly.aof.1.incr.aof"), 5)]));
        assert!(!is_cut(&before, &before));
        fs::write(&base, "1").unwrap();
        fs::write(&commands, "54321").unwrap();
        assert!(!is_cut(&before, &sizes_in(&folder)), "it was written, and has its size");
        fs::write(&commands, "1234").unwrap();
        assert!(is_cut(&before, &sizes_in(&folder)));
        assert!(!is_cut(&sizes_in(&folder), &before));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(sizes_in(&folder), Sizes::new());
    }
}
