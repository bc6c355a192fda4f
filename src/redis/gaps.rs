//! Gaps in the numbers of change streams, by which readers see that changes were lost.
//!
//! A change can be lost where no entry can be appended: keys that have expired are dropped by the load of an RDB, a model is
//! without `CHANGES` for a time, the server refuses an entry after the fact. The next entry of each stream then skips a
//! number, whichever stream it concerned: a reader that lists again for nothing is better than one that is wrong.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::c_int;

use redis_module::raw;

use super::api::call;
use super::models::MODELS;

/// Streams by database and name.
type Streams = HashSet<(c_int, Vec<u8>)>;

thread_local! {
    /// The streams that have their gap since changes were lost; none if no change was lost.
    static GIVEN: RefCell<Option<Streams>> = const { RefCell::new(None) };
}

/// Changes may have been lost: the next entry of each stream follows a gap.
pub fn owe() {
    GIVEN.set(Some(HashSet::new()));
}

/// Returns true if the next entry of a stream follows a gap; [`give`] records that it did.
pub fn is_owed(database: c_int, stream: &[u8]) -> bool {
    if MODELS.take_resumes_changes() {
        owe();
    }
    GIVEN.with_borrow(|given| {
        given.as_ref().is_some_and(|given| !given.contains(&(database, stream.to_vec())))
    })
}

/// A stream has an entry that follows a gap, if it needed one.
pub fn give(database: c_int, stream: &[u8]) {
    GIVEN.with_borrow_mut(|given| {
        if let Some(given) = given {
            given.insert((database, stream.to_vec()));
        }
    });
}

/// Two databases change places: it is not known any more which streams have their gap.
pub fn on_swap() {
    if GIVEN.with_borrow(Option::is_some) {
        owe();
    }
}

/// A load has ended. The server drops keys that have expired, without an event, when it loads an RDB file.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn on_load(ctx: *mut raw::RedisModuleCtx) {
    if !MODELS.has_changes() {
        return;
    }
    // SAFETY: the caller vouches for `ctx`; the data is freed.
    let expired = unsafe {
        let info = call!(RedisModule_GetServerInfo(ctx, c"persistence".as_ptr()));
        let (field, mut error) = (c"rdb_last_load_keys_expired".as_ptr(), 0);
        let count = call!(RedisModule_ServerInfoGetFieldUnsigned(info, field, &raw mut error));
        call!(RedisModule_FreeServerInfo(ctx, info));
        count
    };
    if expired > 0 {
        owe();
    }
}
