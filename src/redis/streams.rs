//! Streams of the server that changes are appended to: where they stand, and what is appended next.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::Ordering;

use redis_module::raw;

use super::api::{call, is_ok};
use super::held::HeldString;
use super::stream_entry::{Appended, ChangeEntry};
use super::{call_reply, caller, clock, counters, gaps, log, slots, stored};
use crate::changes::{DocumentChange, next_seq, stream};
use crate::error::{Error, ErrorCode, Result};
use crate::index::hash_slot;

/// The last entry of a stream, where it is known.
pub struct KnownPosition {
    database: c_int,
    name: HeldString,
    last: u64,
    /// The entries of the stream, where they were counted.
    len: Option<u64>,
}

thread_local! {
    /// The stream that a command has checked or appended to last.
    ///
    /// It may be another one when the next command comes. While it has as many entries, the number of the last one is not
    /// read again: the server takes no entry whose number is not behind all others, and none of this module's had a greater
    /// number than this.
    static KNOWN: Cell<Option<KnownPosition>> = const { Cell::new(None) };
}

/// The position of the stream that the running command has checked last. Nothing else is appended to it until the command
/// appends its own entries, but what was noted meanwhile.
pub fn take_known() -> Option<KnownPosition> {
    KNOWN.take()
}

/// Keeps the position of the stream that was appended to last.
pub fn keep_known(known: Option<KnownPosition>) {
    KNOWN.set(known);
}

/// Streams were appended to in other ways, or changed their places.
pub fn forget() {
    KNOWN.take();
}

/// Returns true if the stream has a last entry and takes another one: mostly nothing else has to be asked. Runs no command
/// of the server.
///
/// # Safety
///
/// `ctx` is valid. Keys may be open.
pub unsafe fn is_ready(ctx: *mut raw::RedisModuleCtx, model: &str, key: &[u8]) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let database = call!(RedisModule_GetSelectedDb(ctx));
        let known = KNOWN.take().filter(|known| {
            known.database == database && is_stream_of(ctx, known.name.bytes(), model, key)
        });
        let before = known.as_ref().and_then(|known| Some((known.last, known.len?)));
        let name =
            known.map_or_else(|| HeldString::of(&stream_of(ctx, model, key)), |known| known.name);
        match look(ctx, &name, before) {
            StreamLook::Entry(last, len) if next_seq(Some(last), 0).is_some() && has_xadd(ctx) => {
                KNOWN.set(Some(KnownPosition { database, name, last, len: Some(len) }));
                true
            }
            _ => false,
        }
    }
}

/// Flag: the server has `XADD` under its name, which does not change while it runs.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn has_xadd(ctx: *mut raw::RedisModuleCtx) -> bool {
    thread_local! {
        static KNOWN: Cell<Option<bool>> = const { Cell::new(None) };
    }
    // SAFETY: the caller vouches for `ctx`.
    let has = KNOWN.get().unwrap_or_else(|| unsafe { caller::has_command(ctx, "XADD") });
    KNOWN.set(Some(has));
    has
}

/// Refuses a change whose entry could not be appended, before anything is changed.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn check(ctx: *mut raw::RedisModuleCtx, model: &str, key: &[u8]) -> Result<()> {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let name = stream_of(ctx, model, key);
        let named = |error: Error| error.text("stream", &name);
        if !has_xadd(ctx) {
            let message = "the server's configuration does not have XADD under its name";
            return Err(named(Error::syntax(message)));
        }
        let position = position(ctx, &name);
        // A command that was refused may have left what it checked.
        KNOWN.set(match position {
            StreamPosition::At(last) => {
                let database = call!(RedisModule_GetSelectedDb(ctx));
                Some(KnownPosition { database, name: HeldString::of(&name), last, len: None })
            }
            _ => None,
        });
        match position {
            StreamPosition::Other => {
                let message = "the key of the change stream holds a value of another type";
                Err(named(Error::new(ErrorCode::WrongType, message)))
            }
            StreamPosition::At(last) if next_seq(Some(last), 0).is_none() => {
                let message = "the change stream has no number left";
                Err(named(Error::new(ErrorCode::Limit, message)))
            }
            StreamPosition::Missing
                if slots::is_clustered(ctx) && !slots::has_both(ctx, key, &name) =>
            {
                let message = "the hash slot is being moved, and its change stream is not there";
                Err(named(Error::new(ErrorCode::TryAgain, message)))
            }
            _ => Ok(()),
        }
    }
}

/// The number of the last entry of a model's stream.
///
/// # Safety
///
/// As for [`check`].
pub unsafe fn last_of(
    ctx: *mut raw::RedisModuleCtx,
    model: &str,
    key: Option<&[u8]>,
) -> Option<u64> {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let name = match key {
            None if slots::is_clustered(ctx) => return None,
            None => stream::name(model),
            Some(key) => stream_of(ctx, model, key),
        };
        match position(ctx, &name) {
            StreamPosition::At(last) => Some(last),
            _ => None,
        }
    }
}

/// # Safety
///
/// `ctx` is valid.
unsafe fn stream_of(ctx: *mut raw::RedisModuleCtx, model: &str, key: &[u8]) -> Vec<u8> {
    // SAFETY: the caller vouches for `ctx`.
    match unsafe { slots::is_clustered(ctx) } {
        true => stream::name_in_slot(model, hash_slot(key)),
        false => stream::name(model),
    }
}

/// Flag: this is the name of the stream of a model's document.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn is_stream_of(
    ctx: *mut raw::RedisModuleCtx,
    name: &[u8],
    model: &str,
    key: &[u8],
) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    match unsafe { slots::is_clustered(ctx) } {
        true => *name == stream::name_in_slot(model, hash_slot(key)),
        false => stream::is_name_of(name, model),
    }
}

/// Where a stream stands.
pub enum StreamPosition {
    /// There is no entry.
    Missing,
    /// The key holds something else.
    Other,
    At(u64),
}

/// Reads where a stream of the selected database stands from its last entry; where that was deleted, the stream may stand
/// further on.
///
/// # Safety
///
/// As for [`check`].
pub unsafe fn position(ctx: *mut raw::RedisModuleCtx, name: &[u8]) -> StreamPosition {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        match look(ctx, &HeldString::of(name), None) {
            StreamLook::Missing => StreamPosition::Missing,
            StreamLook::Other => StreamPosition::Other,
            StreamLook::Entry(last, _) => StreamPosition::At(last),
            StreamLook::Empty => match last_generated(ctx, name) {
                // A stream that was made for its groups has no entry yet.
                0 => StreamPosition::Missing,
                last => StreamPosition::At(last),
            },
        }
    }
}

/// The content of a stream's key.
enum StreamLook {
    Missing,
    /// Another structure.
    Other,
    /// A stream without entries.
    Empty,
    /// A stream: the number of its last entry, and how many it has.
    Entry(u64, u64),
}

/// `known` is the last number that the stream had when it had so many entries.
///
/// # Safety
///
/// `ctx` is valid. Keys may be open, also this one where a command lists it; nothing changes it meanwhile.
unsafe fn look(
    ctx: *mut raw::RedisModuleCtx,
    name: &HeldString,
    known: Option<(u64, u64)>,
) -> StreamLook {
    let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
    let mut id = raw::RedisModuleStreamID { ms: 0, seq: 0 };
    let mut fields = 0;
    // SAFETY: the caller vouches for `ctx`; the key is closed again.
    unsafe {
        let key = call!(RedisModule_OpenKey(ctx, name.as_ptr(), mode));
        let kind = call!(RedisModule_KeyType(key)) as isize;
        let is_stream = kind == raw::REDISMODULE_KEYTYPE_STREAM;
        let len = if is_stream { call!(RedisModule_ValueLength(key)) as u64 } else { 0 };
        let known = known.filter(|(_, before)| len > 0 && *before == len);
        let found = is_stream && known.is_none() && {
            let order = raw::REDISMODULE_STREAM_ITERATOR_REVERSE as c_int;
            call!(RedisModule_StreamIteratorStart(key, order, ptr::null_mut(), ptr::null_mut()));
            let found =
                is_ok(call!(RedisModule_StreamIteratorNextID(key, &raw mut id, &raw mut fields)));
            call!(RedisModule_StreamIteratorStop(key));
            found
        };
        call!(RedisModule_CloseKey(key));
        match (kind, known) {
            (raw::REDISMODULE_KEYTYPE_EMPTY, _) => StreamLook::Missing,
            (raw::REDISMODULE_KEYTYPE_STREAM, Some((last, _))) => StreamLook::Entry(last, len),
            (raw::REDISMODULE_KEYTYPE_STREAM, None) if found => StreamLook::Entry(id.ms, len),
            (raw::REDISMODULE_KEYTYPE_STREAM, None) => StreamLook::Empty,
            _ => StreamLook::Other,
        }
    }
}

/// The number behind which the server takes no entry any more.
///
/// # Safety
///
/// As for [`check`]; the key holds a stream.
unsafe fn last_generated(ctx: *mut raw::RedisModuleCtx, name: &[u8]) -> u64 {
    // SAFETY: the caller vouches for `ctx`; the strings live through the call.
    unsafe {
        let args = [HeldString::of(b"STREAM"), HeldString::of(name)];
        let reply = call_reply::read(ctx, c"XINFO", &[args[0].as_ptr(), args[1].as_ptr()]);
        let last = reply.text_of(b"last-generated-id").unwrap_or_default();
        let ms = last.split(|byte| *byte == b'-').next().unwrap_or_default();
        std::str::from_utf8(ms).ok().and_then(|ms| ms.parse().ok()).unwrap_or(0)
    }
}

/// Appends one entry. Returns false while the server runs no command on any key. `last` is the number before, of a
/// stream that was flushed. `known` is the position of a stream, perhaps of this one, and becomes the one behind the entry.
///
/// # Safety
///
/// As for [`check`].
pub unsafe fn append(
    ctx: *mut raw::RedisModuleCtx,
    change: &DocumentChange,
    last: Option<u64>,
    known: &mut Option<KnownPosition>,
) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let database = call!(RedisModule_GetSelectedDb(ctx));
        let is_of = |name: &[u8]| is_stream_of(ctx, name, &change.model, &change.key);
        let known_here =
            known.take().filter(|known| known.database == database && is_of(known.name.bytes()));
        let is_known = known_here.is_some();
        let (name, found) = match known_here {
            Some(known) => (known.name, Some(known.last)),
            None => {
                let name = stream_of(ctx, &change.model, &change.key);
                let found = match position(ctx, &name) {
                    StreamPosition::At(found) => Some(found),
                    _ => last,
                };
                (HeldString::of(&name), found)
            }
        };
        // A stream that is new begins at the clock, behind all numbers before. A gap is one also for readers of an entry that
        // was deleted.
        let found = match found {
            Some(last) if gaps::is_owed(database, name.bytes()) => {
                Some(last.max(last_generated(ctx, name.bytes())).saturating_add(1))
            }
            found => found,
        };
        let now_us = if found.is_none() { clock::now_us() } else { 0 };
        let mut seq = next_seq(found, now_us).unwrap_or(u64::MAX);
        let mut entry = ChangeEntry::new(&name, change, seq);
        let len = if is_known { entry.append_to_open(ctx) } else { None };
        let mut appended = match len {
            Some(_) => Appended::Done,
            None => entry.append_by_command(ctx),
        };
        if matches!(appended, Appended::Refused(_)) {
            // The last entry was deleted, and the stream stands further on.
            let last = last_generated(ctx, name.bytes());
            if let Some(next) = next_seq(Some(last), 0).filter(|next| *next > seq) {
                seq = next;
                appended = ChangeEntry::new(&name, change, seq).append_by_command(ctx);
            }
        }
        match appended {
            Appended::Done => {
                gaps::give(database, name.bytes());
                counters::CHANGES.fetch_add(1, Ordering::Relaxed);
                *known = Some(KnownPosition { database, name, last: seq, len });
                true
            }
            Appended::Later => false,
            Appended::Left => true,
            Appended::Refused(why) => {
                gaps::owe();
                counters::CHANGES_LOST.fetch_add(1, Ordering::Relaxed);
                let name = String::from_utf8_lossy(name.bytes());
                let why = String::from_utf8_lossy(&why);
                log::warning(ctx, &format!("{name} does not have a change: {why}"));
                true
            }
        }
    }
}
