//! From the server's call to the core's command, and from its outcome to the server.

use std::ffi::{CString, c_int};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::{claims, command_info, counters, execution, lock_clients, locks, log, reply};
use crate::command::{self, CommandSpec, Flag, KeyPositions, Outcome};
use crate::error::{Error, Result};

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
    if spec.keys.are_asked() {
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

/// Commands of no more arguments need no memory for the list of them.
const ARGS_IN_PLACE: usize = 24;

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
    let mut few = [const { MaybeUninit::<&[u8]>::uninit() }; ARGS_IN_PLACE];
    let mut many = Vec::new();
    // SAFETY: the strings live as long as the call and are not changed.
    let read = |string: &*mut raw::RedisModuleString| unsafe { bytes(*string) };
    let args: &[&[u8]] = match few.get_mut(..argv.len()) {
        Some(few) => {
            for (arg, string) in few.iter_mut().zip(argv) {
                arg.write(read(string));
            }
            // SAFETY: each of them was written, and `few` outlives them all.
            unsafe { &*(ptr::from_mut(few) as *const [&[u8]]) }
        }
        None => {
            many.extend(argv.iter().map(read));
            &many
        }
    };
    // SAFETY: the caller vouches for `ctx`.
    if spec.keys.are_asked() && unsafe { call!(RedisModule_IsKeysPositionRequest(ctx)) } != 0 {
        // The server asks in the middle of other work.
        unsafe { report_keys(ctx, spec, args) };
        return false;
    }
    // SAFETY: as above. The host closes its keys before anything is propagated or announced.
    unsafe {
        execution::execute(ctx, spec, argv, args, None, |outcome, named| match outcome {
            Ok(outcome) => {
                if spec.keys.are_counted() && !outcome.effects.is_empty() {
                    counters::TRANSACTIONS.record(outcome.effects.len() as u64);
                }
                // The host saw that a client which waits may.
                match (outcome.waits.take(), outcome.lines_up.take()) {
                    (Some(waiting), _) => lock_clients::block(ctx, spec, *waiting),
                    (None, Some(wait)) => claims::block(ctx, spec, argv, *wait),
                    (None, None) => {
                        finish(ctx, named.map_or(argv, |named| &named.argv[..]), outcome);
                        outcome.recycle();
                    }
                }
            }
            Err(error) => {
                counters::count_abort(error.code());
                reply::send_error(ctx, error);
            }
        });
    }
    true
}

/// Reports the positions of a command's keys, for routing in a cluster.
///
/// # Safety
///
/// `ctx` is the context of a request for key positions.
unsafe fn report_keys(ctx: *mut raw::RedisModuleCtx, spec: &CommandSpec, args: &[&[u8]]) {
    let flags = command_info::key_flags(spec) as c_int;
    for position in spec.keys.of(spec, args).unwrap_or_default() {
        // SAFETY: the caller vouches for `ctx`; the position is an argument's.
        unsafe { call!(RedisModule_KeyAtPosWithFlags(ctx, position as c_int, flags)) };
    }
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
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        if outcome.changes_anything() {
            execution::carry_out(ctx, argv, outcome);
        }
        reply::send(ctx, &outcome.reply);
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
