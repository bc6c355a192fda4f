//! Users of the server: by their names, and what they may do.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use redis_module::raw;

use super::api::{self, bytes, call, is_ok};
use super::held::HeldString;

/// A user of the server. A user that is deleted or changed meanwhile does not change this value.
pub struct User(NonNull<raw::RedisModuleUser>);

impl Drop for User {
    fn drop(&mut self) {
        // SAFETY: the handle was made by `User::named` and is freed once.
        unsafe { call!(RedisModule_FreeModuleUser(self.0.as_ptr())) };
    }
}

impl User {
    /// The user of this name; `None` if there is none.
    ///
    /// # Safety
    ///
    /// `name` is a valid string.
    pub unsafe fn named(name: *mut raw::RedisModuleString) -> Option<User> {
        // SAFETY: the caller vouches for the name, which the server copies.
        NonNull::new(unsafe { call!(RedisModule_GetModuleUserFromUserName(name)) }).map(User)
    }

    /// The user of this name; `None` if there is none.
    pub fn by_name(name: &[u8]) -> Option<User> {
        let name = HeldString::of(name);
        // SAFETY: the string is held through the call.
        unsafe { User::named(name.as_ptr()) }
    }

    /// The handle, valid as long as this value.
    pub fn as_ptr(&self) -> *mut raw::RedisModuleUser {
        self.0.as_ptr()
    }

    /// Returns true if the user may run this command in this database.
    ///
    /// # Safety
    ///
    /// `argv` are valid strings.
    pub unsafe fn may_run(
        &self,
        database: c_int,
        argv: &mut [*mut raw::RedisModuleString],
    ) -> bool {
        let (user, first, count) = (self.as_ptr(), argv.as_mut_ptr(), argv.len() as c_int);
        // SAFETY: the caller vouches for the strings, and the user is valid; the reason is not asked for.
        is_ok(unsafe {
            match api::check_in_database() {
                Some(check) => check(user, first, count, database, ptr::null_mut()),
                None => call!(RedisModule_ACLCheckCommandPermissions(user, first, count)),
            }
        })
    }

    /// The rules, as `ACL LIST` has them; `None` on a server that does not tell them.
    pub fn rules(&self) -> Option<Box<[u8]>> {
        // SAFETY: the user is valid; the pointer is checked, and the string copied and freed here.
        unsafe {
            let rules = raw::RedisModule_GetModuleUserACLString?(self.as_ptr());
            let copy = bytes(rules).into();
            call!(RedisModule_FreeString(ptr::null_mut(), rules));
            Some(copy)
        }
    }
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
