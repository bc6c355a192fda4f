//! `CONFIG GET/SET model.*`: one entry for each limit.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_void};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use crate::budget::WorkLimits;
use crate::command::{Settings, TransactionLimits};
use crate::expr::ExprLimits;
use crate::lock::{LEASE_MS_LOADED_MAX, LockLimits};
use crate::model::schema::SchemaLimits;
use crate::path::PathLimits;
use crate::value::limits::{BYTES_MAX, DEPTH_MAX, Limits};

/// One configuration entry: an integer between bounds, or a size in bytes.
struct Entry {
    name: &'static CStr,
    value: AtomicU64,
    default: u64,
    min: u64,
    max: u64,
    bytes: bool,
}

impl Entry {
    const fn new(name: &'static CStr, default: u64, min: u64, max: u64, bytes: bool) -> Entry {
        Entry { name, value: AtomicU64::new(default), default, min, max, bytes }
    }

    fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

const DEFAULT: Settings = Settings::DEFAULT;

static DEPTH: Entry =
    Entry::new(c"depth", DEFAULT.document.depth as u64, 1, DEPTH_MAX as u64, false);
static DOCUMENT_BYTES: Entry =
    Entry::new(c"document-bytes", DEFAULT.document.bytes, 1, BYTES_MAX, true);
static PATH_BYTES: Entry =
    Entry::new(c"path-bytes", DEFAULT.paths.path_bytes as u64, 1, 1 << 20, true);
static COMMAND_STEPS: Entry =
    Entry::new(c"command-steps", DEFAULT.work.command_steps, 1, 1 << 40, false);
static QUERY_NODES: Entry = Entry::new(c"query-nodes", DEFAULT.work.query_nodes, 1, 1 << 40, false);
static QUERY_BYTES: Entry =
    Entry::new(c"query-bytes", DEFAULT.work.query_bytes, 1, BYTES_MAX, true);
static REPLY_BYTES: Entry = Entry::new(c"reply-bytes", DEFAULT.work.reply_bytes, 1, 1 << 40, true);

static EXPRESSION_BYTES: Entry =
    Entry::new(c"expression-bytes", DEFAULT.expressions.bytes as u64, 1, 1 << 20, true);
static EXPRESSION_DEPTH: Entry = Entry::new(
    c"expression-depth",
    DEFAULT.expressions.depth as u64,
    1,
    ExprLimits::NONE.depth as u64,
    false,
);
static EXPRESSION_STEPS: Entry =
    Entry::new(c"expression-steps", DEFAULT.expressions.steps, 1, 1 << 40, false);
static EXPRESSION_CACHE_ENTRIES: Entry =
    Entry::new(c"expression-cache-entries", 1024, 1, 1 << 20, false);
static EXPRESSION_CACHE_BYTES: Entry =
    Entry::new(c"expression-cache-bytes", 4 << 20, 1, BYTES_MAX, true);
static SCHEMA_BYTES: Entry = Entry::new(
    c"schema-bytes",
    DEFAULT.schemas.bytes as u64,
    1,
    SchemaLimits::NONE.bytes as u64,
    true,
);
static SCHEMA_PATTERN_BYTES: Entry = Entry::new(
    c"schema-pattern-bytes",
    DEFAULT.schemas.pattern_bytes as u64,
    1,
    SchemaLimits::NONE.pattern_bytes as u64,
    true,
);

static TOKEN_REPLY_BYTES: Entry =
    Entry::new(c"token-reply-bytes", DEFAULT.transactions.token_reply_bytes, 1, BYTES_MAX, true);

static LOCK_WAITERS: Entry = Entry::new(c"lock-waiters", DEFAULT.locks.waiters, 1, 1 << 20, false);
static LOCK_NAMES: Entry = Entry::new(c"lock-names", DEFAULT.locks.names, 1, 1 << 20, false);
static LOCK_HOLDERS: Entry = Entry::new(c"lock-holders", DEFAULT.locks.holders, 1, 1 << 20, false);
static LOCK_LEASE_MIN: Entry =
    Entry::new(c"lock-lease-min", DEFAULT.locks.lease_ms_min, 1, LEASE_MS_LOADED_MAX, false);
static LOCK_LEASE_MAX: Entry =
    Entry::new(c"lock-lease-max", DEFAULT.locks.lease_ms_max, 1, LEASE_MS_LOADED_MAX, false);

static ENTRIES: [&Entry; 20] = [
    &DEPTH,
    &DOCUMENT_BYTES,
    &PATH_BYTES,
    &COMMAND_STEPS,
    &QUERY_NODES,
    &QUERY_BYTES,
    &REPLY_BYTES,
    &EXPRESSION_BYTES,
    &EXPRESSION_DEPTH,
    &EXPRESSION_STEPS,
    &EXPRESSION_CACHE_ENTRIES,
    &EXPRESSION_CACHE_BYTES,
    &SCHEMA_BYTES,
    &SCHEMA_PATTERN_BYTES,
    &TOKEN_REPLY_BYTES,
    &LOCK_WAITERS,
    &LOCK_NAMES,
    &LOCK_HOLDERS,
    &LOCK_LEASE_MIN,
    &LOCK_LEASE_MAX,
];

/// How many compiled expressions are kept, and in how many bytes.
pub fn expression_cache() -> (usize, usize) {
    (EXPRESSION_CACHE_ENTRIES.get() as usize, EXPRESSION_CACHE_BYTES.get() as usize)
}

/// The limits as configured now.
#[inline]
pub fn settings() -> Settings {
    Settings {
        document: Limits { depth: DEPTH.get() as u32, bytes: DOCUMENT_BYTES.get() },
        paths: PathLimits { path_bytes: PATH_BYTES.get() as usize },
        work: WorkLimits {
            command_steps: COMMAND_STEPS.get(),
            query_nodes: QUERY_NODES.get(),
            query_bytes: QUERY_BYTES.get(),
            reply_bytes: REPLY_BYTES.get(),
        },
        expressions: ExprLimits {
            bytes: EXPRESSION_BYTES.get() as usize,
            depth: EXPRESSION_DEPTH.get() as u32,
            steps: EXPRESSION_STEPS.get(),
        },
        schemas: SchemaLimits {
            bytes: SCHEMA_BYTES.get() as usize,
            pattern_bytes: SCHEMA_PATTERN_BYTES.get() as usize,
            ..SchemaLimits::DEFAULT
        },
        transactions: TransactionLimits { token_reply_bytes: TOKEN_REPLY_BYTES.get() },
        locks: LockLimits {
            waiters: LOCK_WAITERS.get(),
            names: LOCK_NAMES.get(),
            holders: LOCK_HOLDERS.get(),
            lease_ms_min: LOCK_LEASE_MIN.get(),
            // A shortest lease that is longer than the longest is the one there is.
            lease_ms_max: LOCK_LEASE_MAX.get().max(LOCK_LEASE_MIN.get()),
        },
    }
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    for entry in ENTRIES {
        let flags = if entry.bytes {
            raw::REDISMODULE_CONFIG_MEMORY
        } else {
            raw::REDISMODULE_CONFIG_DEFAULT
        };
        // SAFETY: `ctx` is valid while the module is being loaded; the entry is static.
        let status = unsafe {
            call!(RedisModule_RegisterNumericConfig(
                ctx,
                entry.name.as_ptr(),
                entry.default as c_longlong,
                flags as c_uint,
                entry.min as c_longlong,
                entry.max as c_longlong,
                Some(get),
                Some(set),
                None,
                std::ptr::from_ref(entry).cast_mut().cast::<c_void>(),
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
    Ok(())
}

unsafe extern "C" fn get(_name: *const c_char, entry: *mut c_void) -> c_longlong {
    // SAFETY: `entry` is the static one it was registered with.
    catch_unwind(|| unsafe { &*entry.cast::<Entry>() }.get() as c_longlong).unwrap_or_default()
}

unsafe extern "C" fn set(
    _name: *const c_char,
    value: c_longlong,
    entry: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: `entry` is the static one it was registered with; the server checked the bounds.
    let stored = catch_unwind(|| {
        unsafe { &*entry.cast::<Entry>() }.value.store(value as u64, Ordering::Relaxed)
    });
    if stored.is_ok() { raw::REDISMODULE_OK as c_int } else { raw::REDISMODULE_ERR as c_int }
}
