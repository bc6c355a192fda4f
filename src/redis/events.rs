//! The server's events: subscribes to each, and calls the rooms that it concerns.
//!
//! A module has one callback for an event, and a second subscription would replace the first. So this file stands
//! above all rooms that events concern, and none of them subscribes itself.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::catch_unwind;

use redis_module::raw;

use super::api::{call, is_ok};
use super::pending::{self, PendingEvent};
use super::role::{self, REVISIONS};
use super::{
    bus, carrier, changes, claims, databases, deferred, file_names, following, gaps, indexes,
    loaded, locks, models, offers, sending_away, streams, timer, torn_aof,
};

/// Subscribes to all events.
pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    timer::register(ctx, on_timer);
    let events: [(u64, raw::RedisModuleEventCallback); 8] = [
        (raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, Some(on_role)),
        (raw::REDISMODULE_EVENT_LOADING, Some(on_loading)),
        (raw::REDISMODULE_EVENT_REPL_ASYNC_LOAD, Some(on_async_load)),
        (raw::REDISMODULE_EVENT_PERSISTENCE, Some(on_persistence)),
        (raw::REDISMODULE_EVENT_CRON_LOOP, Some(on_cron)),
        (raw::REDISMODULE_EVENT_CLIENT_CHANGE, Some(on_client)),
        (raw::REDISMODULE_EVENT_FLUSHDB, Some(on_flush)),
        (raw::REDISMODULE_EVENT_SWAPDB, Some(on_swap)),
    ];
    // SAFETY: `ctx` is valid while the module is being loaded.
    unsafe {
        for (id, callback) in events {
            let event = raw::RedisModuleEvent { id, dataver: 1 };
            if !is_ok(call!(RedisModule_SubscribeToServerEvent(ctx, event, callback))) {
                return Err("the server refused a subscription to its events");
            }
        }
        let classes = following::EVENT_CLASSES;
        if !is_ok(call!(RedisModule_SubscribeToKeyspaceEvents(ctx, classes, Some(on_key_event)))) {
            return Err("the server refused a subscription to its keys' events");
        }
    }
    Ok(())
}

/// The module's timer has fired.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn on_timer(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        locks::on_timer(ctx);
        claims::on_timer(ctx);
    }
}

unsafe extern "C" fn on_role(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        role::on_change();
        // A master appended to them in the meantime.
        streams::forget();
        if subevent == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER {
            pending::note_began();
        } else {
            // SAFETY: `ctx` is valid during the callback, and no key is open.
            unsafe { sending_away::on_demotion(ctx) };
        }
        REVISIONS.tell_next();
    });
}

unsafe extern "C" fn on_loading(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        role::on_change();
        match subevent {
            raw::REDISMODULE_SUBEVENT_LOADING_RDB_START
            | raw::REDISMODULE_SUBEVENT_LOADING_AOF_START
            | raw::REDISMODULE_SUBEVENT_LOADING_REPL_START => {
                models::begin_load();
                loaded::begin(models::is_staging());
                if subevent == raw::REDISMODULE_SUBEVENT_LOADING_AOF_START {
                    // SAFETY: `ctx` is valid during the callback.
                    unsafe { torn_aof::begin_load(ctx) };
                }
                file_names::end_read();
                following::on_load();
                // The loaded documents bring the revisions that were counted where they were written.
                REVISIONS.forget();
            }
            raw::REDISMODULE_SUBEVENT_LOADING_ENDED | raw::REDISMODULE_SUBEVENT_LOADING_FAILED => {
                // A data set that was loaded beside the one in force had its indexes built when it took over, or is dropped.
                let replaced = models::is_loading() && !models::is_staging();
                models::end_load();
                file_names::end_read();
                if subevent == raw::REDISMODULE_SUBEVENT_LOADING_FAILED {
                    loaded::cancel();
                }
                // SAFETY: `ctx` is valid during the callback.
                unsafe {
                    gaps::on_load(ctx);
                    torn_aof::end_load(ctx);
                    changes::on_definition(ctx);
                }
                if replaced {
                    // SAFETY: `ctx` is valid during the callback, and no key is open.
                    unsafe { indexes::rebuild(ctx) };
                }
                pending::note_began();
                offers::note_all_changed();
                REVISIONS.tell_next();
            }
            _ => {}
        }
    });
}

/// A full sync that keeps serving the old data until the new data is loaded.
unsafe extern "C" fn on_async_load(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| match subevent {
        raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_STARTED => models::begin_staging(),
        raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_COMPLETED => {
            models::commit_staged();
            following::on_load();
            // SAFETY: `ctx` is valid during the callback, and no key is open.
            unsafe { indexes::rebuild(ctx) };
            // SAFETY: as above.
            pending::note_replaced(&unsafe { databases::others_with_keys(ctx) });
        }
        _ => {
            models::discard_staged();
            pending::forget_beside();
        }
    });
}

unsafe extern "C" fn on_persistence(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // Writing a file begins or ends: payloads in between stand by themselves.
        file_names::end_write();
        if subevent == raw::REDISMODULE_SUBEVENT_PERSISTENCE_AOF_START {
            // SAFETY: `ctx` is valid during the callback.
            unsafe { carrier::begin_rewrite(ctx) };
        }
    });
}

/// The server's own work, several times a second whatever the wall clock says.
unsafe extern "C" fn on_cron(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // SAFETY: `ctx` is valid during the callback, and no key is open.
        unsafe {
            deferred::run_due(ctx);
            bus::on_cron(ctx);
            indexes::on_cron(ctx);
            changes::on_cron(ctx);
            sending_away::on_cron(ctx);
            claims::on_cron(ctx);
            torn_aof::on_cron(ctx);
        }
        timer::restart_late();
    });
}

unsafe extern "C" fn on_client(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        if subevent != raw::REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED {
            return;
        }
        // SAFETY: the server lends the description of the client.
        let client = unsafe { (*data.cast::<raw::RedisModuleClientInfo>()).id };
        if locks::ends_with_connection(client) {
            pending::note(PendingEvent::Disconnected(client));
        }
    });
}

unsafe extern "C" fn on_flush(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        if subevent == raw::REDISMODULE_SUBEVENT_FLUSHDB_START {
            // SAFETY: the server lends the description of the flush.
            let db = unsafe { (*data.cast::<raw::RedisModuleFlushInfo>()).dbnum };
            // SAFETY: `ctx` is valid during the callback, and no key is open.
            unsafe { following::on_flush(ctx, (db >= 0).then_some(db)) };
        } else {
            // SAFETY: as above.
            unsafe { following::on_flushed(ctx) };
        }
    });
}

unsafe extern "C" fn on_swap(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends the numbers of the databases.
        let swap = unsafe { &*data.cast::<raw::RedisModuleSwapDbInfo>() };
        following::on_swap(swap.dbnum_first, swap.dbnum_second);
    });
}

unsafe extern "C" fn on_key_event(
    ctx: *mut raw::RedisModuleCtx,
    _class: c_int,
    event: *const c_char,
    key: *mut raw::RedisModuleString,
) -> c_int {
    let _ = catch_unwind(|| {
        // SAFETY: the event is NUL-terminated, and `ctx` and `key` are valid during the callback.
        unsafe { following::on_key_event(ctx, CStr::from_ptr(event), key) };
    });
    raw::REDISMODULE_OK as c_int
}
