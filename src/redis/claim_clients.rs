//! Clients that wait for a document to be found: blocked in the server until their request is served or refused, times
//! out, or is unblocked, or its connection closes.
//!
//! A blocked client is given back to the server exactly once. A client that disconnects between being served and the
//! reply never hears of its documents: what the statements did stays done, and a lease in the documents brings them
//! back.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use redis_module::raw;

use super::api::call;
use super::held::HeldString;
use super::log::c_string;
use super::{claim_users, clock, counters, offers, reply};
use crate::command::CommandSpec;
use crate::error::Error;
use crate::reply::Reply;

thread_local! {
    static CLIENTS: RefCell<ClaimClients> = RefCell::default();
}

#[derive(Default)]
struct ClaimClients {
    /// By the number of the request.
    waiting: HashMap<u64, ClaimClient, RandomState>,
    /// The numbers by the server's handles.
    handles: HashMap<*mut raw::RedisModuleBlockedClient, u64, RandomState>,
    /// The time at which each times out, on the steady clock, and its number.
    ends: BTreeSet<(u64, u64)>,
}

impl ClaimClients {
    fn remove(&mut self, request: u64) -> Option<ClaimClient> {
        let client = self.waiting.remove(&request)?;
        self.handles.remove(&client.handle);
        self.ends.remove(&(client.ends_ms, request));
        client.request.user.iter().for_each(|user| claim_users::leave(user));
        counters::FIND_WAITERS.store(self.waiting.len() as u64, Ordering::Relaxed);
        Some(client)
    }
}

struct ClaimClient {
    handle: *mut raw::RedisModuleBlockedClient,
    request: Rc<ClaimRequest>,
    since_ms: u64,
    ends_ms: u64,
}

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

    /// Returns true if the user may still run the command. The server checked it when the request came.
    pub fn is_permitted(&self) -> bool {
        // SAFETY: the request keeps its strings.
        self.user.as_ref().is_none_or(|user| unsafe { claim_users::may_run(user, self.argv()) })
    }
}

/// The reply to a client that waits no longer.
pub enum ClaimTold {
    Answer(Reply),
    Refusal(Error),
    /// A line of the server.
    Line(String),
}

/// Blocks the client of a command. Its time is measured here, as for [`super::waiting`].
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
    let since_ms = clock::moment().steady_ms;
    let ends_ms = since_ms.saturating_add(wait_ms);
    request.user.iter().for_each(|user| claim_users::enter(user));
    CLIENTS.with_borrow_mut(|clients| {
        clients.handles.insert(handle, number);
        clients.ends.insert((ends_ms, number));
        let client = ClaimClient { handle, request: Rc::new(request), since_ms, ends_ms };
        clients.waiting.insert(number, client);
        counters::FIND_WAITERS.store(clients.waiting.len() as u64, Ordering::Relaxed);
    });
}

/// The command of a waiting client.
pub fn request(number: u64) -> Option<Rc<ClaimRequest>> {
    CLIENTS.with_borrow(|clients| Some(clients.waiting.get(&number)?.request.clone()))
}

/// The time at which the first client times out, on the steady clock.
pub fn first_end() -> Option<u64> {
    CLIENTS.with_borrow(|clients| clients.ends.first().map(|(ends_ms, _)| *ends_ms))
}

/// Replies to the clients whose time is over that nothing was found.
pub fn end_waits(now_ms: u64) {
    while let Some((number, handle)) = CLIENTS.with_borrow_mut(|clients| {
        let number = clients.ends.first().filter(|(ends_ms, _)| *ends_ms <= now_ms)?.1;
        Some((number, clients.remove(number)?.handle))
    }) {
        counters::FIND_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        offers::note_left(number);
        // SAFETY: the handle is given back once, because it was taken out of the waiting clients.
        unsafe { give_back(handle, ClaimTold::Answer(nothing())) };
    }
}

/// Replies to a client, if it waits still.
pub fn tell(number: u64, told: ClaimTold) {
    let Some(client) = CLIENTS.with_borrow_mut(|clients| clients.remove(number)) else { return };
    if matches!(told, ClaimTold::Answer(_)) {
        counters::FIND_CLAIMS.fetch_add(1, Ordering::Relaxed);
        counters::FIND_WAITS.record(clock::moment().steady_ms - client.since_ms);
    }
    // SAFETY: the handle is given back once, because it was taken out of the waiting clients.
    unsafe { give_back(client.handle, told) };
}

/// The reply where nothing was found.
fn nothing() -> Reply {
    Reply::Array(Vec::new())
}

/// # Safety
///
/// `handle` is that of a blocked client, and was not given back.
unsafe fn give_back(handle: *mut raw::RedisModuleBlockedClient, told: ClaimTold) {
    let told: *mut ClaimTold = Box::into_raw(Box::new(told));
    // SAFETY: the caller vouches for the handle; the box comes back to `free_told`.
    unsafe { call!(RedisModule_UnblockClient(handle, told.cast::<c_void>())) };
}

unsafe extern "C" fn on_reply(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is that of a blocked client which was given back with what it is told.
        unsafe {
            match &*call!(RedisModule_GetBlockedClientPrivateData(ctx)).cast::<ClaimTold>() {
                ClaimTold::Answer(answer) => reply::send(ctx, answer),
                ClaimTold::Refusal(error) => {
                    counters::count_abort(error.code());
                    reply::send_error(ctx, error);
                }
                ClaimTold::Line(line) => {
                    let line = c_string(line);
                    call!(RedisModule_ReplyWithError(ctx, line.as_ptr()));
                }
            }
        }
    }));
    raw::REDISMODULE_OK as c_int
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
            leave(call!(RedisModule_GetBlockedClientHandle(ctx)));
            reply::send(ctx, &nothing());
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

/// A client does not wait any longer. One that was given back already is not known any more.
///
/// # Safety
///
/// `handle` is that of a blocked client.
unsafe fn leave(handle: *mut raw::RedisModuleBlockedClient) {
    let left = CLIENTS.with_borrow_mut(|clients| {
        let number = *clients.handles.get(&handle)?;
        clients.remove(number)?;
        Some(number)
    });
    if let Some(number) = left {
        offers::note_left(number);
        // SAFETY: the caller vouches for the handle, which is given back here and nowhere else.
        unsafe { call!(RedisModule_AbortBlock(handle)) };
    }
}

unsafe extern "C" fn free_told(_ctx: *mut raw::RedisModuleCtx, told: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if !told.is_null() {
            // SAFETY: the box was given to the server in `give_back`, and comes back once.
            drop(unsafe { Box::from_raw(told.cast::<ClaimTold>()) });
        }
        offers::go_on();
    }));
}
