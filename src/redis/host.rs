//! The keyspace of the server, as one command sees it.

use std::cell::RefCell;
use std::ffi::{c_int, c_longlong};
use std::sync::Arc;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::call;
use super::{clock, config, counters, locks, models, role, stored, token_type};
use crate::budget::Allowance;
use crate::command::{Documents, Host, Key, Settings, WithLocks, expression};
use crate::document::{Document, NewDocument, Revisions};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::expr::cache::Cache;
use crate::expr::{AllowedNames, ExprLimits, Program};
use crate::keys::KeyIndex;
use crate::lock::Moment;
use crate::model::Models;
use crate::token::Token;
use crate::value::edit::Journal;

/// One command's view; keys stay open until it is dropped.
pub struct ServerHost<'c> {
    ctx: *mut raw::RedisModuleCtx,
    argv: &'c [*mut raw::RedisModuleString],
    /// The bytes of `argv`.
    args: &'c [&'c [u8]],
    /// The keys that are open, and the numbers of their names.
    open: SmallVec<[OpenKey; 1]>,
    names: KeyIndex<'c>,
    now_us: Option<u64>,
}

struct OpenKey {
    /// Null for a missing key that was opened for reading.
    handle: *mut raw::RedisModuleKey,
    writable: bool,
    /// The document that may be changed, as long as it is there.
    document: Option<*mut Document>,
}

impl Drop for OpenKey {
    fn drop(&mut self) {
        // SAFETY: the handle was opened by this host and is closed once; a null one is ignored. The document
        // is at the key, and nothing of it is borrowed any more.
        unsafe {
            // After a panic the document is as it was before, but nothing more is asked of it.
            if let Some(document) = self.document
                && !std::thread::panicking()
            {
                stored::settle(self.handle, document);
            }
            call!(RedisModule_CloseKey(self.handle));
        }
    }
}

impl<'c> ServerHost<'c> {
    /// # Safety
    ///
    /// `ctx` and `argv` are those of the command being run, and outlive the host; `args` are their bytes.
    pub unsafe fn new(
        ctx: *mut raw::RedisModuleCtx,
        argv: &'c [*mut raw::RedisModuleString],
        args: &'c [&'c [u8]],
    ) -> ServerHost<'c> {
        let (open, names) = (SmallVec::new(), KeyIndex::default());
        ServerHost { ctx, argv, args, open, names, now_us: None }
    }

    /// The handle of a key: the same for the same name, however often the command names it. Keys are
    /// found by name, not by argument, so that two handles never stand for one key.
    #[inline]
    fn key(&mut self, key: Key<'_>, write: bool) -> &mut OpenKey {
        let known = self.names.find(key.name);
        if let Some(nth) = known
            && (self.open[nth].writable || !write)
        {
            return &mut self.open[nth];
        }
        let mode = raw::REDISMODULE_READ as c_int
            | if write { raw::REDISMODULE_WRITE as c_int } else { 0 };
        let string = self.argv[key.arg];
        // SAFETY: the context and the argument are those of the running command.
        let handle = unsafe { call!(RedisModule_OpenKey(self.ctx, string, mode)) };
        let open = OpenKey { handle, writable: write, document: None };
        match known {
            // It was open for reading: nothing is borrowed through that any more.
            Some(nth) => {
                self.open[nth] = open;
                &mut self.open[nth]
            }
            None => {
                self.names.push(self.args[key.arg]);
                self.open.push(open);
                self.open.last_mut().expect("one was pushed")
            }
        }
    }

    fn handle(&mut self, key: Key<'_>, write: bool) -> *mut raw::RedisModuleKey {
        self.key(key, write).handle
    }

    fn writable_handle(&mut self, key: Key<'_>) -> *mut raw::RedisModuleKey {
        self.handle(key, true)
    }

    /// The document at a key, to be changed; `WRONGTYPE` if it holds something else.
    #[inline]
    fn writable_document(&mut self, key: Key<'_>) -> Result<Option<*mut Document>> {
        let open = self.key(key, true);
        if open.document.is_none() {
            // SAFETY: the key stays open as long as the host, and so is its value, unless the host
            // replaces it.
            open.document = unsafe { stored::at_key(open.handle) }.map_err(|()| wrong_type())?;
        }
        Ok(open.document)
    }

    /// A key opened for writing whose document is about to go.
    fn given_up_handle(&mut self, key: Key<'_>) -> *mut raw::RedisModuleKey {
        let open = self.key(key, true);
        open.document = None;
        open.handle
    }
}

fn wrong_type() -> Error {
    Error::new(ErrorCode::WrongType, "the key holds a value of another type")
}

impl Host for ServerHost<'_> {
    fn now_us(&mut self) -> u64 {
        *self.now_us.get_or_insert_with(clock::now_us)
    }

    fn revisions(&self) -> &Revisions {
        &role::REVISIONS
    }

    fn models(&self) -> &Models {
        &models::MODELS
    }

    fn compile(
        &mut self,
        source: &[u8],
        names: AllowedNames,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Arc<Program>> {
        let text = expression(source)?;
        EXPRESSIONS.with_borrow_mut(|cache| {
            let (entries, bytes) = config::expression_cache();
            cache.resize(entries, bytes);
            let compiled = cache.get(text, names, limits, allowance);
            counters::EXPRESSIONS.store(cache);
            compiled
        })
    }

    fn settings(&self) -> Settings {
        config::settings()
    }

    fn replaying(&self) -> bool {
        // SAFETY: the context is that of the running command.
        unsafe { role::is_replaying(self.ctx) }
    }

    fn read(&mut self, key: Key<'_>) -> Result<Option<&Document>> {
        let handle = self.handle(key, false);
        // SAFETY: the key stays open as long as the host, and nothing changes it while it is borrowed.
        let found = unsafe { stored::at_key(handle) }.map_err(|()| wrong_type())?;
        Ok(found.map(|document| unsafe { &*document }))
    }

    fn open(&mut self, key: Key<'_>) -> Result<Option<&mut Document>> {
        let found = self.writable_document(key)?;
        // SAFETY: as above; there is one handle for one key, and the host is borrowed exclusively.
        Ok(found.map(|document| unsafe { &mut *document }))
    }

    fn open_timed(
        &mut self,
        key: Key<'_>,
        reads_clock: &mut dyn FnMut(Option<&Document>) -> bool,
    ) -> Result<(Option<&mut Document>, Option<u64>)> {
        let found = self.writable_document(key)?;
        // SAFETY: as above; the first borrow is over before the second begins.
        let reads_clock = reads_clock(found.map(|document| unsafe { &*document }));
        let now_us = reads_clock.then(|| self.now_us());
        Ok((found.map(|document| unsafe { &mut *document }), now_us))
    }

    fn open_all(&mut self, keys: &[Key<'_>]) -> Result<Documents<'_>> {
        let mut found = SmallVec::<[Option<*mut Document>; 2]>::with_capacity(keys.len());
        for key in keys {
            let document = self.writable_document(*key);
            found.push(document.map_err(|error| error.text("key", key.name))?);
        }
        assert!(are_different(&found), "the names of the keys differ");
        // SAFETY: each points to a document of its own, and the host is borrowed exclusively.
        Ok(found.into_iter().map(|document| document.map(|found| unsafe { &mut *found })).collect())
    }

    fn remove(&mut self, key: Key<'_>) {
        let handle = self.given_up_handle(key);
        // SAFETY: the key is open for writing, and nothing of its document is borrowed any more.
        unsafe { call!(RedisModule_UnlinkKey(handle)) };
    }

    fn token(&mut self, key: Key<'_>) -> Result<Option<&Token>> {
        let handle = self.writable_handle(key);
        // SAFETY: as in `open`.
        let found = unsafe { token_type::at_key(handle) }.map_err(|()| wrong_type())?;
        Ok(found.map(|token| unsafe { &*token }))
    }

    fn put_token(&mut self, key: Key<'_>, token: Token) {
        let handle = self.writable_handle(key);
        // SAFETY: the command looked at the key first: it holds a token or nothing.
        unsafe { token_type::put(handle, token) };
    }

    fn put(&mut self, key: Key<'_>, document: NewDocument) {
        let handle = self.given_up_handle(key);
        // SAFETY: the command looked at the key first: it holds a document or nothing.
        unsafe { stored::put(handle, document) };
    }

    fn expire(&mut self, key: Key<'_>, expiry: Expiry) -> bool {
        let unix_ms = match expiry {
            Expiry::Keep => return false,
            Expiry::Persist => c_longlong::from(raw::REDISMODULE_NO_EXPIRE),
            Expiry::At(unix_ms) => unix_ms as c_longlong,
        };
        let handle = self.writable_handle(key);
        // SAFETY: the key is open for writing.
        unsafe {
            if call!(RedisModule_GetAbsExpire(handle)) == unix_ms {
                return false;
            }
            call!(RedisModule_SetAbsExpire(handle, unix_ms));
        }
        true
    }

    fn expires_at(&mut self, key: Key<'_>) -> Option<u64> {
        let handle = self.handle(key, false);
        if handle.is_null() {
            return None;
        }
        // SAFETY: the key is open and there.
        let unix_ms = unsafe { call!(RedisModule_GetAbsExpire(handle)) };
        u64::try_from(unix_ms).ok()
    }

    fn may_refresh(&mut self) -> bool {
        // SAFETY: the context is that of the running command; the pointer is checked.
        unsafe {
            let flags = call!(RedisModule_GetContextFlags(self.ctx));
            let master = flags & raw::REDISMODULE_CTX_FLAGS_MASTER as c_int != 0;
            let quiet = raw::RedisModule_AvoidReplicaTraffic.is_some_and(|avoid| avoid() != 0);
            master && !quiet && !role::is_replaying(self.ctx)
        }
    }

    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        // SAFETY: the context is that of the running command.
        unsafe { super::scan::documents(self.ctx, model, cursor, count) }
    }

    fn database(&mut self) -> i32 {
        // SAFETY: the context is that of the running command.
        unsafe { call!(RedisModule_GetSelectedDb(self.ctx)) }
    }

    fn client(&mut self) -> u64 {
        // SAFETY: as above.
        unsafe { call!(RedisModule_GetClientId(self.ctx)) }
    }

    fn may_wait(&mut self) -> bool {
        let denied = raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING
            | raw::REDISMODULE_CTX_FLAGS_MULTI
            | raw::REDISMODULE_CTX_FLAGS_LUA;
        // SAFETY: as above.
        let flags = unsafe { call!(RedisModule_GetContextFlags(self.ctx)) };
        flags & denied as c_int == 0
    }

    fn moment(&mut self) -> Moment {
        clock::moment()
    }

    fn with_locks(&mut self, run: &mut WithLocks<'_>) {
        let open = |name: &[u8]| {
            let nth = self.names.find(name).filter(|nth| self.open[*nth].writable)?;
            // SAFETY: the key is open. One that holds something else has no document.
            Some(unsafe { stored::at_key(self.open[nth].handle) }.ok().flatten())
        };
        // SAFETY: as above; the caller borrows no document.
        unsafe { locks::drive(self.ctx, &open, run) };
    }

    fn take_journal(&mut self) -> Box<Journal> {
        JOURNALS.with_borrow_mut(|kept| kept.pop().unwrap_or_default())
    }

    fn keep_journal(&mut self, mut journal: Box<Journal>) {
        journal.clear();
        JOURNALS.with_borrow_mut(|kept| {
            if kept.len() < JOURNALS_KEPT {
                kept.push(journal);
            }
        });
    }
}

/// Journals for what most transactions change at once.
const JOURNALS_KEPT: usize = 16;

/// Flag: no two are the same document.
fn are_different(found: &[Option<*mut Document>]) -> bool {
    if found.len() <= 2 {
        return !matches!(found, [Some(one), Some(other)] if std::ptr::addr_eq(*one, *other));
    }
    let mut known: Vec<_> = found.iter().flatten().map(|document| document.cast::<()>()).collect();
    known.sort_unstable();
    known.windows(2).all(|pair| pair[0] != pair[1])
}

thread_local! {
    /// The journals of earlier commands, for their buffers. In boxes, which are moved faster.
    #[expect(clippy::vec_box)]
    static JOURNALS: RefCell<Vec<Box<Journal>>> = RefCell::default();
    /// The expressions compiled last.
    static EXPRESSIONS: RefCell<Cache> = RefCell::new({
        let (entries, bytes) = config::expression_cache();
        Cache::new(entries, bytes)
    });
}
