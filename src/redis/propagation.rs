//! The effects of a command on single keys: clients that watch or cache them are told, replicas and the AOF are sent
//! them, and keyspace events are given.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_longlong};
use std::ptr;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{bytes, call, is_ok};
use super::{log, offers};
use crate::codec::effect::put_in_unit;
use crate::command::{JsonText, KeyEffect, KeyspaceEvent, Sent};

/// Carries out effects whose changes have been made.
///
/// # Safety
///
/// `ctx` and `argv` are those of the running command, and no key of it is open.
#[inline(always)]
pub unsafe fn carry_out(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effects: &[KeyEffect],
) {
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        for effect in effects {
            if effect.signalled {
                call!(RedisModule_SignalModifiedKey(ctx, argv[effect.key_arg]));
            }
        }
        propagate(ctx, argv, effects);
        for effect in effects {
            announce(ctx, argv, effect);
        }
        if offers::is_waited_for() {
            offer(ctx, argv, effects);
        }
    }
}

/// Offers the documents that changed to requests that wait for some.
///
/// # Safety
///
/// As for [`carry_out`].
#[cold]
unsafe fn offer(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effects: &[KeyEffect],
) {
    // SAFETY: the caller vouches for `ctx` and `argv`.
    let database = unsafe { call!(RedisModule_GetSelectedDb(ctx)) };
    for effect in effects.iter().filter(|effect| effect.event.is_some()) {
        // SAFETY: as above.
        offers::note_changed(database, unsafe { bytes(argv[effect.key_arg]) });
    }
}

/// The effects on several keys go out as one command; with others the server wraps it in `MULTI` and `EXEC`.
///
/// # Safety
///
/// As for [`carry_out`].
unsafe fn propagate(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effects: &[KeyEffect],
) {
    let is_effect = |effect: &&KeyEffect| matches!(effect.sent, Sent::Effect(..));
    let together = effects.len() > 1 && effects.iter().filter(is_effect).count() > 1;
    let mut repeated = false;
    // SAFETY: the caller vouches for `ctx` and `argv`; strings and buffers outlive the calls, which copy them.
    unsafe {
        if together {
            replicate_unit(ctx, argv, effects);
        }
        for key_effect in effects {
            match &key_effect.sent {
                Sent::Command if repeated => {}
                Sent::Command => {
                    call!(RedisModule_ReplicateVerbatim(ctx));
                    repeated = true;
                }
                Sent::Effect(..) if together => {}
                Sent::Effect(effect, json) => {
                    replicate_effect(ctx, argv, key_effect.key_arg, effect, json.as_ref());
                }
                Sent::Unlink => {
                    let key = argv[key_effect.key_arg];
                    // A configuration may rename either.
                    let is_sent =
                        |name: &CStr| is_ok(replicate()(ctx, name.as_ptr(), c"s".as_ptr(), key));
                    let sent = is_sent(c"UNLINK") || is_sent(c"DEL");
                    if !sent {
                        log::warning(
                            ctx,
                            "a deletion was not sent to replicas and the AOF: the configuration renamed UNLINK and DEL",
                        );
                    }
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
/// As for [`carry_out`].
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

thread_local! {
    /// The unit sent last, for its buffer.
    static UNIT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The longest buffer of a unit that is kept.
const UNIT_KEPT_BYTES: usize = 1 << 16;

/// Sends all effects as `MODEL.APPLYALL`. The server looks up the name of a command for each one that it is given:
/// this takes longer than everything else about a short effect.
///
/// # Safety
///
/// As for [`carry_out`].
unsafe fn replicate_unit(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effects: &[KeyEffect],
) {
    let mut unit = UNIT.take();
    unit.clear();
    let mut keys = SmallVec::<[*mut raw::RedisModuleString; 4]>::new();
    let mut jsons = SmallVec::<[*mut raw::RedisModuleString; 2]>::new();
    let mut made = SmallVec::<[*mut raw::RedisModuleString; 2]>::new();
    for key_effect in effects {
        let Sent::Effect(effect, json) = &key_effect.sent else { continue };
        keys.push(argv[key_effect.key_arg]);
        put_in_unit(effect, &mut unit);
        match json {
            None => {}
            Some(JsonText::Arg(arg)) => jsons.push(argv[*arg]),
            Some(JsonText::Made(json)) => {
                let start = json.as_ptr().cast::<c_char>();
                // SAFETY: the bytes are copied; the string is freed below.
                made.push(unsafe {
                    call!(RedisModule_CreateString(ptr::null_mut(), start, json.len()))
                });
                jsons.extend(made.last().copied());
            }
        }
    }
    let (name, count) = (c"MODEL.APPLYALL".as_ptr(), keys.len() as c_longlong);
    let (start, len) = (unit.as_ptr(), unit.len());
    let (listed, documents) = (keys.as_ptr(), jsons.as_ptr());
    // SAFETY: the caller vouches for `ctx` and `argv`; the server keeps the strings on its own where it keeps them. Each
    // format names the arguments that follow.
    unsafe {
        match (&keys[..], &jsons[..]) {
            // The server allocates less where no argument is a list.
            ([one, two], []) => {
                let form = c"cssb".as_ptr();
                replicate()(ctx, name, form, c"2".as_ptr(), *one, *two, start, len)
            }
            (_, []) => {
                let form = c"lvb".as_ptr();
                replicate()(ctx, name, form, count, listed, keys.len(), start, len)
            }
            (_, [..]) => {
                let form = c"lvbv".as_ptr();
                let (keys, jsons) = (keys.len(), jsons.len());
                replicate()(ctx, name, form, count, listed, keys, start, len, documents, jsons)
            }
        };
        for string in made {
            call!(RedisModule_FreeString(ptr::null_mut(), string));
        }
    }
    if unit.capacity() <= UNIT_KEPT_BYTES {
        UNIT.set(unit);
    }
}

/// # Safety
///
/// As for [`carry_out`].
unsafe fn announce(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    effect: &KeyEffect,
) {
    let key = argv[effect.key_arg];
    let notify = |class: c_int, event: KeyspaceEvent| {
        // SAFETY: the caller vouches for `ctx` and `argv`; the event is copied.
        unsafe { call!(RedisModule_NotifyKeyspaceEvent(ctx, class, event.name().as_ptr(), key)) };
    };
    if let Some(event) = effect.event {
        notify(raw::REDISMODULE_NOTIFY_MODULE, event);
    }
    if let Some(event) = effect.generic_event {
        notify(raw::REDISMODULE_NOTIFY_GENERIC, event);
    }
}
