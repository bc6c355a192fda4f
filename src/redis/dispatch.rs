//! From the server's call to the core's command, and from its outcome to the server.

use std::ffi::{CString, c_char, c_int};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{bytes, call, is_ok};
use super::host::ServerHost;
use super::{bus, command_info, counters, locks, log, models, reply, waiting};
use crate::command::{self, CommandSpec, Flag, JsonText, KeyEffect, KeyPositions, Outcome, Sent};
use crate::error::{Error, Result};
use crate::reply::Reply;

type Handler = unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *mut *mut raw::RedisModuleString,
    c_int,
) -> c_int;

/// One entry point for each command, in the order of [`command::all`]: the server passes nothing along that would
/// tell them apart faster than their names do. The build script counts the declarations.
static ENTRY_POINTS: &[Handler] = &include!(concat!(env!("OUT_DIR"), "/entry_points.rs"));

/// Registers every command with its declaration.
pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    assert_eq!(command::all().len(), ENTRY_POINTS.len(), "each command has an entry point");
    for (spec, handler) in command::all().iter().zip(ENTRY_POINTS) {
        let name = CString::new(spec.name).expect("names hold no NUL");
        let flags = CString::new(flags(spec)).expect("flags hold no NUL");
        let first_key = c_int::from(spec.keys == KeyPositions::First);
        // SAFETY: `ctx` is valid while the module is being loaded; the strings are copied.
        let status = unsafe {
            call!(RedisModule_CreateCommand(
                ctx,
                name.as_ptr(),
                Some(*handler),
                flags.as_ptr(),
                first_key,
                first_key,
                first_key
            ))
        };
        if !is_ok(status) {
            return Err("the server refused a command; is another module loaded that has it?");
        }
        command_info::describe(ctx, spec, &name)?;
    }
    Ok(())
}

fn flags(spec: &CommandSpec) -> String {
    let mut words: Vec<&str> = spec
        .flags
        .iter()
        .map(|flag| match flag {
            Flag::Write => "write",
            Flag::ReadOnly => "readonly",
            Flag::DenyOom => "deny-oom",
            Flag::Fast => "fast",
            Flag::Dangerous => "admin",
            Flag::Blocking => "blocking",
            Flag::Always => "allow-loading allow-stale",
        })
        .collect();
    if spec.keys == KeyPositions::Counted {
        words.push("getkeys-api");
    }
    words.join(" ")
}

unsafe extern "C" fn handle<const NTH: usize>(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    let handled = catch_unwind(AssertUnwindSafe(|| {
        let spec = command::all()[NTH];
        // SAFETY: the server passes `argc` valid strings that live as long as the call.
        let argv = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
        unsafe { run(ctx, spec, argv) }
    }));
    if handled.is_err() {
        log::warning(ctx, "a command panicked; it was undone");
        locks::after_panic();
        let error = Error::syntax("internal error in the module; the command was undone");
        // SAFETY: a command replies last, and nothing of a reply panics.
        unsafe { reply::send_error(ctx, &error) };
    }
    if !matches!(handled, Ok(true)) {
        return raw::REDISMODULE_OK as c_int;
    }
    // The command was answered: a panic in the work for others does not concern it.
    // SAFETY: `ctx` is that of the command.
    if catch_unwind(AssertUnwindSafe(|| unsafe { locks::after_command(ctx) })).is_err() {
        log::warning(ctx, "carrying out a command's lock decisions panicked");
        locks::after_panic();
    }
    raw::REDISMODULE_OK as c_int
}

/// Answers the command and returns true, or reports the positions of its keys and returns false.
///
/// # Safety
///
/// `ctx` and `argv` are those of the command being run.
unsafe fn run(
    ctx: *mut raw::RedisModuleCtx,
    spec: &'static CommandSpec,
    argv: &[*mut raw::RedisModuleString],
) -> bool {
    // Filled in place: collected, it would be moved.
    let mut args: SmallVec<[&[u8]; 24]> = SmallVec::new();
    // SAFETY: the strings live as long as the call and are not changed.
    args.extend(argv.iter().map(|string| unsafe { bytes(*string) }));
    // SAFETY: the caller vouches for `ctx`.
    if spec.keys == KeyPositions::Counted
        && unsafe { call!(RedisModule_IsKeysPositionRequest(ctx)) } != 0
    {
        // The server asks in the middle of other work.
        unsafe { report_keys(ctx, spec, &args) };
        return false;
    }
    // SAFETY: as above. The host closes its keys before anything is propagated or announced.
    let mut outcome = (spec.run)(&mut unsafe { ServerHost::new(ctx, argv, &args) }, &args);
    match &mut outcome {
        Ok(outcome) => unsafe {
            if spec.keys == KeyPositions::Counted && !outcome.effects.is_empty() {
                counters::TRANSACTIONS.record(outcome.effects.len() as u64);
            }
            match outcome.waits.take() {
                // The host saw that the client may wait.
                Some(waiting) => waiting::block(ctx, spec, waiting),
                None => {
                    finish(ctx, argv, outcome);
                    mem::replace(&mut outcome.reply, Reply::Null).recycle();
                }
            }
        },
        Err(error) => {
            counters::count_abort(error.code());
            // SAFETY: as above.
            unsafe { reply::send_error(ctx, error) };
        }
    }
    true
}

/// Reports the positions of the keys of a counted command, for routing in a cluster. An invalid count names no keys;
/// the command itself refuses it.
///
/// # Safety
///
/// `ctx` is the context of a request for key positions.
unsafe fn report_keys(ctx: *mut raw::RedisModuleCtx, spec: &CommandSpec, args: &[&[u8]]) {
    let flags = command_info::key_flags(spec) as c_int;
    for position in keys(spec, args).unwrap_or_default() {
        // SAFETY: the caller vouches for `ctx`; the position is an argument's.
        unsafe { call!(RedisModule_KeyAtPosWithFlags(ctx, position as c_int, flags)) };
    }
}

/// The positions of a command's keys; none where their count is invalid.
fn keys(spec: &CommandSpec, args: &[&[u8]]) -> Option<std::ops::Range<usize>> {
    let count = match spec.keys {
        KeyPositions::None => return None,
        KeyPositions::First => return Some(1..2),
        KeyPositions::Counted => std::str::from_utf8(args.get(1)?).ok()?.parse::<usize>().ok()?,
    };
    (count <= args.len().saturating_sub(2)).then(|| 2..2 + count)
}

/// Carries out an outcome: replicates, announces, replies. The change itself has been made.
///
/// # Safety
///
/// As for [`run`]; no key of the command is open.
unsafe fn finish(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    outcome: &Outcome,
) {
    if !outcome.effects.is_empty() || outcome.definition.is_some() {
        counters::COMMITS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        if let Some(definition) = &outcome.definition {
            models::replicate(ctx, definition);
            bus::broadcast(ctx, definition);
        }
        for effect in &outcome.effects {
            if effect.signalled {
                call!(RedisModule_SignalModifiedKey(ctx, argv[effect.key_arg]));
            }
        }
        propagate(ctx, argv, &outcome.effects);
        for effect in &outcome.effects {
            announce(ctx, argv, effect);
        }
        reply::send(ctx, &outcome.reply);
    }
}

/// Several effects go out as one unit: the server wraps them in `MULTI` and `EXEC`.
///
/// # Safety
///
/// As for [`finish`].
unsafe fn propagate(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effects: &[KeyEffect],
) {
    let mut repeated = false;
    for key_effect in effects {
        // SAFETY: the caller vouches for `ctx` and `argv`; strings and buffers outlive the calls, which
        // copy them.
        unsafe {
            match &key_effect.sent {
                Sent::Command if repeated => {}
                Sent::Command => {
                    call!(RedisModule_ReplicateVerbatim(ctx));
                    repeated = true;
                }
                Sent::Effect(effect, json) => {
                    replicate_effect(ctx, argv, key_effect.key_arg, effect, json.as_ref());
                }
                Sent::Unlink => {
                    let key = argv[key_effect.key_arg];
                    replicate()(ctx, c"UNLINK".as_ptr(), c"s".as_ptr(), key);
                }
            }
        }
    }
}

type Replicate =
    unsafe extern "C" fn(*mut raw::RedisModuleCtx, *const c_char, *const c_char, ...) -> c_int;

fn replicate() -> Replicate {
    // SAFETY: the pointer is set once at load and never changes.
    unsafe { raw::RedisModule_Replicate }
        .expect("RedisModule_Replicate exists on every supported server")
}

/// # Safety
///
/// As for [`finish`].
unsafe fn replicate_effect(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    key_arg: usize,
    effect: &[u8],
    json: Option<&JsonText>,
) {
    let (key, replicate) = (argv[key_arg], replicate());
    let (name, start, len) = (c"MODEL.APPLY".as_ptr(), effect.as_ptr(), effect.len());
    // SAFETY: the caller vouches for `ctx` and `argv`; the buffers outlive the calls, which copy them.
    unsafe {
        match json {
            None => replicate(ctx, name, c"sb".as_ptr(), key, start, len),
            Some(JsonText::Arg(arg)) => {
                replicate(ctx, name, c"sbs".as_ptr(), key, start, len, argv[*arg])
            }
            Some(JsonText::Made(json)) => {
                replicate(ctx, name, c"sbb".as_ptr(), key, start, len, json.as_ptr(), json.len())
            }
        };
    }
}

/// # Safety
///
/// As for [`finish`].
unsafe fn announce(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effect: &KeyEffect,
) {
    let key = argv[effect.key_arg];
    let notify = |class: c_int, event: *const c_char| {
        // SAFETY: the caller vouches for `ctx` and `argv`; the event is copied.
        unsafe { call!(RedisModule_NotifyKeyspaceEvent(ctx, class, event, key)) };
    };
    if let Some(event) = effect.event {
        notify(raw::REDISMODULE_NOTIFY_MODULE, event.as_ptr());
    }
    if let Some(event) = effect.generic_event {
        notify(raw::REDISMODULE_NOTIFY_GENERIC, event.as_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_declared_command_has_an_entry_point() {
        assert_eq!(ENTRY_POINTS.len(), command::all().len());
    }
}
