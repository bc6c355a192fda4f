//! The server's shell: the only room that knows Redis, and the only one with `unsafe`.
//!
//! It registers the declarations of the core, passes arguments in, and carries outcomes out: replies,
//! replication, events. It decides nothing about documents.
//!
//! Files import one way. [`events`] is on top: the server has one callback for each event, which calls the rooms it
//! concerns. At the ground lie those that others only call: [`timer`], [`deferred`], [`pending`], [`counters`].
//!
//! Three rules hold everywhere here. Every `extern "C"` function catches panics, because one that
//! reached the server would kill it. Pointers of the module API are checked, because a third of them
//! are missing on one supported server or another. Text from users never reaches a C string or a
//! format.

mod alloc;
mod api;
mod blocked;
mod bus;
mod call_reply;
mod caller;
mod carrier;
mod changes;
mod claim_clients;
mod claim_users;
mod claims;
mod clock;
mod command_info;
mod config;
mod counters;
mod data_type;
mod databases;
mod deferred;
mod defrag;
mod dispatch;
mod events;
mod execution;
mod file_names;
mod following;
mod gaps;
mod gathering;
mod held;
mod histogram;
mod host;
mod imported;
mod indexes;
mod info;
mod loaded;
mod lock_clients;
mod locks;
mod log;
mod models;
mod moved;
mod named_keys;
mod native_calls;
mod native_source;
mod needed_commands;
mod offers;
mod payload;
mod pending;
mod propagation;
mod reply;
mod role;
mod scan;
mod sending_away;
mod shelf;
mod slots;
mod stored;
mod stream_entry;
mod streams;
mod tally;
mod timer;
mod token_type;
mod torn_aof;
mod users;

use std::ffi::c_int;
use std::panic::catch_unwind;

use redis_module::raw;

/// The module's name: the prefix of its configuration and its section in `INFO`.
const NAME: &std::ffi::CStr = c"model";
/// As `MODULE LIST` shows it: major * 10000 + minor * 100 + patch.
const VERSION: c_int = number(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
    + number(env!("CARGO_PKG_VERSION_MINOR")) * 100
    + number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(decimal: &str) -> c_int {
    match c_int::from_str_radix(decimal, 10) {
        Ok(number) => number,
        Err(_) => panic!("a part of the version is no number"),
    }
}

/// The server's entry into the module.
///
/// # Safety
///
/// Called once by the server, with a valid context and `argc` arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: `ctx` is valid for this call; this fills in the API's pointers before anything uses them.
    let initialised = unsafe {
        raw::Export_RedisModule_Init(
            ctx,
            NAME.as_ptr(),
            VERSION,
            raw::REDISMODULE_APIVER_1 as c_int,
        )
    };
    if initialised != raw::REDISMODULE_OK as c_int {
        return raw::REDISMODULE_ERR as c_int;
    }
    match catch_unwind(|| load(ctx, argc)) {
        Ok(Ok(())) => raw::REDISMODULE_OK as c_int,
        Ok(Err(what)) => {
            log::warning(ctx, &format!("cannot load: {what}"));
            raw::REDISMODULE_ERR as c_int
        }
        Err(_) => {
            log::warning(ctx, "cannot load: a panic while loading");
            raw::REDISMODULE_ERR as c_int
        }
    }
}

/// Registers everything. An error names the registration that the server refused.
///
/// Registrations that a user's arguments can make fail come first, and subscriptions last: not every server takes
/// back those of a module that failed to load. No timer and no receiver of messages is registered here. A load
/// can fail even after this (`MODULE LOADEX` with an unknown option), and the server then cannot unload a
/// module that has a timer.
fn load(ctx: *mut raw::RedisModuleCtx, argc: c_int) -> Result<(), &'static str> {
    log::catch_panics();
    if argc > 0 {
        return Err("the module takes no arguments; use CONFIG SET model.*");
    }
    data_type::register(ctx)?;
    token_type::register(ctx)?;
    carrier::register(ctx)?;
    dispatch::register(ctx)?;
    config::register(ctx)?;
    info::register(ctx)?;
    api::find_functions(ctx);
    api::set_options(ctx);
    events::register(ctx)?;
    log::notice(ctx, crate::version::VERSION);
    // SAFETY: `ctx` is valid while the module is loaded.
    unsafe { needed_commands::check(ctx) };
    Ok(())
}
