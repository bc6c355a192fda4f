//! Change streams follow the documents of this server.
//!
//! Commands of this module check the stream before they change anything ([`check`]) and append their entries when their
//! effects were sent ([`append`]). What happens to documents in other ways is noted where it happens, by
//! [`super::following`], because no key may be written there, and appended in the same unit by a job that the server runs
//! at its end. A server without such jobs (Redis 7.0) appends a moment later, from a timer. A command of this module
//! that comes first appends what was noted before, so that entries are in the order of the changes.
//!
//! Entries are appended by the server's own `XADD`, which sends itself to replicas and the AOF: replicas append nothing
//! by themselves.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int, c_void};
use std::panic::catch_unwind;
use std::ptr;

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::deferred::Task;
use super::models::{self, MODELS};
use super::streams::{self, StreamPosition};
use super::{moved, role, slots, stored, timer};
use crate::changes::{ChangeOp, ChangedKey, DocumentChange, RecordedChanges, stream};
use crate::document::Document;
use crate::error::Result;
use crate::limit;
use crate::model::ChangesWith;
use crate::value::print;

/// A change outside of the commands of this module, to be appended.
struct NotedChange {
    database: c_int,
    /// The stream's number before; of a flush, which takes the stream away.
    last: Option<u64>,
    change: DocumentChange,
}

thread_local! {
    /// In the order in which they happened.
    static NOTED: RefCell<Vec<NotedChange>> = const { RefCell::new(Vec::new()) };
    /// Flag: a command of this module removes a document, and records that itself.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Flag: changes are recorded now: this server is a master, and does not load.
fn is_recording() -> bool {
    MODELS.has_changes() && !models::is_loading() && role::is_master()
}

/// The number of entries that are noted and not appended.
pub fn noted() -> usize {
    NOTED.with_borrow(Vec::len)
}

/// Removes a document for a command of this module, which records the change itself.
pub fn remove_own(remove: impl FnOnce()) {
    OWN.set(true);
    remove();
    OWN.set(false);
}

/// A document is removed from its key.
///
/// # Safety
///
/// `ctx` and `value`, a value of the type, are valid during the call.
pub unsafe fn on_unlink(ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    if !MODELS.has_changes() || OWN.get() || !is_recording() {
        return;
    }
    // SAFETY: the caller vouches for the value.
    let document = unsafe { stored::document(value) };
    let Some((mut change, with)) = change_of(document, ChangeOp::Delete) else { return };
    change.prev = Some(document.revision);
    if with == ChangesWith::Both {
        change.content.before = content(document);
    }
    // SAFETY: the caller vouches for the context; it lends the key's name.
    unsafe {
        change.key = ChangedKey::from_slice(bytes(call!(RedisModule_GetKeyNameFromOptCtx(ctx))));
        note(NotedChange {
            database: call!(RedisModule_GetDbIdFromOptCtx(ctx)),
            last: None,
            change,
        });
    }
}

/// The event of a key of a database that follows when a document was removed or has come tells how.
///
/// # Safety
///
/// `ctx` and `key` are valid.
pub unsafe fn on_key_event(
    ctx: *mut raw::RedisModuleCtx,
    event: &CStr,
    key: *mut raw::RedisModuleString,
    database: c_int,
) {
    if !MODELS.has_changes() || !is_recording() {
        return;
    }
    // SAFETY: the caller vouches for both.
    let name = unsafe { bytes(key) };
    match event.to_bytes() {
        b"expired" => told(name, ChangeOp::Expire),
        b"evicted" => told(name, ChangeOp::Evict),
        b"rename_from" => told(name, ChangeOp::Rename),
        b"del" if moved::took(name) => forget(database, name),
        b"restore" if moved::took(name) => {}
        // SAFETY: as above.
        b"rename_to" => unsafe { arrived(ctx, key, database, ChangeOp::Rename) },
        b"restore" => unsafe { arrived(ctx, key, database, ChangeOp::Restore) },
        b"copy_to" | b"move_to" => unsafe { arrived(ctx, key, database, ChangeOp::Create) },
        _ => {}
    }
}

/// The removal of a key that was noted last was of this kind. Its event follows at once, and may name another database: see
/// `database_of` in `following.rs`.
fn told(name: &[u8], op: ChangeOp) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(removed) = noted.iter_mut().rev().find(|noted| noted.removed(name)) {
            removed.change.op = op;
        }
    });
}

/// The removal that was noted last is none of the model: the slot is moved with its documents.
fn forget(database: c_int, name: &[u8]) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(nth) =
            noted.iter().rposition(|noted| noted.database == database && noted.removed(name))
        {
            noted.remove(nth);
        }
    });
}

impl NotedChange {
    fn removed(&self, name: &[u8]) -> bool {
        self.change.op == ChangeOp::Delete && *self.change.key == *name
    }
}

/// A value came to a key, perhaps a document.
///
/// # Safety
///
/// `ctx` and `key` are valid.
unsafe fn arrived(
    ctx: *mut raw::RedisModuleCtx,
    key: *mut raw::RedisModuleString,
    database: c_int,
    op: ChangeOp,
) {
    // SAFETY: the caller vouches for both; the document is read while the key is open.
    unsafe {
        let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
        let handle = call!(RedisModule_OpenKey(ctx, key, mode));
        let document = stored::at_key(handle).ok().flatten().map(|document| &*document);
        let recorded = document.and_then(|document| Some((document, change_of(document, op)?)));
        let renamed = end_renaming(recorded.is_some());
        if let Some((document, (mut change, with))) = recorded {
            change.key = ChangedKey::from_slice(bytes(key));
            change.rev = Some(document.revision);
            change.from = renamed;
            if with != ChangesWith::Keys {
                change.content.after = content(document);
            }
            note(NotedChange { database, last: None, change });
        }
        call!(RedisModule_CloseKey(handle));
    }
}

/// Takes back the removal of a document that was renamed, and gives its key. Where no document has come to the new key,
/// another value was renamed, and the removal was an earlier one: the document was overwritten.
fn end_renaming(has_come: bool) -> Option<ChangedKey> {
    NOTED.with_borrow_mut(|noted| {
        let is_open =
            |noted: &NotedChange| noted.change.op == ChangeOp::Rename && noted.change.rev.is_none();
        let nth = noted.iter().rposition(is_open)?;
        if has_come {
            return Some(noted.remove(nth).change.key);
        }
        noted[nth].change.op = ChangeOp::Delete;
        None
    })
}

/// A change of a document whose model has `CHANGES`, without its key.
fn change_of(document: &Document, op: ChangeOp) -> Option<(DocumentChange, ChangesWith)> {
    let model = document.model.as_ref()?;
    let source = model.changes()?;
    Some((DocumentChange::new(model.shared_name(), source.entries, op, b""), source.with))
}

/// The text of a document, unless it is too long for an entry.
fn content(document: &Document) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    print::json(document.root.view(), &mut text);
    (text.len() as u64 <= limit::CHANGE_BYTES.max).then_some(text)
}

/// A database is about to be emptied, or all are: their streams go as well, and continue behind their last number.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn on_flush(ctx: *mut raw::RedisModuleCtx, database: Option<c_int>) {
    streams::forget();
    NOTED.with_borrow_mut(|noted| {
        noted.retain(|noted| database.is_some_and(|database| noted.database != database));
    });
    if !is_recording() {
        return;
    }
    // SAFETY: the caller vouches for `ctx`; a database that does not exist is refused.
    unsafe {
        let home = call!(RedisModule_GetSelectedDb(ctx));
        for current in database.map_or(0..c_int::MAX, |database| database..database + 1) {
            if !is_ok(call!(RedisModule_SelectDb(ctx, current))) {
                break;
            }
            if call!(RedisModule_DbSize(ctx)) > 0 {
                note_flush(ctx, current);
            }
        }
        call!(RedisModule_SelectDb(ctx, home));
    }
}

/// # Safety
///
/// As for [`on_flush`].
unsafe fn note_flush(ctx: *mut raw::RedisModuleCtx, database: c_int) {
    // SAFETY: the caller vouches for `ctx`.
    let clustered = unsafe { slots::is_clustered(ctx) };
    let slots = if clustered { 0..16384 } else { 0..1 };
    for (model, entries) in MODELS.recorded() {
        for slot in slots.clone() {
            let name = match clustered {
                true => stream::name_in_slot(&model, slot),
                false => stream::name(&model),
            };
            // SAFETY: as above.
            let last = match unsafe { streams::position(ctx, &name) } {
                StreamPosition::Other => continue,
                StreamPosition::Missing if clustered => continue,
                StreamPosition::Missing => None,
                StreamPosition::At(last) => Some(last),
            };
            // The key of the entry is one of the slot.
            let key = if clustered { stream::tag(slot).to_string() } else { String::new() };
            let change =
                DocumentChange::new((*model).into(), entries, ChangeOp::Flush, key.as_bytes());
            note(NotedChange { database, last, change });
        }
    }
}

/// Two databases change places, with the streams in them.
pub fn on_swap(one: c_int, other: c_int) {
    streams::forget();
    NOTED.with_borrow_mut(|noted| {
        for noted in noted {
            noted.database = match noted.database {
                database if database == one => other,
                database if database == other => one,
                database => database,
            };
        }
    });
}

/// The data set is being replaced, with its streams.
pub fn on_load() {
    streams::forget();
    NOTED.take();
}

/// Notes a change, to be appended at the end of the unit that is running.
fn note(noted: NotedChange) {
    let is_first = NOTED.with_borrow_mut(|all| {
        all.push(noted);
        all.len() == 1
    });
    if !is_first {
        return;
    }
    let ctx = timer::detached();
    // SAFETY: the pointer is checked; the detached context lives for ever.
    unsafe {
        if let Some(add) = raw::RedisModule_AddPostNotificationJob
            && is_ok(add(ctx, Some(on_job), ptr::null_mut(), None))
        {
            return;
        }
        call!(RedisModule_CreateTimer(ctx, 0, Some(on_timer), ptr::null_mut()));
    }
}

unsafe extern "C" fn on_job(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: the server runs it where keys may be written, in the unit of the change.
    let _ = catch_unwind(|| unsafe { append_noted(ctx) });
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: `ctx` is valid during the callback, and belongs to no command.
    let _ = catch_unwind(|| unsafe { APPEND.request(ctx) });
}

/// Appends what is noted, when writes are not paused.
static APPEND: Task = Task::new(append_noted);

/// Appends what could not be appended before. Called several times a second.
///
/// # Safety
///
/// `ctx` is valid, belongs to no command, and no key is open.
pub unsafe fn on_cron(ctx: *mut raw::RedisModuleCtx) {
    if noted() > 0 {
        // SAFETY: the caller vouches for `ctx`.
        unsafe { APPEND.request(ctx) };
    }
    // SAFETY: as above.
    unsafe { on_definition(ctx) };
}

/// Definitions have come: where one has `CHANGES`, moves of keys are told from deletions from now on.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn on_definition(ctx: *mut raw::RedisModuleCtx) {
    if MODELS.has_changes() {
        // SAFETY: the caller vouches for `ctx`.
        unsafe { moved::watch(ctx) };
    }
}

/// Appends what is noted.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn append_noted(ctx: *mut raw::RedisModuleCtx) {
    let all = NOTED.take();
    if all.is_empty() || !is_recording() {
        return;
    }
    streams::forget();
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let home = call!(RedisModule_GetSelectedDb(ctx));
        let mut rest = all.into_iter();
        while let Some(noted) = rest.next() {
            call!(RedisModule_SelectDb(ctx, noted.database));
            if !streams::append(ctx, &noted.change, noted.last, &mut None) {
                // The cluster is down: all waits, in order, for the next turn.
                NOTED.with_borrow_mut(|later| {
                    later.splice(0..0, std::iter::once(noted).chain(rest.by_ref()));
                });
                break;
            }
        }
        call!(RedisModule_SelectDb(ctx, home));
    }
}

/// Appends the changes of a command, behind what was noted before.
///
/// # Safety
///
/// `ctx` is that of the command, whose keys are closed.
#[cold]
pub unsafe fn append(ctx: *mut raw::RedisModuleCtx, changes: &RecordedChanges) {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        // Entries of what was noted are in front.
        append_noted(ctx);
        let mut known = streams::take_known();
        for change in &changes.0 {
            if !streams::append(ctx, change, None, &mut known) {
                let database = call!(RedisModule_GetSelectedDb(ctx));
                note(NotedChange { database, last: None, change: change.clone() });
            }
        }
        streams::keep_known(known);
    }
}

/// Refuses a change whose entry could not be appended, before anything is changed. What was noted is appended first.
///
/// # Safety
///
/// As for [`append`].
pub unsafe fn check(ctx: *mut raw::RedisModuleCtx, model: &str, key: &[u8]) -> Result<()> {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        append_noted(ctx);
        streams::check(ctx, model, key)
    }
}
