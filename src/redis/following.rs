//! Ways that documents go without a command of this module: one place, which the rooms that follow documents are told
//! from.
//!
//! Whatever takes a document from its key calls the type ([`on_unlink`]), and most ways give an event of the key behind
//! it ([`on_key_event`]), which tells how it went, or that one has come. Databases are emptied, exchanged and loaded as a
//! whole.

use std::ffi::{CStr, c_int, c_void};

use redis_module::raw;

use super::api::{bytes, call};
use super::models::MODELS;
use super::pending::{self, PendingEvent};
use super::{changes, databases, gaps, indexes, locks, offers, stored};

/// The classes of events that [`on_key_event`] needs.
pub const EVENT_CLASSES: i32 = raw::REDISMODULE_NOTIFY_GENERIC
    | raw::REDISMODULE_NOTIFY_EXPIRED
    | raw::REDISMODULE_NOTIFY_EVICTED;

/// The events of a value that came to a key by other commands than this module's.
const ARRIVALS: [&CStr; 4] = [c"rename_to", c"move_to", c"restore", c"copy_to"];
/// The arrivals of a value that was removed from another key.
const MOVES: [&CStr; 2] = [c"rename_to", c"move_to"];

/// A document is removed from its key.
///
/// # Safety
///
/// `ctx` and `value`, a value of the type, are valid during the call.
pub unsafe fn on_unlink(ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    // SAFETY: the caller vouches for both.
    unsafe {
        indexes::on_unlink(ctx, value);
        changes::on_unlink(ctx, value);
        locks::on_unlink(ctx, value);
        // Last: the others read its model. The server changes nothing of it, and reads it no more unless it comes to
        // another key.
        (*stored::from_raw(value.cast_mut())).leave();
    }
}

/// A key was removed, renamed or moved to another database, restored or copied.
///
/// # Safety
///
/// `ctx` and `key` are valid.
pub unsafe fn on_key_event(
    ctx: *mut raw::RedisModuleCtx,
    event: &CStr,
    key: *mut raw::RedisModuleString,
) {
    // SAFETY: the caller vouches for both.
    unsafe {
        let database = database_of(ctx, event, key);
        if MOVES.contains(&event) {
            arrive(ctx, key);
        }
        if ARRIVALS.contains(&event) {
            indexes::on_arrival(ctx, key, database);
            if offers::is_waited_for() {
                offers::note_changed(database, bytes(key));
            }
        }
        changes::on_key_event(ctx, event, key, database);
        if MOVES.contains(&event) {
            pending::note_moved(database, bytes(key));
        }
    }
}

/// The database that an event is of. In a transaction Valkey 9.1 names that of the client for every context: a key that came
/// from another database tells its own.
///
/// # Safety
///
/// `ctx` and `key` are valid.
unsafe fn database_of(
    ctx: *mut raw::RedisModuleCtx,
    event: &CStr,
    key: *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: the caller vouches for both; the key is closed.
    unsafe {
        if [c"copy_to", c"move_to"].contains(&event) {
            let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
            let handle = call!(RedisModule_OpenKey(ctx, key, mode));
            if !handle.is_null() {
                let database = call!(RedisModule_GetDbIdFromModuleKey(handle));
                call!(RedisModule_CloseKey(handle));
                return database;
            }
        }
        call!(RedisModule_GetSelectedDb(ctx))
    }
}

/// Has the model of a document that was moved to this key count it again.
///
/// # Safety
///
/// `ctx` and `key` are valid, and no document is borrowed.
unsafe fn arrive(ctx: *mut raw::RedisModuleCtx, key: *mut raw::RedisModuleString) {
    // SAFETY: the caller vouches for both; the document is changed while the key is open, in a part that is not saved.
    unsafe {
        let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
        let handle = call!(RedisModule_OpenKey(ctx, key, mode));
        if let Ok(Some(document)) = stored::at_key(handle) {
            (*document).arrive(&MODELS);
        }
        call!(RedisModule_CloseKey(handle));
    }
}

/// A database has been emptied, or all have. Their documents may wait to be freed in the background.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn on_flushed(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`.
    if unsafe { databases::are_empty(ctx) } {
        MODELS.forget_documents();
    }
}

/// A database is about to be emptied, or all are.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn on_flush(ctx: *mut raw::RedisModuleCtx, database: Option<c_int>) {
    indexes::flush(database);
    // SAFETY: the caller vouches for `ctx`.
    unsafe { changes::on_flush(ctx, database) };
    pending::note(PendingEvent::Flushed(database));
}

/// Two databases change places.
pub fn on_swap(one: c_int, other: c_int) {
    indexes::swap(one, other);
    changes::on_swap(one, other);
    gaps::on_swap();
    pending::note(PendingEvent::Swapped(one, other));
    offers::note_all_changed();
}

/// A data set takes the place of the one in force.
pub fn on_load() {
    indexes::cancel_build();
    changes::on_load();
}
