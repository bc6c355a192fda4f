//! Clients that wait for a document to be found: blocked in the server until their request is served or refused, times
//! out, or is unblocked, or its connection closes.
//!
//! A client that disconnects between being served and the reply never hears of its documents: what the statements did
//! stays done, and a lease in the documents brings them back.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use redis_module::raw;

use super::api::call;
use super::blocked::{self, BlockedClient, BlockedClients, ClientCallbacks, RawHandle, Told};
use super::held::HeldString;
use super::users::User;
use super::{claim_users, clock, counters, offers, reply};
use crate::command::CommandSpec;
use crate::reply::Reply;

type ClaimClients = BlockedClients<Rc<ClaimRequest>>;

thread_local! {
    static CLIENTS: RefCell<ClaimClients> = RefCell::default();
}

static CALLBACKS: ClientCallbacks = ClientCallbacks {
    reply: on_reply,
    timeout: on_timeout,
    disconnect: on_disconnect,
    free: free_told,
};

/// The command of a waiting client.
pub struct ClaimRequest {
    pub command: &'static CommandSpec,
    /// The server's number of the client.
    pub client: u64,
    /// The name of its user; none of a client that may do everything.
    pub user: Option<Box<[u8]>>,
    pub database: c_int,
    /// The strings that the server read, which the blocked client has as well: they are there once.
    pub args: Vec<HeldString>,
}

impl ClaimRequest {
    /// The arguments, valid as long as the request.
    pub fn argv(&self) -> Vec<*mut raw::RedisModuleString> {
        self.args.iter().map(HeldString::as_ptr).collect()
    }

    /// The key that routes the command in a cluster: behind its name and the number of keys.
    pub fn key(&self) -> Option<&[u8]> {
        self.args.get(2).map(HeldString::bytes)
    }

    /// Returns true if the user may still run the command. The server checked it when the request came.
    pub fn is_permitted(&self) -> bool {
        let Some(name) = &self.user else { return true };
        // A user that was deleted may do nothing.
        let Some(user) = User::by_name(name) else { return false };
        // SAFETY: the request keeps its strings.
        unsafe { user.may_run(self.database, &mut self.argv()) }
    }
}

/// Blocks the client of a command.
///
/// # Safety
///
/// `ctx` is that of a command which does not reply, and may block.
pub unsafe fn block(
    ctx: *mut raw::RedisModuleCtx,
    number: u64,
    request: ClaimRequest,
    wait_ms: u64,
) {
    // SAFETY: the caller vouches for `ctx`.
    let handle = unsafe { blocked::block(ctx, &CALLBACKS) };
    request.user.iter().for_each(|user| claim_users::enter(user));
    CLIENTS.with_borrow_mut(|clients| {
        clients.insert(number, handle, wait_ms, Rc::new(request));
        count(clients);
    });
}

fn count(clients: &ClaimClients) {
    counters::FIND_WAITERS.store(clients.len() as u64, Ordering::Relaxed);
}

/// Removes a client, and its request from those of its user.
fn remove(
    remove: impl FnOnce(&mut ClaimClients) -> Option<(u64, BlockedClient<Rc<ClaimRequest>>)>,
) -> Option<(u64, BlockedClient<Rc<ClaimRequest>>)> {
    CLIENTS.with_borrow_mut(|clients| {
        let removed = remove(clients)?;
        removed.1.request.user.iter().for_each(|user| claim_users::leave(user));
        count(clients);
        Some(removed)
    })
}

/// The command of a waiting client.
pub fn request(number: u64) -> Option<Rc<ClaimRequest>> {
    CLIENTS.with_borrow(|clients| clients.request(number).cloned())
}

/// The numbers of all requests that wait.
pub fn waiting() -> Vec<u64> {
    CLIENTS.with_borrow(BlockedClients::waiting)
}

/// The time at which the first client times out, on the steady clock.
pub fn first_end() -> Option<u64> {
    CLIENTS.with_borrow(BlockedClients::first_end)
}

/// Replies to the clients whose time is over that nothing was found.
pub fn end_waits(now_ms: u64) {
    while let Some((number, client)) = remove(|clients| clients.remove_ended(now_ms)) {
        counters::FIND_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        offers::note_left(number);
        // SAFETY: this is the main thread.
        unsafe { client.handle.tell(Told::Answer(nothing())) };
    }
}

/// Replies to a client, if it waits still.
pub fn tell(number: u64, told: Told) {
    let Some((_, client)) = remove(|clients| Some((number, clients.remove(number)?))) else {
        return;
    };
    if matches!(told, Told::Answer(_)) {
        counters::FIND_CLAIMS.fetch_add(1, Ordering::Relaxed);
        counters::FIND_WAITS.record(clock::moment().steady_ms - client.since_ms);
    }
    // SAFETY: this is the main thread.
    unsafe { client.handle.tell(told) };
}

/// The reply where nothing was found.
fn nothing() -> Reply {
    Reply::Array(Vec::new())
}

unsafe extern "C" fn on_reply(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: `ctx` is that of a blocked client which was told something.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { blocked::send_told(ctx) }));
    raw::REDISMODULE_OK as c_int
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
            reply::send(ctx, &nothing());
        }
    }));
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn on_disconnect(_ctx: *mut raw::RedisModuleCtx, handle: RawHandle) {
    // SAFETY: the handle is that of a blocked client that disconnected.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { leave(handle) }));
}

/// A client does not wait any longer. One that was told something is not known any more.
///
/// # Safety
///
/// Called on the main thread.
unsafe fn leave(handle: RawHandle) {
    if let Some((number, client)) = remove(|clients| clients.remove_handle(handle)) {
        offers::note_left(number);
        // SAFETY: the caller vouches for the thread.
        unsafe { client.handle.abort() };
    }
}

unsafe extern "C" fn free_told(_ctx: *mut raw::RedisModuleCtx, told: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the server gives what the client was told.
        unsafe { blocked::free_told(told) };
        offers::go_on();
    }));
}
