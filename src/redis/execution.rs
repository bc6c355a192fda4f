//! Running the core's command on the server's keyspace, and carrying out what it changed.

use std::sync::atomic::Ordering;

use redis_module::raw;

use super::host::{ServerHost, Waited};
use super::named_keys::NamedKeys;
use super::{bus, changes, counters, models, propagation};
use crate::command::{CommandSpec, Outcome};
use crate::error::Result;
use crate::host::Host;

/// Runs the command. Where it is refused because a document that has expired has the values of an index with `UNIQUE`,
/// that document is deleted, and the command, which changed nothing, runs again.
///
/// # Safety
///
/// `ctx` and `argv` are those of the command, and no key is open; `args` are the bytes of `argv`. `named` gets the
/// arguments with the keys that the command found. `waited` is for a client that was blocked.
#[inline(always)]
pub unsafe fn execute(
    ctx: *mut raw::RedisModuleCtx,
    spec: &'static CommandSpec,
    argv: &[*mut raw::RedisModuleString],
    args: &[&[u8]],
    waited: Option<Waited<'_>>,
    named: &mut Option<Box<NamedKeys>>,
) -> Result<Outcome> {
    let invocation = Invocation { ctx, spec, argv, args, waited };
    let mut conflict = None;
    // SAFETY: the caller vouches for the arguments.
    let mut outcome = unsafe { execute_once(&invocation, named, &mut conflict) };
    // The outcome is large: it stays where it was made.
    if let Some(other) = conflict {
        // SAFETY: as above.
        unsafe { execute_again(&invocation, named, other, &mut outcome) };
    }
    outcome
}

/// A command that is executed, once or again.
struct Invocation<'c> {
    ctx: *mut raw::RedisModuleCtx,
    spec: &'static CommandSpec,
    argv: &'c [*mut raw::RedisModuleString],
    args: &'c [&'c [u8]],
    waited: Option<Waited<'c>>,
}

/// Runs the command. `conflict` gets the document for which it was refused with `UNIQUE`.
///
/// # Safety
///
/// As for [`execute`].
#[inline(always)]
unsafe fn execute_once(
    command: &Invocation<'_>,
    named: &mut Option<Box<NamedKeys>>,
    conflict: &mut Option<Vec<u8>>,
) -> Result<Outcome> {
    let Invocation { ctx, spec, argv, args, waited } = *command;
    // SAFETY: the caller vouches for the arguments.
    let mut host = unsafe { ServerHost::new(ctx, argv, args) };
    if let Some(waited) = waited {
        host.set_waited(waited);
    }
    let outcome = (spec.run)(&mut host, args);
    *conflict = host.take_conflict();
    if conflict.is_none() {
        *named = host.take_named();
    }
    outcome
}

/// Goes on after `outcome`, a refusal because of the document `other`.
///
/// # Safety
///
/// As for [`execute`].
#[cold]
#[inline(never)]
unsafe fn execute_again(
    command: &Invocation<'_>,
    named: &mut Option<Box<NamedKeys>>,
    mut other: Vec<u8>,
    outcome: &mut Result<Outcome>,
) {
    loop {
        // SAFETY: the caller vouches for the arguments. Looking at a key deletes what has expired.
        let mut host = unsafe { ServerHost::new(command.ctx, command.argv, command.args) };
        if host.look(&other).is_some() {
            return;
        }
        drop(host);
        let mut conflict = None;
        // SAFETY: as above.
        *outcome = unsafe { execute_once(command, named, &mut conflict) };
        match conflict {
            Some(next) if next != other => other = next,
            _ => return,
        }
    }
}

/// Carries out an outcome: replicates and announces. The change itself has been made.
///
/// # Safety
///
/// `ctx` and `argv` are those of the command, with the keys it found; no key is open.
pub unsafe fn carry_out(
    ctx: *mut raw::RedisModuleCtx,
    argv: &[*mut raw::RedisModuleString],
    outcome: &Outcome,
) {
    if !outcome.effects.is_empty() || outcome.definition.is_some() || outcome.natives.is_some() {
        counters::COMMITS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        if let Some(definition) = &outcome.definition {
            models::replicate(ctx, definition);
            bus::broadcast(ctx, definition);
            changes::on_definition(ctx);
        }
        let sent = outcome.natives.as_ref().map_or(0, |natives| natives.after);
        propagation::carry_out(ctx, argv, &outcome.effects[sent..]);
        if let Some(made) = &outcome.changes {
            changes::append(ctx, made);
        }
    }
}
