//! Running the core's command on the server's keyspace, and carrying out what it changed.

use redis_module::raw;

use super::host::{ServerHost, Waited};
use super::named_keys::NamedKeys;
use super::{bus, changes, counters, models, propagation};
use crate::command::{CommandSpec, Outcome};
use crate::error::Result;
use crate::host::Host;

/// Runs the command, and calls `then` with its outcome and the arguments with the keys that the command found, if it found
/// any; no key is open then. Where the command is refused because a document that has expired has the values of an index
/// with `UNIQUE`, that document is deleted, and the command, which changed nothing, runs again.
///
/// # Safety
///
/// `ctx` and `argv` are those of the command, and no key is open; `args` are the bytes of `argv`. `waited` is for a client
/// that was blocked.
#[inline(always)]
pub unsafe fn execute<T>(
    ctx: *mut raw::RedisModuleCtx,
    spec: &'static CommandSpec,
    argv: &[*mut raw::RedisModuleString],
    args: &[&[u8]],
    waited: Option<Waited<'_>>,
    then: impl FnOnce(&mut Result<Outcome>, Option<&NamedKeys>) -> T,
) -> T {
    let invocation = Invocation { ctx, spec, argv, args, waited };
    // SAFETY: the caller vouches for the arguments.
    let mut host = unsafe { invocation.host() };
    // The outcome is large: it stays where it was made.
    let mut outcome = (spec.run)(&mut host, args);
    let (conflict, mut named) = (host.take_conflict(), host.take_named());
    drop(host);
    if let Some(other) = conflict {
        // SAFETY: as above.
        unsafe { invocation.execute_again(other, &mut outcome, &mut named) };
    }
    then(&mut outcome, named.as_deref())
}

/// A command that is executed, once or again.
struct Invocation<'c> {
    ctx: *mut raw::RedisModuleCtx,
    spec: &'static CommandSpec,
    argv: &'c [*mut raw::RedisModuleString],
    args: &'c [&'c [u8]],
    waited: Option<Waited<'c>>,
}

impl<'c> Invocation<'c> {
    /// # Safety
    ///
    /// As for [`execute`].
    #[inline(always)]
    unsafe fn host(&self) -> ServerHost<'c> {
        // SAFETY: the caller vouches for the arguments.
        let mut host = unsafe { ServerHost::new(self.ctx, self.argv, self.args) };
        if let Some(waited) = self.waited {
            host.set_waited(waited);
        }
        host
    }

    /// Goes on after `outcome`, a refusal because of the document `other`.
    ///
    /// # Safety
    ///
    /// As for [`execute`].
    #[cold]
    #[inline(never)]
    unsafe fn execute_again(
        &self,
        mut other: Vec<u8>,
        outcome: &mut Result<Outcome>,
        named: &mut Option<Box<NamedKeys>>,
    ) {
        loop {
            // SAFETY: the caller vouches for the arguments. Looking at a key deletes what has expired.
            let mut host = unsafe { ServerHost::new(self.ctx, self.argv, self.args) };
            if host.look(&other).is_some() {
                return;
            }
            drop(host);
            // SAFETY: as above.
            let mut host = unsafe { self.host() };
            *outcome = (self.spec.run)(&mut host, self.args);
            *named = host.take_named();
            match host.take_conflict() {
                Some(next) if next != other => other = next,
                _ => return,
            }
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
        counters::COMMITS.add(1);
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
