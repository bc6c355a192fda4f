//! The keyspace of the server, as one command sees it.

use std::cell::RefCell;
use std::ffi::{c_int, c_longlong, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::slice;
use std::sync::Arc;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::call;
use super::caller::Caller;
use super::held::HeldString;
use super::named_keys::NamedKeys;
use super::native_source::{ServerStructures, StructureKey, StructureKeys};
use super::slots::{self, ShownSlots};
use super::{
    changes, clock, config, counters, indexes, locks, models, native_calls, offers, propagation,
    role, stored, streams, token_type,
};
use crate::budget::Allowance;
use crate::command::{
    self, Access, Documents, IndexScope, Key, KeyEffect, KeyRole, Settings, WithLocks, expression,
};
use crate::document::{Document, NewDocument, Revisions};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::expr::cache::Cache;
use crate::expr::{AllowedNames, ExprLimits, Program};
use crate::host::{ClaimLineState, Host, QueryEvent, RunBeside};
use crate::index::Entries;
use crate::keys::KeyIndex;
use crate::lock::Moment;
use crate::model::{Actions, Model, Models};
use crate::native::{NativeCall, NativeReply};
use crate::token::Token;
use crate::value::edit::Journal;

/// One command's view; keys stay open until it is dropped.
pub struct ServerHost<'c> {
    ctx: *mut raw::RedisModuleCtx,
    argv: &'c [*mut raw::RedisModuleString],
    /// The bytes of `argv`.
    args: &'c [&'c [u8]],
    /// The keys that are open.
    open: SmallVec<[OpenKey; 4]>,
    /// Flag: they were opened before the command was parsed, see [`Host::prefetch`].
    opened_ahead: bool,
    /// The numbers of the first of their names, see [`ServerHost::index_names`].
    names: KeyIndex<'c>,
    now_us: Option<u64>,
    /// For commands that find documents; none for others.
    finding: Option<Box<FindState>>,
    /// See [`Host::note_conflict`].
    conflict: Option<Vec<u8>>,
    /// For commands that found keys: `argv` and `args` are its lists then.
    named: Option<Box<NamedKeys>>,
    /// For the command of a client that has waited.
    waited: Option<Waited<'c>>,
}

/// The end of a client's waiting.
#[derive(Clone, Copy)]
pub struct Waited<'c> {
    /// The only document that the command may find; none where it may find any.
    pub only: Option<&'c [u8]>,
}

/// The means of a command that finds documents.
#[derive(Default)]
struct FindState {
    /// None before a permission was asked for.
    caller: Option<Caller>,
    slots: ShownSlots,
    /// The key looked at last, which stays open while its document is borrowed.
    looked: Option<LookedKey>,
    /// The name that was asked about last.
    name: Option<HeldString>,
    /// See [`Host::keep_looked`].
    kept: Vec<(HeldString, LookedKey)>,
}

struct LookedKey(*mut raw::RedisModuleKey);

impl LookedKey {
    /// The handle, which is not closed by this any more.
    fn into_handle(self) -> *mut raw::RedisModuleKey {
        let key = ManuallyDrop::new(self);
        key.0
    }
}

impl FindState {
    /// A name as a string of the server: the same one as long as it is asked about. Valid until another name is.
    fn string(&mut self, name: &[u8]) -> *mut raw::RedisModuleString {
        match &self.name {
            Some(known) if known.bytes() == name => known.as_ptr(),
            _ => self.name.insert(HeldString::of(name)).as_ptr(),
        }
    }
}

impl Drop for LookedKey {
    fn drop(&mut self) {
        // SAFETY: the handle was opened by this host and is closed once; a null one is ignored.
        unsafe { call!(RedisModule_CloseKey(self.0)) };
    }
}

struct OpenKey {
    /// The first argument that named it.
    arg: usize,
    /// Null for a missing key that was opened for reading.
    handle: *mut raw::RedisModuleKey,
    writable: bool,
    /// The value that was fetched ahead and not looked at yet; null for none.
    fetched: *mut c_void,
    /// The document that may be changed, as long as it is there.
    document: Option<*mut Document>,
}

impl OpenKey {
    /// The document, to be changed; `WRONGTYPE` if the key holds something else.
    #[inline]
    fn find_document(&mut self) -> Result<Option<*mut Document>> {
        if self.document.is_none() {
            let fetched = std::mem::replace(&mut self.fetched, ptr::null_mut());
            // SAFETY: the key stays open as long as the host, and so is its value, unless the host
            // replaces it.
            self.document = if fetched.is_null() {
                unsafe { stored::at_key(self.handle) }.map_err(|()| wrong_type())?
            } else {
                Some(unsafe { stored::from_fetched(fetched) })
            };
        }
        Ok(self.document)
    }
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
        ServerHost {
            ctx,
            argv,
            args,
            open: SmallVec::new(),
            opened_ahead: false,
            names: KeyIndex::new(),
            now_us: None,
            finding: None,
            conflict: None,
            named: None,
            waited: None,
        }
    }

    /// The handle of a key: the same for the same name, however often the command names it. Keys are
    /// found by name, not by argument, so that two handles never stand for one key.
    #[inline]
    fn key(&mut self, key: Key<'_>, write: bool) -> &mut OpenKey {
        let known = self.position(key);
        if let Some(nth) = known
            && (self.open[nth].writable || !write)
        {
            return &mut self.open[nth];
        }
        let open = self.open_key(key, write);
        match known {
            // It was open for reading: nothing is borrowed through that any more.
            Some(nth) => {
                self.open[nth] = open;
                &mut self.open[nth]
            }
            None => {
                self.open.push(open);
                self.open.last_mut().expect("one was pushed")
            }
        }
    }

    /// The position of a key among those that are open.
    #[inline]
    fn position(&mut self, key: Key<'_>) -> Option<usize> {
        // Most commands name each key once, open all of them in their order, and list them one behind the other.
        let first = self.open.first()?.arg;
        let nth = key.arg.wrapping_sub(first);
        if self.open.get(nth).is_some_and(|open| open.arg == key.arg) {
            return Some(nth);
        }
        const FEW: usize = 4;
        match self.open.iter().take(FEW).position(|open| open.arg == key.arg) {
            None => {
                self.index_names();
                self.number_of(key.name)
            }
            known => known,
        }
    }

    #[inline]
    fn open_key(&self, key: Key<'_>, write: bool) -> OpenKey {
        let mode = raw::REDISMODULE_READ as c_int
            | if write { raw::REDISMODULE_WRITE as c_int } else { 0 };
        let string = self.argv[key.arg];
        // SAFETY: the context and the argument are those of the running command.
        let handle = unsafe { call!(RedisModule_OpenKey(self.ctx, string, mode)) };
        OpenKey { arg: key.arg, handle, writable: write, fetched: ptr::null_mut(), document: None }
    }

    /// Numbers the names of all keys that are open, where there are several. Only for [`ServerHost::number_of`]: most
    /// commands open their keys once, all together, and ask for none of them again.
    #[inline]
    fn index_names(&mut self) {
        if self.open.len() > 1 {
            for open in &self.open[self.names.names().len()..] {
                self.names.push(self.args[open.arg]);
            }
        }
    }

    /// The number of an open key. The names are indexed.
    #[inline]
    fn number_of(&self, name: &[u8]) -> Option<usize> {
        match &self.open[..] {
            [] => None,
            [only] => (*self.args[only.arg] == *name).then_some(0),
            _ => self.names.find(name),
        }
    }

    /// The name for which the command was refused with `UNIQUE`.
    pub fn take_conflict(&mut self) -> Option<Vec<u8>> {
        self.conflict.take()
    }

    /// The command is one whose client has waited.
    pub fn set_waited(&mut self, waited: Waited<'c>) {
        self.waited = Some(waited);
    }

    /// The arguments with the keys that the command found behind them; none where it found none.
    pub fn take_named(&mut self) -> Option<Box<NamedKeys>> {
        self.named.take()
    }

    /// Flag: a key of this node that the caller may use in this way.
    fn may_access(
        &mut self,
        name: &[u8],
        permits: impl FnOnce(&Caller, *mut raw::RedisModuleString) -> bool,
    ) -> bool {
        let ctx = self.ctx;
        let finding = self.finding();
        // SAFETY: the context is that of the running command.
        if !unsafe { finding.slots.shows(ctx, name) } {
            return false;
        }
        // SAFETY: as above.
        if !finding.caller.get_or_insert_with(|| unsafe { Caller::of(ctx) }).is_user() {
            return true;
        }
        let name = finding.string(name);
        permits(finding.caller.as_ref().expect("it is there"), name)
    }

    /// The document at a key, which is opened in this way and stays open until the next one is looked at.
    #[inline]
    fn look_in(&mut self, name: &[u8], mode: u32) -> Option<&Document> {
        let ctx = self.ctx;
        let finding = self.finding();
        // The key looked at before is borrowed no more.
        finding.looked = None;
        let name = finding.string(name);
        // SAFETY: the context is that of the running command, and the string is valid.
        let handle = unsafe { call!(RedisModule_OpenKey(ctx, name, mode as c_int)) };
        finding.looked = Some(LookedKey(handle));
        // SAFETY: the key stays open until the next one is looked at, which needs this host exclusively.
        let found = unsafe { stored::at_key(handle) }.ok().flatten();
        found.map(|document| unsafe { &*document })
    }

    fn finding(&mut self) -> &mut FindState {
        self.finding.get_or_insert_default()
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
        self.key(key, true).find_document()
    }

    /// As [`ServerHost::writable_document`], of a key that is not open yet.
    #[inline]
    fn open_document(&mut self, key: Key<'_>) -> Result<Option<*mut Document>> {
        self.open.push(self.open_key(key, true));
        self.open.last_mut().expect("one was pushed").find_document()
    }

    /// A key of a transaction with natives, open, and the document at it, as far as its role asks for one.
    #[inline]
    fn beside(
        &mut self,
        key: Key<'_>,
        role: KeyRole,
    ) -> Result<(StructureKey, Option<*mut Document>)> {
        if role == KeyRole::Document {
            let document = self.writable_document(key)?;
            return Ok((StructureKey::of_host(key.arg, self.writable_handle(key)), document));
        }
        // Two handles never stand for one document.
        if role == KeyRole::Other && self.position(key).is_some() {
            return Ok(self.other_document(key));
        }
        // SAFETY: the context and the argument are those of the running command.
        let structure = unsafe { StructureKey::open(self.ctx, key.arg, self.argv[key.arg]) };
        // SAFETY: the key is open.
        let data_type = unsafe { call!(RedisModule_ModuleTypeGetType(structure.handle())) };
        // Null for the server's own structures, and where the key is missing.
        let ours = !data_type.is_null()
            && (data_type == stored::handle() || data_type == token_type::handle());
        match role {
            _ if !ours => Ok((structure, None)),
            KeyRole::Native => {
                let message = "the key holds a document or a token; documents stand behind ON";
                Err(Error::new(ErrorCode::WrongType, message))
            }
            _ => {
                drop(structure);
                Ok(self.other_document(key))
            }
        }
    }

    /// A key that expressions may read, and the document at it; none for a token.
    fn other_document(&mut self, key: Key<'_>) -> (StructureKey, Option<*mut Document>) {
        let document = self.writable_document(key).ok().flatten();
        (StructureKey::of_host(key.arg, self.writable_handle(key)), document)
    }

    /// A key opened for writing whose document is about to go.
    fn given_up_handle(&mut self, key: Key<'_>) -> *mut raw::RedisModuleKey {
        let open = self.key(key, true);
        (open.fetched, open.document) = (ptr::null_mut(), None);
        open.handle
    }
}

fn wrong_type() -> Error {
    Error::new(ErrorCode::WrongType, "the key holds a value of another type")
}

impl command::Host for ServerHost<'_> {
    fn actions(&self) -> &Actions {
        &models::ACTIONS
    }

    fn defines_actions(&mut self) -> bool {
        // SAFETY: the context is that of the running command.
        let flags = unsafe { call!(RedisModule_GetContextFlags(self.ctx)) };
        flags & raw::REDISMODULE_CTX_FLAGS_MASTER as c_int != 0
    }
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
        EXPRESSIONS.with_borrow_mut(|cache| {
            let (entries, bytes) = config::expression_cache();
            cache.resize(entries, bytes);
            let compiled = match cache.find(source, names, limits) {
                Some(found) => found,
                None => cache.get(expression(source)?, names, limits, allowance),
            };
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

    fn prefetch(&mut self, keys: &[Key<'_>], access: Access) {
        if !self.open.is_empty() {
            return;
        }
        self.opened_ahead = true;
        for key in &keys[..keys.len().min(PREFETCHED_KEYS)] {
            let mut open = self.open_key(*key, access == Access::Change);
            // SAFETY: the key is open.
            open.fetched = unsafe { stored::prefetch_at_key(open.handle) };
            self.open.push(open);
        }
    }

    fn read(&mut self, key: Key<'_>) -> Result<Option<&Document>> {
        let open = self.key(key, false);
        // SAFETY: the key stays open as long as the host, and nothing changes it while it is borrowed. A value that was
        // fetched is at the key until it is replaced or removed, which forgets it.
        unsafe {
            let found = match open.fetched.is_null() {
                true => stored::at_key(open.handle).map_err(|()| wrong_type())?,
                false => Some(stored::from_fetched(open.fetched)),
            };
            Ok(found.map(|document| &*document))
        }
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

    fn open_all_timed(
        &mut self,
        keys: &[Key<'_>],
        reads_clock: &mut dyn FnMut(&[Option<&mut Document>]) -> bool,
    ) -> Result<(Documents<'_>, Option<u64>)> {
        let mut found = SmallVec::<[Option<*mut Document>; 4]>::with_capacity(keys.len());
        // Those that were found, or opened ahead, are open in their order. The names differ: as long as no other key is open,
        // none is looked for among those.
        let mut in_order = true;
        for (nth, key) in keys.iter().enumerate() {
            let document = match self.open.get_mut(nth) {
                None if in_order => self.open_document(*key),
                Some(open) if open.arg == key.arg && open.writable => open.find_document(),
                _ => {
                    in_order = false;
                    self.writable_document(*key)
                }
            };
            found.push(document.map_err(|error| error.text("key", key.name))?);
        }
        assert!(are_different(&found), "the names of the keys differ");
        // SAFETY: each points to a document of its own, and the host is borrowed exclusively.
        let mut documents = Documents::new();
        documents.extend(found.iter().map(|document| document.map(|found| unsafe { &mut *found })));
        let now_us = reads_clock(&documents).then(|| self.now_us());
        Ok((documents, now_us))
    }

    fn open_beside(
        &mut self,
        keys: &[Key<'_>],
        roles: &[KeyRole],
        run: &mut RunBeside<'_>,
    ) -> Result<()> {
        // A key that was opened ahead may be that of a structure, which is opened in another way.
        if self.opened_ahead {
            self.open.clear();
            self.names = KeyIndex::default();
        }
        let mut found = SmallVec::<[Option<*mut Document>; 4]>::with_capacity(keys.len());
        let mut structures = StructureKeys::new();
        for (key, role) in keys.iter().zip(roles) {
            let beside = self.beside(*key, *role).map_err(|error| error.text("key", key.name));
            let (structure, document) = beside?;
            found.push(document);
            structures.push(structure);
        }
        assert!(are_different(&found), "the names of the keys differ");
        let now_ms = self.now_us() / 1000;
        // SAFETY: the context and the arguments are those of the running command; the keys stay open as long as the
        // result borrows the host.
        let source = unsafe { ServerStructures::new(self.ctx, self.argv, structures, now_ms) };
        // SAFETY: as in `open_all`; the source reads no document.
        let documents =
            found.into_iter().map(|document| document.map(|found| unsafe { &mut *found }));
        run(documents.collect(), &source)
    }

    fn run_natives(
        &mut self,
        effects: &[KeyEffect],
        keys: &[Key<'_>],
        calls: &[NativeCall],
        each: &mut dyn FnMut(NativeReply),
    ) {
        // No key of the command may be open while the server runs another one.
        self.open.clear();
        self.names = KeyIndex::default();
        // SAFETY: the context and the arguments are those of the running command.
        unsafe {
            propagation::carry_out(self.ctx, self.argv, effects);
            for call in calls {
                each(native_calls::run(self.ctx, self.argv[keys[call.slot].arg], call));
            }
        }
    }

    fn remove(&mut self, key: Key<'_>) {
        let handle = self.given_up_handle(key);
        // SAFETY: the key is open for writing, and nothing of its document is borrowed any more.
        changes::remove_own(|| unsafe {
            call!(RedisModule_UnlinkKey(handle));
        });
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

    fn put(&mut self, key: Key<'_>, document: NewDocument, entries: Option<&Entries>) {
        let handle = self.given_up_handle(key);
        let database = self.database();
        // SAFETY: the command looked at the key first: it holds a document or nothing.
        unsafe {
            // The document that is replaced may be of another model.
            if let Ok(Some(old)) = stored::at_key(handle)
                && let Some(model) = (*old).model.as_ref().filter(|old| !is_same(old, &document))
            {
                model.indexes().follow(database, key.name, None);
            }
            stored::put(handle, document);
            if let Ok(Some(document)) = stored::at_key(handle) {
                indexes::follow_change(database, key.name, &*document, entries);
            }
        }
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

    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Vec<u8>>)> {
        // SAFETY: the context is that of the running command.
        let found = unsafe { super::scan::documents(self.ctx, model, cursor, count) };
        found.ok_or_else(|| {
            Error::syntax("the server's configuration does not have SCAN under its name")
        })
    }

    fn database(&mut self) -> i32 {
        // SAFETY: the context is that of the running command.
        unsafe { call!(RedisModule_GetSelectedDb(self.ctx)) }
    }

    fn index_scope(&mut self) -> IndexScope {
        // SAFETY: as above.
        IndexScope {
            database: self.database(),
            clustered: unsafe { slots::is_clustered(self.ctx) },
        }
    }

    fn look(&mut self, name: &[u8]) -> Option<&Document> {
        self.look_in(name, raw::REDISMODULE_READ)
    }

    fn has_expired(&mut self, name: &[u8]) -> bool {
        let ctx = self.ctx;
        let finding = self.finding();
        // No key of the command may be open while the server runs another one.
        finding.looked = None;
        // SAFETY: the context is that of the running command, and the string is valid.
        unsafe { super::scan::has_expired(ctx, finding.string(name)) }
    }

    fn look_to_change(&mut self, name: &[u8]) -> Option<&Document> {
        self.look_in(name, raw::REDISMODULE_READ | raw::REDISMODULE_WRITE)
    }

    fn may_look(&mut self, name: &[u8]) -> bool {
        // SAFETY: the string is valid.
        self.may_access(name, |caller, name| unsafe { caller.may_read(name) })
    }

    fn may_change(&mut self, name: &[u8]) -> bool {
        // SAFETY: the string is valid.
        self.may_access(name, |caller, name| unsafe { caller.may_change(name) })
    }

    fn keep_looked(&mut self) {
        let finding = self.finding();
        if let (Some(name), Some(key)) = (finding.name.take(), finding.looked.take()) {
            finding.kept.push((name, key));
        }
    }

    fn name_keys(&mut self, arguments: usize, names: &[&[u8]]) {
        debug_assert_eq!(arguments, self.argv.len(), "the keys go on behind the arguments");
        let finding = self.finding();
        // The key looked at last would be open twice.
        finding.looked = None;
        let mut kept = std::mem::take(&mut finding.kept).into_iter();
        self.names.reserve(self.open.len() + names.len());
        self.open.reserve(names.len());
        let open = &mut self.open;
        let found = names.iter().enumerate().map(|(nth, name)| {
            // Those in front of it are listed as well, and open under another argument.
            let Some((string, key)) = kept.find(|(known, _)| known.bytes() == *name) else {
                return HeldString::of(name);
            };
            let (arg, handle) = (arguments + nth, key.into_handle());
            open.push(OpenKey {
                arg,
                handle,
                writable: true,
                fetched: ptr::null_mut(),
                document: None,
            });
            string
        });
        // SAFETY: the arguments are those of the running command, which outlive the list.
        let named = unsafe { NamedKeys::behind(self.argv, found) };
        drop(kept);
        // SAFETY: the list is kept as long as this host, and longer where it is taken.
        unsafe {
            self.argv = slice::from_raw_parts(named.argv.as_ptr(), named.argv.len());
            self.args = slice::from_raw_parts(named.args.as_ptr(), named.args.len());
        }
        self.named = Some(Box::new(named));
    }

    fn note_query(&mut self, event: QueryEvent) {
        counters::QUERIES.count(event);
    }

    fn has_document(&mut self, name: &[u8], model: &str) -> bool {
        let ctx = self.ctx;
        let finding = self.finding();
        // SAFETY: the context is that of the running command, and the string is valid.
        unsafe {
            finding.slots.shows(ctx, name) && super::scan::is_of(ctx, finding.string(name), model)
        }
    }

    fn has_whole_slot(&mut self, key: &[u8]) -> bool {
        // SAFETY: the context is that of the running command.
        unsafe { slots::has_whole(self.ctx, key) }
    }

    fn follow(&mut self, key: Key<'_>, entries: Option<&Entries>) {
        let database = self.database();
        if let Ok(Some(document)) = self.writable_document(key) {
            // SAFETY: the key is open, and its document is borrowed no more.
            indexes::follow_change(database, key.name, unsafe { &*document }, entries);
        }
    }

    fn records_changes(&mut self) -> bool {
        // SAFETY: the context is that of the running command.
        let flags = unsafe { call!(RedisModule_GetContextFlags(self.ctx)) };
        flags & raw::REDISMODULE_CTX_FLAGS_MASTER as c_int != 0
    }

    fn check_stream(&mut self, model: &str, key: &[u8]) -> Result<()> {
        // SAFETY: as above.
        if changes::noted() == 0 && unsafe { streams::is_ready(self.ctx, model, key) } {
            return Ok(());
        }
        // No key of the command may be open while the server runs another one.
        self.open.clear();
        self.names = KeyIndex::default();
        // SAFETY: as above.
        unsafe { changes::check(self.ctx, model, key) }
    }

    fn stream_position(&mut self, model: &str, key: Option<&[u8]>) -> Option<u64> {
        // SAFETY: as above; commands that ask have no key of this type open.
        unsafe { streams::last_of(self.ctx, model, key) }
    }

    fn note_conflict(&mut self, name: Option<Vec<u8>>) {
        self.conflict = name;
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
        self.waited.is_none() && flags & denied as c_int == 0
    }

    fn only_document(&mut self) -> Option<Vec<u8>> {
        self.waited?.only.map(<[u8]>::to_vec)
    }

    fn claim_line(&mut self, model: &str) -> ClaimLineState {
        let database = self.database();
        offers::with_line(|line| ClaimLineState {
            waiting: line.len(),
            is_busy: line.is_busy(database, model),
        })
    }

    fn moment(&mut self) -> Moment {
        clock::moment()
    }

    fn with_locks(&mut self, run: &mut WithLocks<'_>) {
        self.index_names();
        let open = |name: &[u8]| {
            let nth = self.number_of(name).filter(|nth| self.open[*nth].writable)?;
            let OpenKey { handle, document, .. } = &self.open[nth];
            // SAFETY: the key is open. One that holds something else has no document.
            let find = || unsafe { stored::at_key(*handle) }.ok().flatten();
            Some(document.or_else(find))
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
            let is_small = || journal.kept_bytes() <= SMALL_JOURNAL_BYTES;
            if kept.len() < JOURNALS_KEPT || (kept.len() < SMALL_JOURNALS_KEPT && is_small()) {
                kept.push(journal);
            }
        });
    }
}

fn is_same(model: &Arc<Model>, document: &NewDocument) -> bool {
    document.model.as_ref().is_some_and(|new| Arc::ptr_eq(model, new))
}

/// The documents of more keys would drive each other out of the processor's cache.
const PREFETCHED_KEYS: usize = 256;
/// Journals for what most transactions change at once.
const JOURNALS_KEPT: usize = 16;
/// Journals for what a command changes that finds documents; they take less than a megabyte.
const SMALL_JOURNALS_KEPT: usize = 1024;
const SMALL_JOURNAL_BYTES: usize = 512;

/// Flag: no two are the same document.
fn are_different(found: &[Option<*mut Document>]) -> bool {
    const FEW: usize = 8;
    if found.len() <= FEW {
        let same = |one: &Option<*mut Document>, other: &Option<*mut Document>| match (one, other) {
            (Some(one), Some(other)) => std::ptr::addr_eq(*one, *other),
            _ => false,
        };
        let behind = |nth: usize| &found[nth + 1..];
        return !(0..found.len())
            .any(|nth| behind(nth).iter().any(|other| same(&found[nth], other)));
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
