//! The users of waiting requests: their permissions, and when these change.
//!
//! The server tells a module nothing of `ACL SETUSER`. So the rules of the users who wait are read several times a second,
//! and compared with those before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ops::Bound;
use std::ptr;

use redis_module::raw;

use super::api::{bytes, call, is_ok};

/// Users whose rules are read in one turn; the next turn goes on behind them.
const TURN: usize = 100;

thread_local! {
    static USERS: RefCell<BTreeMap<Box<[u8]>, WaitingUser>> = const { RefCell::new(BTreeMap::new()) };
    /// The last user of the turn before.
    static LAST: Cell<Box<[u8]>> = Cell::default();
}

/// A user with waiting requests.
struct WaitingUser {
    requests: usize,
    /// None for a user that is not known any more.
    rules: Option<Box<[u8]>>,
}

/// The name of a client's user; none for a client without one, which may do everything.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn name_of(ctx: *mut raw::RedisModuleCtx, client: u64) -> Option<Box<[u8]>> {
    // SAFETY: the caller vouches for `ctx`; the name is copied, and freed here.
    unsafe {
        let name = call!(RedisModule_GetClientUserNameById(ctx, client));
        if name.is_null() {
            return None;
        }
        let copy = bytes(name).into();
        call!(RedisModule_FreeString(ctx, name));
        Some(copy)
    }
}

/// A request of the user waits.
pub fn enter(name: &[u8]) {
    USERS.with_borrow_mut(|users| match users.get_mut(name) {
        Some(user) => user.requests += 1,
        None => {
            users.insert(name.into(), WaitingUser { requests: 1, rules: rules_of(name) });
        }
    });
}

/// A request of the user waits no longer.
pub fn leave(name: &[u8]) {
    USERS.with_borrow_mut(|users| {
        let Some(user) = users.get_mut(name) else { return };
        user.requests -= 1;
        if user.requests == 0 {
            users.remove(name);
        }
    });
}

/// The users whose rules have changed since they were read last, of a bounded number that is looked at.
pub fn changed() -> Vec<Box<[u8]>> {
    USERS.with_borrow_mut(|users| {
        let last = LAST.take();
        let behind = (Bound::Excluded(&*last), Bound::Unbounded);
        let until = (Bound::Unbounded, Bound::Included(&*last));
        let after = users.range::<[u8], _>(behind).map(|(name, _)| name);
        let before = users.range::<[u8], _>(until).map(|(name, _)| name);
        let mut names: Vec<Box<[u8]>> = after.chain(before).take(TURN).cloned().collect();
        LAST.set(names.last().cloned().unwrap_or_default());
        names.retain(|name| {
            let now = rules_of(name);
            let user = users.get_mut(name).expect("it is one of them");
            std::mem::replace(&mut user.rules, now) != user.rules
        });
        names
    })
}

/// The rules of a user, as `ACL LIST` has them.
fn rules_of(name: &[u8]) -> Option<Box<[u8]>> {
    with_user(name, |user| {
        // SAFETY: the user is valid; the pointer is checked, and the string copied and freed here.
        unsafe {
            let rules = raw::RedisModule_GetModuleUserACLString?(user);
            let copy = bytes(rules).into();
            call!(RedisModule_FreeString(ptr::null_mut(), rules));
            Some(copy)
        }
    })
    .flatten()
}

/// Calls with a user; none for one that does not exist.
fn with_user<T>(name: &[u8], work: impl FnOnce(*mut raw::RedisModuleUser) -> T) -> Option<T> {
    // SAFETY: the name is copied; the string and the user are freed here.
    unsafe {
        let name =
            call!(RedisModule_CreateString(ptr::null_mut(), name.as_ptr().cast(), name.len()));
        let user = call!(RedisModule_GetModuleUserFromUserName(name));
        call!(RedisModule_FreeString(ptr::null_mut(), name));
        if user.is_null() {
            return None;
        }
        let done = work(user);
        call!(RedisModule_FreeModuleUser(user));
        Some(done)
    }
}

/// Flag: the user may still run this command. The server checked it when the request came.
///
/// # Safety
///
/// `argv` are valid strings.
pub unsafe fn may_run(name: &[u8], mut argv: Vec<*mut raw::RedisModuleString>) -> bool {
    let check = |user| {
        // SAFETY: the caller vouches for the strings, and the user is valid.
        is_ok(unsafe {
            call!(RedisModule_ACLCheckCommandPermissions(
                user,
                argv.as_mut_ptr(),
                argv.len() as c_int
            ))
        })
    };
    // A user that was deleted may do nothing.
    with_user(name, check).unwrap_or(false)
}
