//! One entry of a change stream, appended as the server's `XADD` does it.
//!
//! `XADD` is run where anything about the stream may be unknown: it is new, another structure is at its key, the cluster
//! is down. A stream that the running command has checked takes its entry through the open key, which spares the server
//! finding and checking a command. Both ways send the same command to replicas and the AOF, and give the same events;
//! clients that wait for the stream, watch it or keep it are told alike.

use std::cell::RefCell;
use std::ffi::c_int;
use std::{io, ptr};

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{call, is_ok};
use super::call_reply::{self, CallReply, CallReplyKind};
use super::held::HeldString;
use crate::changes::{DocumentChange, FieldValue};

/// The outcome of appending an entry.
pub enum Appended {
    Done,
    /// The cluster is down.
    Later,
    /// The hash slot is another node's, with its documents and its stream.
    Left,
    /// The server refused the entry, and said why.
    Refused(Vec<u8>),
}

/// The arguments of `XADD` for one entry: the stream, how it is trimmed, the number, the fields.
pub struct ChangeEntry<'e> {
    stream: &'e HeldString,
    seq: u64,
    /// The entries that the stream keeps at least.
    most: u64,
    args: SmallVec<[*mut raw::RedisModuleString; 24]>,
    /// Those that are freed with this.
    made: SmallVec<[HeldString; 8]>,
}

/// Positions in the arguments, behind the name of the stream and `MAXLEN`.
const HOW: usize = 2;
const MOST: usize = 3;
const FIELDS: usize = 5;

impl<'e> ChangeEntry<'e> {
    pub fn new(stream: &'e HeldString, change: &DocumentChange, seq: u64) -> ChangeEntry<'e> {
        let (args, made) = (SmallVec::new(), SmallVec::new());
        let mut entry = ChangeEntry { stream, seq, most: change.entries, args, made };
        // How the stream is trimmed is known when it is sent.
        let (maxlen, later) = (known_word("MAXLEN"), ptr::null_mut());
        entry.args.extend_from_slice(&[stream.as_ptr(), maxlen, later, later]);
        let mut digits = itoa::Buffer::new();
        let mut id = SmallVec::<[u8; 24]>::from_slice(digits.format(seq).as_bytes());
        id.extend_from_slice(b"-0");
        let id = entry.text(&id);
        entry.args.push(id);
        change.each_field(seq, |field, value| {
            let value = match value {
                FieldValue::Number(number) => entry.number(number),
                FieldValue::Word(word) => known_word(word),
                FieldValue::Text(text) => entry.text(text),
            };
            entry.args.push(known_word(field));
            entry.args.push(value);
        });
        entry
    }

    fn text(&mut self, text: &[u8]) -> *mut raw::RedisModuleString {
        let string = HeldString::of(text);
        let pointer = string.as_ptr();
        self.made.push(string);
        pointer
    }

    fn number(&mut self, number: u64) -> *mut raw::RedisModuleString {
        self.text(itoa::Buffer::new().format(number).as_bytes())
    }

    /// Has the command trim the stream to so many entries.
    fn trim(&mut self, how: &'static str, most: u64) {
        self.args[HOW] = known_word(how);
        self.args[MOST] = self.number(most);
    }

    /// Appends the entry to a stream that has some. Returns how many it has then; none where the server did not take it:
    /// nothing has happened.
    ///
    /// # Safety
    ///
    /// `ctx` is that of a command or a timer, and no key is open.
    pub unsafe fn append_to_open(&mut self, ctx: *mut raw::RedisModuleCtx) -> Option<u64> {
        let mode = raw::REDISMODULE_READ | raw::REDISMODULE_WRITE;
        let stream = self.stream.as_ptr();
        let mut id = raw::RedisModuleStreamID { ms: self.seq, seq: 0 };
        let count = (self.args.len() - FIELDS) / 2;
        // SAFETY: the caller vouches for `ctx`; the key is closed again, and the server copies the strings of the fields.
        unsafe {
            let key = call!(RedisModule_OpenKey(ctx, stream, mode as c_int));
            let is_stream =
                call!(RedisModule_KeyType(key)) as isize == raw::REDISMODULE_KEYTYPE_STREAM;
            let fields = self.args[FIELDS..].as_mut_ptr();
            if !is_stream
                || !is_ok(call!(RedisModule_StreamAdd(key, 0, &raw mut id, fields, count as _)))
            {
                call!(RedisModule_CloseKey(key));
                return None;
            }
            let about = raw::REDISMODULE_STREAM_TRIM_APPROX as c_int;
            let trimmed = call!(RedisModule_StreamTrimByLength(key, about, self.most as _));
            let left = call!(RedisModule_ValueLength(key)) as u64;
            // Clients that wait for the stream are told when the key is closed.
            call!(RedisModule_CloseKey(key));
            call!(RedisModule_SignalModifiedKey(ctx, stream));
            let class = raw::REDISMODULE_NOTIFY_STREAM as c_int;
            call!(RedisModule_NotifyKeyspaceEvent(ctx, class, c"xadd".as_ptr(), stream));
            if trimmed > 0 {
                call!(RedisModule_NotifyKeyspaceEvent(ctx, class, c"xtrim".as_ptr(), stream));
            }
            self.replicate(ctx, left);
            Some(left)
        }
    }

    /// Replicas trim to the length that the stream has here.
    ///
    /// # Safety
    ///
    /// As for [`ChangeEntry::append_to_open`].
    unsafe fn replicate(&mut self, ctx: *mut raw::RedisModuleCtx, len: u64) {
        self.trim("=", len);
        let args = &self.args;
        // SAFETY: the caller vouches for `ctx`; the server keeps what it needs of the strings.
        unsafe {
            let replicate = raw::RedisModule_Replicate
                .expect("RedisModule_Replicate exists on every supported server");
            replicate(ctx, c"XADD".as_ptr(), c"v".as_ptr(), args.as_ptr(), args.len());
        }
    }

    /// Has the server run `XADD`, which makes the stream if it is missing.
    ///
    /// # Safety
    ///
    /// As for [`ChangeEntry::append_to_open`].
    pub unsafe fn append_by_command(&mut self, ctx: *mut raw::RedisModuleCtx) -> Appended {
        self.trim("~", self.most);
        let args = &self.args;
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
}

thread_local! {
    /// Names of fields and kinds of changes, as strings that are never freed: the server changes no string that it shares.
    static KNOWN_WORDS: RefCell<Vec<(&'static str, *mut raw::RedisModuleString)>> =
        const { RefCell::new(Vec::new()) };
}

/// One of the words that entries are made of, which are made once.
fn known_word(word: &'static str) -> *mut raw::RedisModuleString {
    KNOWN_WORDS.with_borrow_mut(|known| {
        // A word that is in the program twice is made twice.
        if let Some((_, string)) = known.iter().find(|(known, _)| ptr::eq(*known, word)) {
            return *string;
        }
        // SAFETY: the bytes are copied; without a context the string is no part of a memory pool.
        let string = unsafe {
            call!(RedisModule_CreateString(ptr::null_mut(), word.as_ptr().cast(), word.len()))
        };
        known.push((word, string));
        string
    })
}
