//! The commands of natives, run by the server in the unit of the transaction.
//!
//! Everything the server could refuse was found before. What is refused all the same, by a command filter of another
//! module, is counted and written to the log, and its error is the reply.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::call;
use super::call_reply::{self, CallReply, CallReplyKind};
use super::{counters, log};
use crate::native::{NATIVES, NativeCall, NativeReply, NativeSpec, Words};
use crate::reply;

/// The names of all natives as C has them, by their numbers.
static NAMES: LazyLock<Vec<CString>> = LazyLock::new(|| {
    let name = |spec: &NativeSpec| CString::new(spec.name).expect("names hold no NUL");
    NATIVES.iter().map(name).collect()
});

/// Runs one command on the key, and has replicas and the AOF sent it. The permissions of the caller were checked before.
///
/// # Safety
///
/// `ctx` is the context of the running command, `key` one of its arguments, and no key is open.
pub unsafe fn run(
    ctx: *mut raw::RedisModuleCtx,
    key: *mut raw::RedisModuleString,
    call: &NativeCall,
) -> NativeReply {
    counters::NATIVES.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the caller vouches for the arguments.
    let reply = unsafe { send(ctx, &NAMES[call.spec.number()], key, &call.words) };
    match reply.kind() {
        CallReplyKind::Int => NativeReply::Int(reply.integer()),
        CallReplyKind::Null => NativeReply::Null,
        CallReplyKind::Text if reply.text() == b"OK" => NativeReply::Ok,
        CallReplyKind::Text => NativeReply::Text(reply::text_of(reply.text())),
        CallReplyKind::Error | CallReplyKind::Array => refused(ctx, call, reply.text()),
    }
}

/// The server copies bytes into strings of its own, which it may keep; strings of ours it could only share.
///
/// # Safety
///
/// As for [`run`].
unsafe fn send(
    ctx: *mut raw::RedisModuleCtx,
    name: &CStr,
    key: *mut raw::RedisModuleString,
    words: &Words,
) -> CallReply {
    let word = |nth: usize| (words.get(nth).as_ptr().cast::<c_char>(), words.get(nth).len());
    let keyword = |nth: usize| keyword(words.get(nth));
    let (server_call, name) = (call_reply::run(), name.as_ptr());
    // SAFETY: the caller vouches for `ctx` and `key`; each format names the arguments that follow.
    CallReply(unsafe {
        match words.len() {
            0 => server_call(ctx, name, c"!Es".as_ptr(), key),
            1 => {
                let (start, len) = word(0);
                server_call(ctx, name, c"!Esb".as_ptr(), key, start, len)
            }
            2 => {
                let ((one, one_len), (two, two_len)) = (word(0), word(1));
                server_call(ctx, name, c"!Esbb".as_ptr(), key, one, one_len, two, two_len)
            }
            // An entry of one member; a list of arguments would make the server allocate once more.
            6 if [0, 1, 3].iter().all(|nth| keyword(*nth).is_some()) => {
                let [maxlen, about, id] = [0, 1, 3].map(|nth| keyword(nth).expect("it is one"));
                let ((most, most_len), form) = (word(2), c"!Esssbsbb".as_ptr());
                let ((field, field_len), (value, value_len)) = (word(4), word(5));
                server_call(
                    ctx, name, form, key, maxlen, about, most, most_len, id, field, field_len,
                    value, value_len,
                )
            }
            _ => {
                let mut strings = SmallVec::<[*mut raw::RedisModuleString; 16]>::new();
                let mut made = SmallVec::<[*mut raw::RedisModuleString; 16]>::new();
                for nth in 0..words.len() {
                    strings.push(keyword(nth).unwrap_or_else(|| {
                        let (start, len) = word(nth);
                        made.push(call!(RedisModule_CreateString(ptr::null_mut(), start, len)));
                        made[made.len() - 1]
                    }));
                }
                let form = c"!Esv".as_ptr();
                let reply = server_call(ctx, name, form, key, strings.as_ptr(), strings.len());
                for string in made {
                    call!(RedisModule_FreeString(ptr::null_mut(), string));
                }
                reply
            }
        }
    })
}

/// The string of a word that commands of natives have in common: it is never freed, and no command changes it.
fn keyword(word: &[u8]) -> Option<*mut raw::RedisModuleString> {
    const WORDS: [&[u8]; 3] = [b"MAXLEN", b"~", b"*"];
    thread_local! {
        static STRINGS: [*mut raw::RedisModuleString; 3] = WORDS.map(|word| {
            let start = word.as_ptr().cast::<c_char>();
            // SAFETY: the bytes are copied; without a context the string is no part of a memory pool.
            unsafe { call!(RedisModule_CreateString(ptr::null_mut(), start, word.len())) }
        });
    }
    let nth = WORDS.iter().position(|known| *known == word)?;
    Some(STRINGS.with(|strings| strings[nth]))
}

#[cold]
fn refused(ctx: *mut raw::RedisModuleCtx, call: &NativeCall, text: &[u8]) -> NativeReply {
    counters::NATIVES_REFUSED.fetch_add(1, Ordering::Relaxed);
    let text = match text {
        b"" => b"ERR the server refused the command",
        text => text.strip_prefix(b"-").unwrap_or(text),
    };
    let (block, nth) = call.at;
    let shown = String::from_utf8_lossy(text);
    log::warning(
        ctx,
        &format!(
            "{} was refused after its transaction was committed, in block {block} at {nth}: {shown}",
            call.spec.name
        ),
    );
    NativeReply::Error(text.to_vec())
}
