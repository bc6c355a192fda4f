//! Streams of the server that changes are appended to: where they stand, and their entries.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering;
use std::{io, ptr};

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{call, is_ok};
use super::call_reply::{self, CallReply, CallReplyKind};
use super::held::HeldString;
use super::{caller, clock, counters, gaps, log, slots, stored};
use crate::changes::{DocumentChange, FieldValue, next_seq, stream};
use crate::error::{Error, ErrorCode, Result};
use crate::index::hash_slot;

/// The outcome of appending an entry.
enum Appended {
    Done,
    /// The cluster is down.
    Later,
    /// The hash slot is another node's, with its documents and its stream.
    Left,
    /// The server refused the entry, and said why.
    Refused(Vec<u8>),
}

/// The last entry of a stream, where it is known.
pub struct KnownPosition {
    database: c_int,
    name: Vec<u8>,
    last: u64,
}

thread_local! {
    /// The stream that a command has checked last.
    static CHECKED: Cell<Option<KnownPosition>> = const { Cell::new(None) };
}

/// The position of the stream that the running command has checked last. Nothing else is appended to it until the command
/// appends its own entries, but what was noted meanwhile.
pub fn take_checked() -> Option<KnownPosition> {
    CHECKED.take()
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
        if !caller::has_command(ctx, "XADD") {
            let message = "the server's configuration does not have XADD under its name";
            return Err(named(Error::syntax(message)));
        }
        let position = position(ctx, &name);
        if let StreamPosition::At(last) = position {
            let database = call!(RedisModule_GetSelectedDb(ctx));
            CHECKED.set(Some(KnownPosition { database, name: name.clone(), last }));
        }
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
    let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
    let mut id = raw::RedisModuleStreamID { ms: 0, seq: 0 };
    let mut fields = 0;
    // SAFETY: the caller vouches for `ctx`; the key is closed again.
    unsafe {
        let string = to_string(name);
        let key = call!(RedisModule_OpenKey(ctx, string, mode));
        call!(RedisModule_FreeString(ptr::null_mut(), string));
        let kind = call!(RedisModule_KeyType(key)) as isize;
        let found = kind == raw::REDISMODULE_KEYTYPE_STREAM && {
            let order = raw::REDISMODULE_STREAM_ITERATOR_REVERSE as c_int;
            call!(RedisModule_StreamIteratorStart(key, order, ptr::null_mut(), ptr::null_mut()));
            let found =
                is_ok(call!(RedisModule_StreamIteratorNextID(key, &raw mut id, &raw mut fields)));
            call!(RedisModule_StreamIteratorStop(key));
            found
        };
        call!(RedisModule_CloseKey(key));
        match kind {
            raw::REDISMODULE_KEYTYPE_EMPTY => StreamPosition::Missing,
            raw::REDISMODULE_KEYTYPE_STREAM if found => StreamPosition::At(id.ms),
            raw::REDISMODULE_KEYTYPE_STREAM => match last_generated(ctx, name) {
                // A stream that was made for its groups has no entry yet.
                0 => StreamPosition::Missing,
                last => StreamPosition::At(last),
            },
            _ => StreamPosition::Other,
        }
    }
}

/// The number behind which the server takes no entry any more.
///
/// # Safety
///
/// As for [`check`]; the key holds a stream.
unsafe fn last_generated(ctx: *mut raw::RedisModuleCtx, name: &[u8]) -> u64 {
    // SAFETY: the caller vouches for `ctx`; the strings are freed.
    unsafe {
        let args = [to_string(b"STREAM"), to_string(name)];
        let reply = call_reply::read(ctx, c"XINFO", &args);
        args.iter().for_each(|string| call!(RedisModule_FreeString(ptr::null_mut(), *string)));
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
        let name = stream_of(ctx, &change.model, &change.key);
        let database = call!(RedisModule_GetSelectedDb(ctx));
        let found = match known.take() {
            Some(known) if known.database == database && known.name == name => Some(known.last),
            _ => match position(ctx, &name) {
                StreamPosition::At(found) => Some(found),
                _ => last,
            },
        };
        // A stream that is new begins at the clock, behind all numbers before.
        let found = match found {
            Some(last) if gaps::is_owed(database, &name) => Some(last.saturating_add(1)),
            found => found,
        };
        let mut seq = next_seq(found, clock::now_us()).unwrap_or(u64::MAX);
        let mut appended = add(ctx, &name, change, seq);
        if matches!(appended, Appended::Refused(_)) {
            // The last entry was deleted, and the stream stands further on.
            let last = last_generated(ctx, &name);
            if let Some(next) = next_seq(Some(last), 0).filter(|next| *next > seq) {
                seq = next;
                appended = add(ctx, &name, change, seq);
            }
        }
        match appended {
            Appended::Done => {
                gaps::give(database, &name);
                counters::CHANGES.fetch_add(1, Ordering::Relaxed);
                *known = Some(KnownPosition { database, name, last: seq });
                true
            }
            Appended::Later => false,
            Appended::Left => true,
            Appended::Refused(why) => {
                gaps::owe();
                counters::CHANGES_LOST.fetch_add(1, Ordering::Relaxed);
                let (name, why) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&why));
                log::warning(ctx, &format!("{name} does not have a change: {why}"));
                true
            }
        }
    }
}

/// # Safety
///
/// As for [`check`].
unsafe fn add(
    ctx: *mut raw::RedisModuleCtx,
    stream: &[u8],
    change: &DocumentChange,
    seq: u64,
) -> Appended {
    let mut words = StreamWords::default();
    words.add(stream);
    words.add_known("MAXLEN");
    words.add_known("~");
    words.add_number(change.entries, b"");
    words.add_number(seq, b"-0");
    change.each_field(seq, |field, value| {
        words.add_known(field);
        match value {
            FieldValue::Number(number) => words.add_number(number, b""),
            FieldValue::Word(word) => words.add_known(word),
            FieldValue::Text(text) => words.add(text),
        }
    });
    let args = &words.args;
    // SAFETY: the caller vouches for `ctx`; the server keeps what it needs of the strings.
    unsafe {
        let (name, form) = (c"XADD".as_ptr(), c"!v".as_ptr());
        let reply = CallReply(call_reply::run()(ctx, name, form, args.as_ptr(), args.len()));
        let error = io::Error::last_os_error().kind();
        match reply.kind() {
            CallReplyKind::Text => Appended::Done,
            _ if !reply.0.is_null() => Appended::Refused(reply.text().to_vec()),
            // The server ran no command.
            _ if error == io::ErrorKind::PermissionDenied => Appended::Left,
            _ if error == io::ErrorKind::NotFound => Appended::Refused(b"no XADD".to_vec()),
            _ => Appended::Later,
        }
    }
}

/// The arguments of `XADD`.
#[derive(Default)]
struct StreamWords {
    args: SmallVec<[*mut raw::RedisModuleString; 24]>,
    /// Those that are freed with this.
    made: SmallVec<[HeldString; 8]>,
}

impl StreamWords {
    fn add(&mut self, text: &[u8]) {
        let string = HeldString::of(text);
        self.args.push(string.as_ptr());
        self.made.push(string);
    }

    /// Adds one of the words that entries are made of, which are made once.
    fn add_known(&mut self, word: &'static str) {
        let string = KNOWN_WORDS.with_borrow_mut(|known| {
            if let Some((_, string)) = known.iter().find(|(known, _)| *known == word) {
                return *string;
            }
            let string = to_string(word.as_bytes());
            known.push((word, string));
            string
        });
        self.args.push(string);
    }

    fn add_number(&mut self, number: u64, behind: &[u8]) {
        let mut buffer = itoa::Buffer::new();
        let mut text = SmallVec::<[u8; 24]>::from_slice(buffer.format(number).as_bytes());
        text.extend_from_slice(behind);
        self.add(&text);
    }
}

thread_local! {
    /// Names of fields and kinds of changes, as strings that are never freed: the server changes no string that it shares.
    static KNOWN_WORDS: RefCell<Vec<(&'static str, *mut raw::RedisModuleString)>> =
        const { RefCell::new(Vec::new()) };
}

/// A string that belongs to no context; to be freed.
fn to_string(text: &[u8]) -> *mut raw::RedisModuleString {
    // SAFETY: the bytes are copied.
    unsafe {
        call!(RedisModule_CreateString(ptr::null_mut(), text.as_ptr().cast::<c_char>(), text.len()))
    }
}
