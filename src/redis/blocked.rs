//! Clients that are blocked in the server until the module tells them something: what the clients of locks and those
//! that wait for a document have in common.
//!
//! A blocked client is given back to the server exactly once: when it is told something, or when it leaves. Its time is
//! measured here: on a clock that does not step, and because Redis 7.0 never replies to a client whose time, as the
//! server measures it, was up between being told and the reply.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{c_int, c_void};

use foldhash::fast::RandomState;
use redis_module::raw;

use super::api::call;
use super::log::c_string;
use super::{clock, counters, reply};
use crate::command::CommandSpec;
use crate::error::Error;
use crate::reply::Reply;

/// The server's handle of a blocked client.
pub type RawHandle = *mut raw::RedisModuleBlockedClient;

/// The reply to a client that waits no longer.
pub enum Told {
    Answer(Reply),
    Refusal(Error),
    /// A line with which the server itself refuses a command.
    Line(String),
}

impl Told {
    /// The client's user has lost the permission for the command.
    pub fn forbidden(command: &CommandSpec) -> Told {
        let name = command.name.to_lowercase();
        Told::Line(format!(
            "NOPERM User has no permissions any more to run the '{name}' command on these keys"
        ))
    }
}

/// A blocked client that has not been given back yet.
pub struct ClientHandle(RawHandle);

impl ClientHandle {
    pub fn raw(&self) -> RawHandle {
        self.0
    }

    /// Gives the client back, to be replied this.
    ///
    /// # Safety
    ///
    /// Called on the main thread.
    pub unsafe fn tell(self, told: Told) {
        let told: *mut Told = Box::into_raw(Box::new(told));
        // SAFETY: the handle is valid until now; the box comes back to `free_told`.
        unsafe { call!(RedisModule_UnblockClient(self.0, told.cast::<c_void>())) };
    }

    /// Gives the client back without a reply: it has disconnected, or `CLIENT UNBLOCK` has ended its waiting.
    ///
    /// # Safety
    ///
    /// Called on the main thread.
    pub unsafe fn abort(self) {
        // SAFETY: the handle is valid until now.
        unsafe { call!(RedisModule_AbortBlock(self.0)) };
    }
}

type OnReply = unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *mut *mut raw::RedisModuleString,
    c_int,
) -> c_int;

/// The functions that the server calls about a blocked client.
pub struct ClientCallbacks {
    /// The client was told something: replies it.
    pub reply: OnReply,
    /// `CLIENT UNBLOCK`.
    pub timeout: OnReply,
    pub disconnect: unsafe extern "C" fn(*mut raw::RedisModuleCtx, RawHandle),
    /// Frees what the client was told.
    pub free: unsafe extern "C" fn(*mut raw::RedisModuleCtx, *mut c_void),
}

/// Blocks the client of a command.
///
/// # Safety
///
/// `ctx` is that of a command which does not reply, and may block.
pub unsafe fn block(ctx: *mut raw::RedisModuleCtx, callbacks: &ClientCallbacks) -> ClientHandle {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let handle = call!(RedisModule_BlockClient(
            ctx,
            Some(callbacks.reply),
            Some(callbacks.timeout),
            Some(callbacks.free),
            0
        ));
        call!(RedisModule_SetDisconnectCallback(handle, Some(callbacks.disconnect)));
        ClientHandle(handle)
    }
}

/// Replies what a client was told.
///
/// # Safety
///
/// `ctx` is that of the callback for the reply.
pub unsafe fn send_told(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`, whose data is what `ClientHandle::tell` gave.
    unsafe {
        match &*call!(RedisModule_GetBlockedClientPrivateData(ctx)).cast::<Told>() {
            Told::Answer(answer) => reply::send(ctx, answer),
            Told::Refusal(error) => {
                counters::count_abort(error.code());
                reply::send_error(ctx, error);
            }
            Told::Line(line) => {
                let line = c_string(line);
                call!(RedisModule_ReplyWithError(ctx, line.as_ptr()));
            }
        }
    }
}

/// Frees what a client was told; null where it was told nothing.
///
/// # Safety
///
/// `told` is what the server gives to the callback for freeing.
pub unsafe fn free_told(told: *mut c_void) {
    if !told.is_null() {
        // SAFETY: the box was given to the server by `ClientHandle::tell`, and comes back once.
        drop(unsafe { Box::from_raw(told.cast::<Told>()) });
    }
}

/// A client that waits.
pub struct BlockedClient<T> {
    pub handle: ClientHandle,
    pub request: T,
    /// When it began to wait, on the steady clock.
    pub since_ms: u64,
    ends_ms: u64,
}

/// The clients that wait for one kind of thing, by the numbers of their requests.
pub struct BlockedClients<T> {
    clients: HashMap<u64, BlockedClient<T>, RandomState>,
    numbers: HashMap<RawHandle, u64, RandomState>,
    /// The time at which each times out, on the steady clock, and its number.
    ends: BTreeSet<(u64, u64)>,
}

impl<T> Default for BlockedClients<T> {
    fn default() -> BlockedClients<T> {
        let (clients, numbers) = (HashMap::default(), HashMap::default());
        BlockedClients { clients, numbers, ends: BTreeSet::new() }
    }
}

impl<T> BlockedClients<T> {
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn insert(&mut self, number: u64, handle: ClientHandle, wait_ms: u64, request: T) {
        let since_ms = clock::moment().steady_ms;
        let ends_ms = since_ms.saturating_add(wait_ms);
        self.numbers.insert(handle.raw(), number);
        self.ends.insert((ends_ms, number));
        self.clients.insert(number, BlockedClient { handle, request, since_ms, ends_ms });
    }

    /// The numbers of all requests, in their order.
    pub fn waiting(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.clients.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    pub fn request(&self, number: u64) -> Option<&T> {
        Some(&self.clients.get(&number)?.request)
    }

    pub fn remove(&mut self, number: u64) -> Option<BlockedClient<T>> {
        let client = self.clients.remove(&number)?;
        self.numbers.remove(&client.handle.raw());
        self.ends.remove(&(client.ends_ms, number));
        Some(client)
    }

    /// Removes a client that the server names by its handle, and returns its number, too.
    pub fn remove_handle(&mut self, handle: RawHandle) -> Option<(u64, BlockedClient<T>)> {
        let number = *self.numbers.get(&handle)?;
        Some((number, self.remove(number)?))
    }

    /// Removes a client whose time is over, and returns its number, too.
    pub fn remove_ended(&mut self, now_ms: u64) -> Option<(u64, BlockedClient<T>)> {
        let number = self.ends.first().filter(|(ends_ms, _)| *ends_ms <= now_ms)?.1;
        Some((number, self.remove(number)?))
    }

    /// The time at which the first client times out, on the steady clock.
    pub fn first_end(&self) -> Option<u64> {
        self.ends.first().map(|(ends_ms, _)| *ends_ms)
    }
}
