//! The server's own structures at the keys of a command, read while its documents are borrowed.

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{bytes, call, is_ok};
use super::call_reply::{self, CallReply, CallReplyKind};
use super::caller::Caller;
use crate::command::Key;
use crate::error::{Error, Result};
use crate::expr::{NativeAnswer, NativeQuestion};
use crate::native::{NativeCall, NativeKind, NativeSource};

/// The error of the C library for a number outside of a range.
const EDOM: c_int = 33;

/// The structures as one command sees them. Those of its keys that hold documents are not read.
pub struct ServerStructures<'c> {
    ctx: *mut raw::RedisModuleCtx,
    argv: &'c [*mut raw::RedisModuleString],
    /// All keys of the command.
    keys: StructureKeys,
    caller: OnceCell<Caller>,
    now_ms: u64,
}

pub type StructureKeys = SmallVec<[StructureKey; 4]>;

/// A key that is open for writing: such a look-up is no hit and no miss, and gives no event. Nothing is changed through it.
pub struct StructureKey {
    /// The argument that names it.
    arg: usize,
    handle: Cell<*mut raw::RedisModuleKey>,
    /// Flag: it holds a document, or may get one, and the host closes it.
    is_of_host: bool,
}

impl StructureKey {
    /// Opens a key.
    ///
    /// # Safety
    ///
    /// `ctx` is that of the running command, whose argument `arg` is `name`; both outlive the result.
    pub unsafe fn open(
        ctx: *mut raw::RedisModuleCtx,
        arg: usize,
        name: *mut raw::RedisModuleString,
    ) -> StructureKey {
        // SAFETY: the caller vouches for the arguments.
        let handle = unsafe { open_to_write(ctx, name) };
        StructureKey { arg, handle: Cell::new(handle), is_of_host: false }
    }

    /// A key that the host has open for a document, and closes later than the result is used.
    pub fn of_host(arg: usize, handle: *mut raw::RedisModuleKey) -> StructureKey {
        StructureKey { arg, handle: Cell::new(handle), is_of_host: true }
    }

    pub fn handle(&self) -> *mut raw::RedisModuleKey {
        self.handle.get()
    }

    fn close(&self) {
        // SAFETY: a handle is closed once, by its owner; a null one is ignored.
        unsafe { call!(RedisModule_CloseKey(self.handle.replace(ptr::null_mut()))) };
    }
}

impl Drop for StructureKey {
    fn drop(&mut self) {
        if !self.is_of_host {
            self.close();
        }
    }
}

/// # Safety
///
/// As for [`StructureKey::open`].
unsafe fn open_to_write(
    ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
) -> *mut raw::RedisModuleKey {
    let mode = raw::REDISMODULE_READ | raw::REDISMODULE_WRITE;
    // SAFETY: the caller vouches for the arguments.
    unsafe { call!(RedisModule_OpenKey(ctx, name, mode as c_int)) }
}

impl<'c> ServerStructures<'c> {
    /// # Safety
    ///
    /// `ctx` and `argv` are those of the command being run, `keys` are all its keys; they outlive the result.
    pub unsafe fn new(
        ctx: *mut raw::RedisModuleCtx,
        argv: &'c [*mut raw::RedisModuleString],
        keys: StructureKeys,
        now_ms: u64,
    ) -> ServerStructures<'c> {
        ServerStructures { ctx, argv, keys, caller: OnceCell::new(), now_ms }
    }

    fn key(&self, key: Key<'_>) -> &StructureKey {
        let open = self.keys.iter().find(|open| open.arg == key.arg);
        open.expect("all keys of the command are open")
    }

    fn handle(&self, key: Key<'_>) -> *mut raw::RedisModuleKey {
        self.key(key).handle()
    }

    /// Runs a command of the server that reads the key. Redis 7.0 may find then that the key has expired, where this is not
    /// inside a client's command, and deletes it: it is not open meanwhile.
    fn read_by(
        &self,
        name: &CStr,
        key: Key<'_>,
        args: &[*mut raw::RedisModuleString],
    ) -> CallReply {
        let structure = self.key(key);
        assert!(!structure.is_of_host, "documents are not read by commands");
        structure.close();
        // SAFETY: the context and the arguments are those of the running command, or strings that live as long as this.
        unsafe {
            let reply = call_reply::read(self.ctx, name, args);
            structure.handle.set(open_to_write(self.ctx, self.argv[key.arg]));
            reply
        }
    }

    fn size(&self, key: Key<'_>) -> NativeAnswer {
        // SAFETY: the key is open.
        let size = unsafe { call!(RedisModule_ValueLength(self.handle(key))) };
        NativeAnswer::Int(size as i64)
    }

    /// Calls with the bytes as a string of the server.
    fn with_string<T>(
        &self,
        text: &[u8],
        work: impl FnOnce(*mut raw::RedisModuleString) -> T,
    ) -> T {
        // SAFETY: the bytes are copied, and the string is freed when the work is over.
        unsafe {
            let start = text.as_ptr().cast::<c_char>();
            let string = call!(RedisModule_CreateString(ptr::null_mut(), start, text.len()));
            let done = work(string);
            call!(RedisModule_FreeString(ptr::null_mut(), string));
            done
        }
    }

    fn score(&self, key: Key<'_>, member: &[u8]) -> Option<f64> {
        let handle = self.handle(key);
        self.with_string(member, |member| {
            let mut score = 0.0;
            // SAFETY: the key holds a sorted set.
            let found = unsafe { call!(RedisModule_ZsetScore(handle, member, &raw mut score)) };
            is_ok(found).then_some(score)
        })
    }

    fn field(&self, key: Key<'_>, field: &[u8]) -> NativeAnswer {
        let handle = self.handle(key);
        self.with_string(field, |field| {
            let mut value: *mut raw::RedisModuleString = ptr::null_mut();
            let end = ptr::null_mut::<raw::RedisModuleString>();
            // SAFETY: the key holds a hash; the value is ours to free.
            unsafe {
                call!(RedisModule_HashGet(
                    handle,
                    raw::REDISMODULE_HASH_NONE as c_int,
                    field,
                    &raw mut value,
                    end
                ));
                if value.is_null() {
                    return NativeAnswer::Missing;
                }
                let answer = NativeAnswer::Bytes(bytes(value).to_vec());
                call!(RedisModule_FreeString(self.ctx, value));
                answer
            }
        })
    }

    /// Flag: the hash has the field. The command for it would delete a field that has expired, and the key with its last
    /// one, under the open handle.
    fn has_field(&self, key: Key<'_>, field: &[u8]) -> bool {
        let handle = self.handle(key);
        self.with_string(field, |field| {
            let (mut found, end) = (0 as c_int, ptr::null_mut::<raw::RedisModuleString>());
            let flags = raw::REDISMODULE_HASH_EXISTS as c_int;
            // SAFETY: the key holds a hash.
            unsafe { call!(RedisModule_HashGet(handle, flags, field, &raw mut found, end)) };
            found != 0
        })
    }

    /// Asks by a command of the server about the key and the operand.
    fn ask(&self, name: &CStr, key: Key<'_>, operand: Option<&[u8]>) -> Result<CallReply> {
        let string = self.argv[key.arg];
        let reply = match operand {
            None => self.read_by(name, key, &[string]),
            Some(operand) => {
                self.with_string(operand, |operand| self.read_by(name, key, &[string, operand]))
            }
        };
        match reply.is_error() {
            true => Err(unreadable(name)),
            false => Ok(reply),
        }
    }

    /// The last id of a stream, whether or not its entry is there still.
    fn last(&self, key: Key<'_>) -> Result<NativeAnswer> {
        let string = self.argv[key.arg];
        let reply =
            self.with_string(b"STREAM", |stream| self.read_by(c"XINFO", key, &[stream, string]));
        let last = reply.text_of(b"last-generated-id").ok_or_else(|| unreadable(c"XINFO"))?;
        Ok(NativeAnswer::Bytes(last.to_vec()))
    }
}

#[cold]
fn unreadable(command: &CStr) -> Error {
    Error::syntax("the server does not let the module read the structure")
        .text("command", command.to_bytes())
}

impl NativeSource for ServerStructures<'_> {
    fn kind(&self, key: Key<'_>) -> NativeKind {
        // SAFETY: the key is open; a null handle is that of a missing key.
        let kind = unsafe { call!(RedisModule_KeyType(self.handle(key))) };
        match kind as isize {
            raw::REDISMODULE_KEYTYPE_EMPTY => NativeKind::Missing,
            raw::REDISMODULE_KEYTYPE_STRING => NativeKind::String,
            raw::REDISMODULE_KEYTYPE_LIST => NativeKind::List,
            raw::REDISMODULE_KEYTYPE_SET => NativeKind::Set,
            raw::REDISMODULE_KEYTYPE_ZSET => NativeKind::SortedSet,
            raw::REDISMODULE_KEYTYPE_HASH => NativeKind::Hash,
            raw::REDISMODULE_KEYTYPE_STREAM => NativeKind::Stream,
            _ => NativeKind::Other,
        }
    }

    fn read(&self, key: Key<'_>, question: NativeQuestion<'_>) -> Result<NativeAnswer> {
        let member = |found: bool| Ok(NativeAnswer::Bool(found));
        match question {
            NativeQuestion::Has(name) => match self.kind(key) {
                NativeKind::SortedSet => member(self.score(key, name).is_some()),
                NativeKind::Hash => member(self.has_field(key, name)),
                _ => member(self.ask(c"SISMEMBER", key, Some(name))?.integer() == 1),
            },
            NativeQuestion::Score(member) => Ok(match self.score(key, member) {
                Some(score) => NativeAnswer::Double(score),
                None => NativeAnswer::Missing,
            }),
            NativeQuestion::Rank(member) => {
                let reply = self.ask(c"ZRANK", key, Some(member))?;
                Ok(match reply.kind() {
                    CallReplyKind::Int => NativeAnswer::Int(reply.integer()),
                    _ => NativeAnswer::Missing,
                })
            }
            NativeQuestion::Field(field) => Ok(self.field(key, field)),
            NativeQuestion::Size => Ok(self.size(key)),
            NativeQuestion::Text => {
                let reply = self.ask(c"GET", key, None)?;
                Ok(match reply.kind() {
                    CallReplyKind::Text => NativeAnswer::Bytes(reply.text().to_vec()),
                    _ => NativeAnswer::Missing,
                })
            }
            NativeQuestion::Last => self.last(key),
        }
    }

    fn check_call(&self, key: Key<'_>, call: &NativeCall) -> Result<()> {
        // SAFETY: the context and the key are those of the running command.
        unsafe {
            let caller = self.caller.get_or_init(|| Caller::of(self.ctx));
            caller.check(self.ctx, call, self.argv[key.arg])
        }
    }

    /// An entry with the first id is refused where the stream has one already, whatever it holds: as too small, or because
    /// no id is left. To ask for the last id costs twenty times as much.
    fn has_next_id(&self, key: Key<'_>) -> bool {
        let handle = self.handle(key);
        let mut first = raw::RedisModuleStreamID { ms: 0, seq: 1 };
        // SAFETY: the key is open for writing; a stream that has entries takes none with the first id.
        unsafe {
            if call!(RedisModule_KeyType(handle)) as isize == raw::REDISMODULE_KEYTYPE_EMPTY {
                return true;
            }
            if call!(RedisModule_ValueLength(handle)) == 0 {
                return false;
            }
            let added = call!(RedisModule_StreamAdd(handle, 0, &raw mut first, ptr::null_mut(), 0));
            assert!(!is_ok(added), "the first id of a stream is taken");
        }
        std::io::Error::last_os_error().raw_os_error() == Some(EDOM)
    }

    fn may_be_missing(&self, key: Key<'_>) -> bool {
        // SAFETY: the context is that of the running command.
        let flags = unsafe { call!(RedisModule_GetContextFlags(self.ctx)) };
        if flags & raw::REDISMODULE_CTX_FLAGS_CLUSTER as c_int == 0 {
            return true;
        }
        match self.kind(key) {
            NativeKind::Missing => {
                // SAFETY: as above.
                let reply = unsafe { call_reply::read(self.ctx, c"EXISTS", &[self.argv[key.arg]]) };
                !reply.is_error()
            }
            // It will be gone: another missing key of the slot tells how the server would take it.
            _ => (0..8).filter_map(|nth| probe(key.name, nth)).any(|name| {
                self.with_string(&name, |name| {
                    // SAFETY: as above.
                    let reply = unsafe { call_reply::read(self.ctx, c"EXISTS", &[name]) };
                    reply.kind() == CallReplyKind::Int && reply.integer() == 0
                })
            }),
        }
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

/// A name in the hash slot of a key that hardly any key has; none where the key's own name cannot be a tag.
fn probe(key: &[u8], nth: u8) -> Option<Vec<u8>> {
    let position = |from: usize, byte| Some(from + memchr::memchr(byte, &key[from..])?);
    let tag = position(0, b'{').and_then(|open| Some(&key[open + 1..position(open, b'}')?]));
    let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let fits = !tag.is_empty() && memchr::memchr(b'}', tag).is_none();
    fits.then(|| [&b"{"[..], tag, b"}\0model.probe\0", &[nth]].concat())
}

#[cfg(test)]
mod tests {
    use super::probe;

    #[test]
    fn a_probe_has_the_tag_of_its_key() {
        for (key, tag) in [("a", "a"), ("x{b}y", "b"), ("a{b", "a{b"), ("{}a{b}", ""), ("a}b", "")]
        {
            let name = probe(key.as_bytes(), 7).unwrap_or_default();
            let expected = match tag {
                "" => String::new(),
                tag => format!("{{{tag}}}\0model.probe\0\x07"),
            };
            assert_eq!(name, expected.as_bytes(), "{key}");
        }
    }
}
