//! Clients that wait for a lock: blocked in the server until they are granted it, refused, timed out, unblocked or
//! disconnected.
//!
//! A blocked client is given back to the server exactly once: when it is woken, has timed out or is disconnected. It
//! can still disconnect between being woken and the reply; then its grants go to the next waiter.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{c_char, c_int, c_longlong, c_void};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use redis_module::raw;

use super::api::{call, is_ok};
use super::log::c_string;
use super::shelf::Shelf;
use super::{clock, counters, pending, reply};
use crate::command::{CommandSpec, LockReply, Waiting};
use crate::error::{Error, ErrorCode};
use crate::lock::{DocumentKey, WaiterId, Wake, Woken, deadlock};
use crate::reply::Reply;

thread_local! {
    static BLOCKED: RefCell<BlockedClients> = RefCell::default();
}

#[derive(Default)]
struct BlockedClients {
    /// By the number of the request.
    waiters: HashMap<u64, BlockedClient>,
    /// By the server's handle.
    handles: HashMap<*mut raw::RedisModuleBlockedClient, Stage>,
    /// The time at which each times out, on the steady clock, and its number.
    ends: BTreeSet<(u64, u64)>,
}

impl BlockedClients {
    fn remove(&mut self, waiter: u64) -> Option<BlockedClient> {
        let removed = self.waiters.remove(&waiter)?;
        self.ends.remove(&(removed.ends_ms, waiter));
        Some(removed)
    }
}

struct BlockedClient {
    handle: *mut raw::RedisModuleBlockedClient,
    /// The server's number of the client.
    client: u64,
    command: &'static CommandSpec,
    form: LockReply,
    since_ms: u64,
    ends_ms: u64,
}

/// The stage of a blocked client.
enum Stage {
    Waits(u64),
    /// Woken with these grants; the reply is still to be sent.
    Granted(Vec<(DocumentKey, u64)>),
}

/// The reply to a client that waits no longer.
enum Told {
    Answer(Reply),
    Refusal(Error),
    /// The line with which the server itself refuses a command.
    NoPermission(&'static CommandSpec),
}

/// Blocks the client of a command. Its time is measured here: on a clock that does not step, and because
/// Redis 7.0 never replies to a client whose time, as the server measures it, was up between being woken and
/// being replied to.
///
/// # Safety
///
/// `ctx` is that of a command which does not reply, and may block.
pub unsafe fn block(
    ctx: *mut raw::RedisModuleCtx,
    command: &'static CommandSpec,
    waiting: Waiting,
) {
    // SAFETY: the caller vouches for `ctx`.
    let handle = unsafe {
        let handle = call!(RedisModule_BlockClient(
            ctx,
            Some(on_reply),
            Some(on_timeout),
            Some(free_told),
            0
        ));
        call!(RedisModule_SetDisconnectCallback(handle, Some(on_disconnect)));
        handle
    };
    // SAFETY: as above.
    let client = unsafe { call!(RedisModule_GetClientId(ctx)) };
    let since_ms = clock::moment().steady_ms;
    let ends_ms = since_ms.saturating_add(waiting.wait_ms);
    BLOCKED.with_borrow_mut(|blocked| {
        blocked.handles.insert(handle, Stage::Waits(waiting.waiter));
        blocked.ends.insert((ends_ms, waiting.waiter));
        let form = waiting.form;
        let waiter = BlockedClient { handle, client, command, form, since_ms, ends_ms };
        blocked.waiters.insert(waiting.waiter, waiter);
    });
}

/// The time at which the first client times out, on the steady clock.
pub fn first_end() -> Option<u64> {
    BLOCKED.with_borrow(|blocked| blocked.ends.first().map(|(ends_ms, _)| *ends_ms))
}

/// Unblocks the clients whose waiting time is over.
pub fn end_waits(now_ms: u64) {
    while let Some((id, handle)) = BLOCKED.with_borrow_mut(|blocked| {
        let id = blocked.ends.first().filter(|(ends_ms, _)| *ends_ms <= now_ms)?.1;
        let waiter = blocked.remove(id)?;
        blocked.handles.remove(&waiter.handle);
        Some((id, waiter.handle))
    }) {
        counters::LOCK_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        pending::note_left(id);
        // SAFETY: the handle is given back once, because it was taken out of the waiting clients.
        unsafe { give_back(handle, Told::Answer(Reply::Null)) };
    }
}

/// # Safety
///
/// `handle` is that of a blocked client, and was not given back.
unsafe fn give_back(handle: *mut raw::RedisModuleBlockedClient, told: Told) {
    let told: *mut Told = Box::into_raw(Box::new(told));
    // SAFETY: the caller vouches for the handle; the box comes back to `free_told`.
    unsafe { call!(RedisModule_UnblockClient(handle, told.cast::<c_void>())) };
}

/// Tells a client that its waiting is over.
///
/// # Safety
///
/// Called on the main thread, while no document is borrowed.
pub unsafe fn wake(shelf: &mut Shelf<'_>, wake: Wake) {
    let Some(waiter) = BLOCKED.with_borrow_mut(|blocked| blocked.remove(wake.waiter)) else {
        return;
    };
    let (told, grants) = match wake.woken {
        Woken::Granted(places, grants) => {
            counters::LOCK_WAITS.record(clock::moment().steady_ms - waiter.since_ms);
            let replies = places.iter().zip(&grants).map(|(place, grant)| {
                let document = shelf.document(place.at());
                document.map_or(Reply::Null, |document| waiter.form.one(grant, document))
            });
            let answer = waiter.form.all(replies.collect());
            let fences = grants.iter().map(|grant| grant.fence);
            (Told::Answer(answer), places.into_iter().zip(fences).collect())
        }
        Woken::Gone(place) => {
            let error = Error::new(ErrorCode::NoKey, "the key was deleted, renamed or moved");
            (Told::Refusal(error.text("key", &place.key)), Vec::new())
        }
        Woken::Deadlock => (Told::Refusal(deadlock()), Vec::new()),
        Woken::Forbidden => (Told::NoPermission(waiter.command), Vec::new()),
    };
    BLOCKED.with_borrow_mut(|blocked| {
        blocked.handles.insert(waiter.handle, Stage::Granted(grants));
    });
    // SAFETY: the handle is given back once, because it was taken out of the waiting clients.
    unsafe { give_back(waiter.handle, told) };
}

/// Flag: the client's user may still run the command of a waiting request on these documents.
///
/// The server checked it when the request came. It does so again before it serves a client of `BLPOP`; for
/// clients of a module this is the module's part.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn is_permitted(
    ctx: *mut raw::RedisModuleCtx,
    waiter: WaiterId,
    documents: &[DocumentKey],
) -> bool {
    let found = BLOCKED.with_borrow(|blocked| {
        let waiter = blocked.waiters.get(&waiter)?;
        Some((waiter.client, waiter.command))
    });
    let Some((client, command)) = found else { return true };
    let create = |text: &[u8]| {
        // SAFETY: the caller vouches for `ctx`; the text is copied.
        unsafe { call!(RedisModule_CreateString(ctx, text.as_ptr().cast::<c_char>(), text.len())) }
    };
    // SAFETY: the caller vouches for `ctx`. All strings and the user are freed here, after their last use; a
    // client without a user may do everything, and one whose user was deleted nothing.
    unsafe {
        let name = call!(RedisModule_GetClientUserNameById(ctx, client));
        if name.is_null() {
            return true;
        }
        let user = call!(RedisModule_GetModuleUserFromUserName(name));
        call!(RedisModule_FreeString(ctx, name));
        if user.is_null() {
            return false;
        }
        let mut argv = vec![create(command.name.as_bytes())];
        if command.keys.are_counted() {
            argv.push(create(documents.len().to_string().as_bytes()));
        }
        argv.extend(documents.iter().map(|place| create(&place.key)));
        // The name and the owner: no permission depends on them.
        argv.extend([create(b"n"), create(b"o")]);
        let check = call!(RedisModule_ACLCheckCommandPermissions(
            user,
            argv.as_mut_ptr(),
            argv.len() as c_int
        ));
        argv.iter().for_each(|string| call!(RedisModule_FreeString(ctx, *string)));
        call!(RedisModule_FreeModuleUser(user));
        is_ok(check)
    }
}

/// Removes a client. Returns its stage.
fn take(handle: *mut raw::RedisModuleBlockedClient) -> Option<Stage> {
    BLOCKED.with_borrow_mut(|blocked| {
        let stage = blocked.handles.remove(&handle);
        if let Some(Stage::Waits(waiter)) = &stage {
            blocked.remove(*waiter);
        }
        stage
    })
}

unsafe extern "C" fn on_reply(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is that of a blocked client which was woken with what it is told.
        unsafe {
            let handle = call!(RedisModule_GetBlockedClientHandle(ctx));
            let told = &*call!(RedisModule_GetBlockedClientPrivateData(ctx)).cast::<Told>();
            let grants = match take(handle) {
                Some(Stage::Granted(grants)) => grants,
                _ => Vec::new(),
            };
            if !grants.is_empty() && is_gone(ctx) {
                pending::note_unheard(grants);
            }
            match told {
                Told::Answer(answer) => reply::send(ctx, answer),
                Told::Refusal(error) => {
                    counters::count_abort(error.code());
                    reply::send_error(ctx, error);
                }
                Told::NoPermission(command) => {
                    let name = command.name.to_lowercase();
                    let line = format!(
                        "NOPERM User has no permissions any more to run the '{name}' command on these keys"
                    );
                    let line = c_string(&line);
                    call!(RedisModule_ReplyWithError(ctx, line.as_ptr()));
                }
            }
        }
    }));
    raw::REDISMODULE_OK as c_int
}

/// Flag: a client closed its connection before the reply, so that it must not keep a lock.
///
/// # Safety
///
/// `ctx` is that of a client that is being replied to.
unsafe fn is_gone(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`; the reply is copied from and freed.
    let line = unsafe {
        let client = call!(RedisModule_GetClientId(ctx)) as c_longlong;
        let call = raw::RedisModule_Call.expect("RedisModule_Call exists on every server");
        let format = c"ccl".as_ptr();
        let (list, id) = (c"LIST".as_ptr(), c"ID".as_ptr());
        let reply = call(ctx, c"CLIENT".as_ptr(), format, list, id, client);
        if reply.is_null() {
            return false;
        }
        let mut len = 0;
        let start = call!(RedisModule_CallReplyStringPtr(reply, &raw mut len));
        let line = match start.is_null() {
            true => String::new(),
            false => {
                let text = std::slice::from_raw_parts(start.cast::<u8>(), len);
                String::from_utf8_lossy(text).into_owned()
            }
        };
        call!(RedisModule_FreeCallReply(reply));
        line
    };
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
    let closing = field("flags=").is_some_and(|flags| flags.contains(['A', 'c']));
    let socket = field("fd=").and_then(|fd| fd.parse::<c_int>().ok()).filter(|fd| *fd >= 0);
    closing || socket.is_none_or(has_hung_up)
}

/// Flag: the other side of a socket has closed it, and all that it sent has been read.
fn has_hung_up(socket: c_int) -> bool {
    // SAFETY: the server keeps the socket open while it replies, and it is not closed here. What is
    // called is the same for every kind of socket.
    let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(socket) });
    match socket.peek(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// `CLIENT UNBLOCK`: times are measured here.
unsafe extern "C" fn on_timeout(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is that of a blocked client that is told to go.
        unsafe {
            let handle = call!(RedisModule_GetBlockedClientHandle(ctx));
            leave(handle);
            reply::send(ctx, &Reply::Null);
        }
    }));
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn on_disconnect(
    _ctx: *mut raw::RedisModuleCtx,
    handle: *mut raw::RedisModuleBlockedClient,
) {
    // SAFETY: the handle is that of a blocked client that disconnected.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { leave(handle) }));
}

/// A client does not wait any longer.
///
/// # Safety
///
/// `handle` is that of a blocked client.
unsafe fn leave(handle: *mut raw::RedisModuleBlockedClient) {
    match take(handle) {
        Some(Stage::Waits(waiter)) => {
            pending::note_left(waiter);
            // SAFETY: the caller vouches for the handle, which is given back here and nowhere else.
            unsafe { call!(RedisModule_AbortBlock(handle)) };
        }
        // It was given back when it was woken.
        Some(Stage::Granted(grants)) => pending::note_unheard(grants),
        None => {}
    }
}

unsafe extern "C" fn free_told(_ctx: *mut raw::RedisModuleCtx, told: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if !told.is_null() {
            // SAFETY: the box was given to the server in `give_back`, and comes back once.
            drop(unsafe { Box::from_raw(told.cast::<Told>()) });
        }
    }));
}
