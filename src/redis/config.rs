//! `CONFIG GET/SET model.*`: one entry for each limit.

use std::ffi::{CString, c_char, c_int, c_longlong, c_uint, c_void};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use crate::budget::WorkLimits;
use crate::command::{ActionLimits, FindLimits, Settings, TransactionLimits};
use crate::expr::ExprLimits;
use crate::limit::{self, Limit, Unit};
use crate::lock::LockLimits;
use crate::model::schema::SchemaLimits;
use crate::path::PathLimits;
use crate::value::limits::Limits;

/// The values as configured now, by the limits' slots.
static VALUES: [AtomicU64; limit::CONFIGURED.len()] = defaults();

const fn defaults() -> [AtomicU64; limit::CONFIGURED.len()] {
    let mut values = [const { AtomicU64::new(0) }; limit::CONFIGURED.len()];
    let mut slot = 0;
    while slot < values.len() {
        values[slot] = AtomicU64::new(limit::CONFIGURED[slot].default);
        slot += 1;
    }
    values
}

#[inline]
fn get(limit: Limit) -> u64 {
    VALUES[limit.slot].load(Ordering::Relaxed)
}

/// How many compiled expressions are kept, and in how many bytes.
pub fn expression_cache() -> (usize, usize) {
    (get(limit::EXPRESSION_CACHE_ENTRIES) as usize, get(limit::EXPRESSION_CACHE_BYTES) as usize)
}

/// The limits as configured now.
#[inline]
pub fn settings() -> Settings {
    Settings {
        document: Limits { depth: get(limit::DEPTH) as u32, bytes: get(limit::DOCUMENT_BYTES) },
        paths: PathLimits { path_bytes: get(limit::PATH_BYTES) as usize },
        work: WorkLimits {
            command_steps: get(limit::COMMAND_STEPS),
            query_nodes: get(limit::QUERY_NODES),
            query_bytes: get(limit::QUERY_BYTES),
            reply_bytes: get(limit::REPLY_BYTES),
        },
        expressions: ExprLimits {
            bytes: get(limit::EXPRESSION_BYTES) as usize,
            depth: get(limit::EXPRESSION_DEPTH) as u32,
            steps: get(limit::EXPRESSION_STEPS),
        },
        schemas: SchemaLimits {
            bytes: get(limit::SCHEMA_BYTES) as usize,
            pattern_bytes: get(limit::SCHEMA_PATTERN_BYTES) as usize,
            ..SchemaLimits::DEFAULT
        },
        transactions: TransactionLimits {
            token_reply_bytes: get(limit::TOKEN_REPLY_BYTES),
            change_bytes: get(limit::CHANGE_BYTES),
        },
        locks: LockLimits {
            waiters: get(limit::LOCK_WAITERS),
            names: get(limit::LOCK_NAMES),
            holders: get(limit::LOCK_HOLDERS),
            lease_ms_min: get(limit::LOCK_LEASE_MIN),
            lease_ms_max: get(limit::LOCK_LEASE_MAX),
        },
        actions: ActionLimits { count: get(limit::ACTIONS), bytes: get(limit::ACTION_BYTES) },
        finding: FindLimits {
            entries: get(limit::FIND_ENTRIES),
            waiters: get(limit::FIND_WAITERS),
        },
    }
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    for (limit, value) in limit::CONFIGURED.iter().zip(&VALUES) {
        let flags = match limit.unit {
            Unit::Bytes => raw::REDISMODULE_CONFIG_MEMORY,
            Unit::Count | Unit::Milliseconds => raw::REDISMODULE_CONFIG_DEFAULT,
        };
        // Called once all entries of one CONFIG SET are stored; an error brings the old values back.
        let apply: raw::RedisModuleConfigApplyFunc = match *limit {
            limit::LOCK_LEASE_MIN | limit::LOCK_LEASE_MAX => Some(check_leases),
            _ => None,
        };
        let name = limit.name.strip_prefix("model.").expect("the server adds the module's name");
        let name = CString::new(name).expect("names hold no NUL");
        // SAFETY: `ctx` is valid while the module is being loaded; the name is copied, and the value static.
        let status = unsafe {
            call!(RedisModule_RegisterNumericConfig(
                ctx,
                name.as_ptr(),
                limit.default as c_longlong,
                flags as c_uint,
                limit.min as c_longlong,
                limit.max as c_longlong,
                Some(get_value),
                Some(set_value),
                apply,
                std::ptr::from_ref(value).cast_mut().cast::<c_void>(),
            ))
        };
        if !is_ok(status) {
            return Err("the server refused a configuration entry");
        }
    }
    // SAFETY: as above.
    if !is_ok(unsafe { call!(RedisModule_LoadConfigs(ctx)) }) {
        return Err("the configuration has a wrong value for model.*");
    }
    // The server does not call `check_leases` while it loads the module.
    match leases_are_in_order() {
        true => Ok(()),
        false => Err(LEASES),
    }
}

const LEASES: &str = "model.lock-lease-min is above model.lock-lease-max";

fn leases_are_in_order() -> bool {
    get(limit::LOCK_LEASE_MIN) <= get(limit::LOCK_LEASE_MAX)
}

unsafe extern "C" fn check_leases(
    _ctx: *mut raw::RedisModuleCtx,
    _value: *mut c_void,
    error: *mut *mut raw::RedisModuleString,
) -> c_int {
    if catch_unwind(leases_are_in_order).unwrap_or(false) {
        return raw::REDISMODULE_OK as c_int;
    }
    if !error.is_null() {
        // SAFETY: `error` is the server's, which frees the string that is put there: no context owns it.
        unsafe {
            *error = call!(RedisModule_CreateString(
                std::ptr::null_mut(),
                LEASES.as_ptr().cast::<c_char>(),
                LEASES.len()
            ));
        }
    }
    raw::REDISMODULE_ERR as c_int
}

unsafe extern "C" fn get_value(_name: *const c_char, value: *mut c_void) -> c_longlong {
    // SAFETY: `value` is the static one it was registered with.
    let read = || unsafe { &*value.cast::<AtomicU64>() }.load(Ordering::Relaxed);
    catch_unwind(|| read() as c_longlong).unwrap_or_default()
}

unsafe extern "C" fn set_value(
    _name: *const c_char,
    new: c_longlong,
    value: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: `value` is the static one it was registered with; the server checked the bounds.
    let store = || unsafe { &*value.cast::<AtomicU64>() }.store(new as u64, Ordering::Relaxed);
    if catch_unwind(store).is_ok() {
        raw::REDISMODULE_OK as c_int
    } else {
        raw::REDISMODULE_ERR as c_int
    }
}
