//! Hash slots whose keys are this node's to show.
//!
//! A key in a slot of another node is here for one of two reasons. While slots are moved key by key, a key is on one
//! node at a time, and this one has it. While a slot is imported as a whole, all its keys are on the other node as well,
//! and those here are not to be seen until it is this node's.

use std::collections::HashMap;
use std::ffi::c_int;
use std::io;
use std::sync::OnceLock;

use redis_module::raw;

use super::api::call;
use super::call_reply::{self, CallReply, CallReplyKind};
use super::imported;
use crate::index::{hash_slot, in_slot_of};

/// The slots that one command has asked for.
#[derive(Default)]
pub struct ShownSlots {
    /// None before it was asked.
    role: Option<ClusterRole>,
    /// Flag: keys of the slot are shown.
    shown: HashMap<u16, bool>,
}

/// Flag: the server is a node of a cluster. Asked once: no running server becomes one.
///
/// # Safety
///
/// `ctx` is the context of the running command.
#[inline]
pub unsafe fn is_clustered(ctx: *mut raw::RedisModuleCtx) -> bool {
    static CLUSTERED: OnceLock<bool> = OnceLock::new();
    *CLUSTERED.get_or_init(|| {
        // SAFETY: the caller vouches for `ctx`.
        let flags = unsafe { call!(RedisModule_GetContextFlags(ctx)) };
        flags & raw::REDISMODULE_CTX_FLAGS_CLUSTER as c_int != 0
    })
}

/// The part that this server has in a cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClusterRole {
    /// None: it is not in a cluster.
    Alone,
    Master,
    Replica,
}

impl ShownSlots {
    /// Flag: a key that is here is to be seen.
    ///
    /// # Safety
    ///
    /// `ctx` is the context of the running command.
    pub unsafe fn shows(&mut self, ctx: *mut raw::RedisModuleCtx, name: &[u8]) -> bool {
        // SAFETY: the caller vouches for `ctx`.
        let role = *self.role.get_or_insert_with(|| unsafe { role(ctx) });
        if role == ClusterRole::Alone {
            return true;
        }
        let slot = hash_slot(name);
        // SAFETY: as above.
        *self.shown.entry(slot).or_insert_with(|| unsafe {
            match role {
                // It has the keys of its master, which shows those that come key by key.
                ClusterRole::Replica => !imported::is_imported(ctx, slot),
                _ => owns(ctx, name) || moves(ctx, slot, "-<-"),
            }
        })
    }
}

/// # Safety
///
/// As for [`ShownSlots::shows`].
unsafe fn role(ctx: *mut raw::RedisModuleCtx) -> ClusterRole {
    // SAFETY: the caller vouches for `ctx`.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ctx)) };
    let has = |flag: u32| flags & flag as c_int != 0;
    match (has(raw::REDISMODULE_CTX_FLAGS_CLUSTER), has(raw::REDISMODULE_CTX_FLAGS_MASTER)) {
        (false, _) => ClusterRole::Alone,
        (true, true) => ClusterRole::Master,
        (true, false) => ClusterRole::Replica,
    }
}

/// Flag: every key of a key's slot is here: the slot is not being moved key by key, in either direction. A replica does not
/// know it, and has what its master has.
///
/// # Safety
///
/// As for [`ShownSlots::shows`].
pub unsafe fn has_whole(ctx: *mut raw::RedisModuleCtx, key: &[u8]) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if !is_clustered(ctx) {
            return true;
        }
        match (in_slot_of(key, b"\0model.slot\x001"), in_slot_of(key, b"\0model.slot\x002")) {
            // While a slot is moved the server refuses two keys that are not there.
            (Some(one), Some(other)) => serves(ctx, &one, &other),
            _ => {
                let slot = hash_slot(key);
                !["-<-", "->-"].iter().any(|arrow| moves(ctx, slot, arrow))
            }
        }
    }
}

/// Flag: the server runs a command on these two keys.
///
/// # Safety
///
/// As for [`ShownSlots::shows`].
unsafe fn serves(ctx: *mut raw::RedisModuleCtx, one: &[u8], other: &[u8]) -> bool {
    let (name, format) = (c"EXISTS".as_ptr(), c"bb".as_ptr());
    let (first, second) = (one.as_ptr(), other.as_ptr());
    // SAFETY: the caller vouches for `ctx`; the names live through the call.
    let reply =
        unsafe { call_reply::run()(ctx, name, format, first, one.len(), second, other.len()) };
    !reply.is_null() && !CallReply(reply).is_error()
}

/// Flag: no other node has the slot of the key. While the cluster is down, the server runs no command on any key: then
/// none is said to be another node's.
///
/// # Safety
///
/// As for [`ShownSlots::shows`].
unsafe fn owns(ctx: *mut raw::RedisModuleCtx, name: &[u8]) -> bool {
    let format = c"b".as_ptr();
    // SAFETY: the caller vouches for `ctx`; the name lives through the call. A command on a key of another node gives
    // no reply, and says so in `errno`.
    let reply =
        unsafe { call_reply::run()(ctx, c"EXISTS".as_ptr(), format, name.as_ptr(), name.len()) };
    if reply.is_null() {
        return io::Error::last_os_error().kind() != io::ErrorKind::PermissionDenied;
    }
    !CallReply(reply).is_error()
}

/// Flag: the cluster is down, so that the server runs no command on any key. Redis and Valkey both begin their account with
/// it.
///
/// # Safety
///
/// As for [`ShownSlots::shows`].
pub unsafe fn is_down(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    let info = CallReply(unsafe {
        call_reply::run()(ctx, c"CLUSTER".as_ptr(), c"c".as_ptr(), c"INFO".as_ptr())
    });
    info.text().starts_with(b"cluster_state:fail")
}

/// Flag: a command with these two keys of one slot would run here: neither is on its way from or to another node.
///
/// # Safety
///
/// As for [`ShownSlots::shows`].
pub unsafe fn has_both(ctx: *mut raw::RedisModuleCtx, one: &[u8], other: &[u8]) -> bool {
    let (command, format) = (c"EXISTS".as_ptr(), c"Ebb".as_ptr());
    // SAFETY: the caller vouches for `ctx`; the names live through the call.
    let reply = CallReply(unsafe {
        let (first, second) = (one.as_ptr(), other.as_ptr());
        call_reply::run()(ctx, command, format, first, one.len(), second, other.len())
    });
    reply.kind() == CallReplyKind::Int
}

/// Flag: the slot is being moved key by key, by the node's own account: `-<-` to it, `->-` from it.
///
/// # Safety
///
/// As for [`ShownSlots::shows`].
unsafe fn moves(ctx: *mut raw::RedisModuleCtx, slot: u16, arrow: &str) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    let reply = CallReply(unsafe {
        call_reply::run()(ctx, c"CLUSTER".as_ptr(), c"c".as_ptr(), c"NODES".as_ptr())
    });
    let nodes = String::from_utf8_lossy(reply.text()).into_owned();
    let own = nodes.lines().find(|line| is_own(line));
    own.is_some_and(|line| line.contains(&format!("[{slot}{arrow}")))
}

/// The lines of [`redirection`] for many keys, each slot asked for once.
#[derive(Default)]
pub struct Redirections {
    known: HashMap<u16, Option<String>>,
}

impl Redirections {
    /// # Safety
    ///
    /// `ctx` is valid as long as this lives.
    pub unsafe fn of(&mut self, ctx: *mut raw::RedisModuleCtx, key: &[u8]) -> Option<String> {
        // SAFETY: the caller vouches for `ctx`.
        let ask = || unsafe { redirection(ctx, key) };
        self.known.entry(hash_slot(key)).or_insert_with(ask).clone()
    }
}

/// The line that sends a client to the node that has the slot of a key; none where this one has it, still or already:
/// also while its keys are on their way to another node, or from one.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn redirection(ctx: *mut raw::RedisModuleCtx, key: &[u8]) -> Option<String> {
    let slot = hash_slot(key);
    // SAFETY: the caller vouches for `ctx`.
    let nodes = unsafe {
        if owns(ctx, key) || moves(ctx, slot, "-<-") {
            return None;
        }
        CallReply(call_reply::run()(ctx, c"CLUSTER".as_ptr(), c"c".as_ptr(), c"NODES".as_ptr()))
    };
    let text = String::from_utf8_lossy(nodes.text()).into_owned();
    let owner = text.lines().find(|line| line.split(' ').skip(8).any(|range| holds(range, slot)));
    // A slot is this node's until its last key has left.
    if owner.is_some_and(is_own) {
        return None;
    }
    Some(match owner.and_then(|line| line.split([' ', '@']).nth(1)) {
        Some(address) => format!("MOVED {slot} {address}"),
        None => "CLUSTERDOWN Hash slot not served".to_owned(),
    })
}

/// Flag: a line of CLUSTER NODES is about this node. The third field holds flags.
fn is_own(line: &str) -> bool {
    line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
}

/// Flag: a slot, or a range `first-last`, holds this one.
fn holds(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
}
