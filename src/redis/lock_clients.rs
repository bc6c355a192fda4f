//! Clients that wait for a lock: blocked in the server until they are granted it, refused, timed out, unblocked or
//! disconnected.
//!
//! A client can still disconnect between being granted and the reply; then its grants go to the next waiter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_int, c_longlong, c_void};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use redis_module::raw;

use super::api::call;
use super::blocked::{self, BlockedClients, ClientCallbacks, RawHandle, Told};
use super::call_reply::{self, CallReply};
use super::held::HeldString;
use super::shelf::Shelf;
use super::users::{self, User};
use super::{clock, counters, pending, reply};
use crate::command::{CommandSpec, LockReply, Waiting};
use crate::error::{Error, ErrorCode};
use crate::lock::{DocumentKey, WaiterId, Wake, Woken, deadlock};
use crate::reply::Reply;

/// Documents with the fences of their grants.
type Grants = Vec<(DocumentKey, u64)>;

thread_local! {
    static CLIENTS: RefCell<BlockedClients<WaitingLock>> = RefCell::default();
    /// Grants of clients whose reply is still to be sent.
    static GRANTED: RefCell<HashMap<RawHandle, Grants>> = RefCell::default();
}

static CALLBACKS: ClientCallbacks = ClientCallbacks {
    reply: on_reply,
    timeout: on_timeout,
    disconnect: on_disconnect,
    free: free_told,
};

/// The command of a waiting client.
struct WaitingLock {
    command: &'static CommandSpec,
    /// The server's number of the client.
    client: u64,
    form: LockReply,
}

/// Blocks the client of a command.
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
    let (handle, client) =
        unsafe { (blocked::block(ctx, &CALLBACKS), call!(RedisModule_GetClientId(ctx))) };
    let request = WaitingLock { command, client, form: waiting.form };
    CLIENTS.with_borrow_mut(|clients| {
        clients.insert(waiting.waiter, handle, waiting.wait_ms, request);
    });
}

/// The time at which the first client times out, on the steady clock.
pub fn first_end() -> Option<u64> {
    CLIENTS.with_borrow(BlockedClients::first_end)
}

/// The numbers of all requests that wait.
pub fn waiting() -> Vec<WaiterId> {
    CLIENTS.with_borrow(BlockedClients::waiting)
}

/// Unblocks a client that waits for nothing any more.
///
/// # Safety
///
/// Called on the main thread.
pub unsafe fn tell(waiter: WaiterId, told: Told) {
    if let Some(client) = CLIENTS.with_borrow_mut(|clients| clients.remove(waiter)) {
        // SAFETY: the caller vouches for the thread.
        unsafe { client.handle.tell(told) };
    }
}

/// Unblocks the clients whose waiting time is over.
pub fn end_waits(now_ms: u64) {
    while let Some((id, client)) = CLIENTS.with_borrow_mut(|clients| clients.remove_ended(now_ms)) {
        counters::LOCK_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        pending::note_left(id);
        // SAFETY: this is the main thread.
        unsafe { client.handle.tell(Told::Answer(Reply::Null)) };
    }
}

/// Tells a client that its waiting is over.
///
/// # Safety
///
/// Called on the main thread, while no document is borrowed.
pub unsafe fn wake(shelf: &mut Shelf<'_>, wake: Wake) {
    let Some(client) = CLIENTS.with_borrow_mut(|clients| clients.remove(wake.waiter)) else {
        return;
    };
    let request = client.request;
    let told = match wake.woken {
        Woken::Granted(places, grants) => {
            counters::LOCK_WAITS.record(clock::moment().steady_ms - client.since_ms);
            let replies = places.iter().zip(&grants).map(|(place, grant)| {
                let document = shelf.document(place.at());
                document.map_or(Reply::Null, |document| request.form.one(grant, document))
            });
            let answer = request.form.all(replies.collect());
            let fences = grants.iter().map(|grant| grant.fence);
            let granted = places.into_iter().zip(fences).collect();
            GRANTED.with_borrow_mut(|all| all.insert(client.handle.raw(), granted));
            Told::Answer(answer)
        }
        Woken::Gone(place) => {
            let error = Error::new(ErrorCode::NoKey, "the key was deleted, renamed or moved");
            Told::Refusal(error.text("key", &place.key))
        }
        Woken::Deadlock => Told::Refusal(deadlock()),
        Woken::Forbidden => Told::forbidden(request.command),
    };
    // SAFETY: the caller vouches for the thread.
    unsafe { client.handle.tell(told) };
}

/// Returns true if the client's user may still run the command of a waiting request on these documents.
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
    let found = CLIENTS.with_borrow(|clients| {
        let request = clients.request(waiter)?;
        Some((request.client, request.command))
    });
    let Some((client, command)) = found else { return true };
    // SAFETY: the caller vouches for `ctx`.
    let Some(name) = (unsafe { users::name_of(ctx, client) }) else { return true };
    // A user that was deleted may do nothing.
    let Some(user) = User::by_name(&name) else { return false };
    let Some(database) = documents.first().map(|place| place.db) else { return true };
    let mut words = vec![HeldString::of(command.name.as_bytes())];
    if command.keys.are_counted() {
        words.push(HeldString::of(documents.len().to_string().as_bytes()));
    }
    words.extend(documents.iter().map(|place| HeldString::of(&place.key)));
    // The name and the owner: no permission depends on them.
    words.extend([HeldString::of(b"n"), HeldString::of(b"o")]);
    let mut argv: Vec<_> = words.iter().map(HeldString::as_ptr).collect();
    // SAFETY: the strings are held through the call.
    unsafe { user.may_run(database, &mut argv) }
}

unsafe extern "C" fn on_reply(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is that of a blocked client which was told something.
        unsafe {
            let handle = call!(RedisModule_GetBlockedClientHandle(ctx));
            let granted = GRANTED.with_borrow_mut(|granted| granted.remove(&handle));
            if let Some(grants) = granted.filter(|_| is_gone(ctx)) {
                pending::note_unheard(grants);
            }
            blocked::send_told(ctx);
        }
    }));
    raw::REDISMODULE_OK as c_int
}

/// Returns true if a client closed its connection before the reply, so that it must not keep a lock.
///
/// # Safety
///
/// `ctx` is that of a client that is being replied to.
unsafe fn is_gone(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`; the arguments live through the call.
    let reply = CallReply(unsafe {
        let client = call!(RedisModule_GetClientId(ctx)) as c_longlong;
        let (list, id) = (c"LIST".as_ptr(), c"ID".as_ptr());
        call_reply::run()(ctx, c"CLIENT".as_ptr(), c"ccl".as_ptr(), list, id, client)
    });
    // Without a reply the client is taken to be there.
    if reply.0.is_null() {
        return false;
    }
    let line = String::from_utf8_lossy(reply.text());
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
    let closing = field("flags=").is_some_and(|flags| flags.contains(['A', 'c']));
    let socket = field("fd=").and_then(|fd| fd.parse::<c_int>().ok()).filter(|fd| *fd >= 0);
    closing || socket.is_none_or(has_hung_up)
}

/// Returns true if the other side of a socket has closed it, and all that it sent has been read.
fn has_hung_up(socket: c_int) -> bool {
    // SAFETY: the server keeps the socket open while it replies, and it is not closed here. What is
    // called is the same for every kind of socket.
    let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(socket) });
    match socket.peek(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// `CLIENT UNBLOCK`: times are measured by the module.
unsafe extern "C" fn on_timeout(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is that of a blocked client that is told to go.
        unsafe {
            leave(call!(RedisModule_GetBlockedClientHandle(ctx)));
            reply::send(ctx, &Reply::Null);
        }
    }));
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn on_disconnect(_ctx: *mut raw::RedisModuleCtx, handle: RawHandle) {
    // SAFETY: the handle is that of a blocked client that disconnected.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { leave(handle) }));
}

/// A client does not wait any longer, or does not hear what it was granted.
///
/// # Safety
///
/// Called on the main thread.
unsafe fn leave(handle: RawHandle) {
    if let Some((id, client)) = CLIENTS.with_borrow_mut(|clients| clients.remove_handle(handle)) {
        pending::note_left(id);
        // SAFETY: the caller vouches for the thread.
        unsafe { client.handle.abort() };
    } else if let Some(grants) = GRANTED.with_borrow_mut(|granted| granted.remove(&handle)) {
        pending::note_unheard(grants);
    }
}

unsafe extern "C" fn free_told(_ctx: *mut raw::RedisModuleCtx, told: *mut c_void) {
    // SAFETY: the server gives what the client was told.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { blocked::free_told(told) }));
}
