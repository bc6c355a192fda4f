//! The user that a command runs for, and the server's own verdict on commands that a native stands for.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;
use std::sync::OnceLock;

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::call_reply::{self, CallReply};
use super::users::User;
use crate::error::{Error, ErrorCode, Result};
use crate::native::{self, NATIVES, NativeCall};

/// As many words as the longest command of a native needs at least.
const WORDS_MAX: usize = 8;

thread_local! {
    /// The client that a request is run for outside of its command.
    static ACTING: Cell<Option<u64>> = const { Cell::new(None) };
}

/// While it lives, commands run for this client, and not for that of their context.
pub struct Acting(());

impl Acting {
    pub fn new(client: u64) -> Acting {
        ACTING.set(Some(client));
        Acting(())
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.set(None);
    }
}

/// The user a command runs for; none where another module calls without one, which may do everything.
pub struct Caller(Option<User>);

impl Caller {
    /// # Safety
    ///
    /// `ctx` is the context of the running command.
    pub unsafe fn of(ctx: *mut raw::RedisModuleCtx) -> Caller {
        // SAFETY: the caller vouches for `ctx`; the name is freed here.
        unsafe {
            let client = ACTING.get().unwrap_or_else(|| call!(RedisModule_GetClientId(ctx)));
            let mut name = call!(RedisModule_GetClientUserNameById(ctx, client));
            if name.is_null() && has_user(ctx) {
                name = call!(RedisModule_GetCurrentUserName(ctx));
            }
            if name.is_null() {
                return Caller(None);
            }
            let user = User::named(name);
            call!(RedisModule_FreeString(ctx, name));
            Caller(user)
        }
    }

    /// Flag: permissions are those of a user.
    pub fn is_user(&self) -> bool {
        self.0.is_some()
    }

    /// Flag: the caller may read this key.
    ///
    /// # Safety
    ///
    /// `key` is a valid string.
    pub unsafe fn may_read(&self, key: *mut raw::RedisModuleString) -> bool {
        // SAFETY: the caller vouches for `key`.
        unsafe { self.may_access(key, raw::REDISMODULE_CMD_KEY_ACCESS) }
    }

    /// Flag: the caller may read and change this key, as it needs to for [`crate::command::Flag::Write`] commands.
    ///
    /// # Safety
    ///
    /// `key` is a valid string.
    pub unsafe fn may_change(&self, key: *mut raw::RedisModuleString) -> bool {
        let access = raw::REDISMODULE_CMD_KEY_ACCESS | raw::REDISMODULE_CMD_KEY_UPDATE;
        // SAFETY: the caller vouches for `key`.
        unsafe { self.may_access(key, access) }
    }

    /// # Safety
    ///
    /// `key` is a valid string.
    unsafe fn may_access(&self, key: *mut raw::RedisModuleString, access: u32) -> bool {
        let Some(user) = &self.0 else { return true };
        let access = access as c_int;
        // SAFETY: the caller vouches for `key`; the user lives as long as this.
        is_ok(unsafe { call!(RedisModule_ACLCheckKeyPermissions(user.as_ptr(), key, access)) })
    }

    /// `NOPERM` unless the caller may run the command on this key or channel, `ERR` where the server does not have it.
    ///
    /// # Safety
    ///
    /// `key` is a valid string.
    pub unsafe fn check(
        &self,
        ctx: *mut raw::RedisModuleCtx,
        call: &NativeCall,
        key: *mut raw::RedisModuleString,
    ) -> Result<()> {
        let spec = call.spec;
        // SAFETY: the context is that of the running command.
        let command = &unsafe { commands(ctx) }[spec.number()];
        if !command.exists {
            let message = "the server's configuration does not have this command, or COMMAND by which it is \
                           looked up, under its name";
            return Err(Error::syntax(message));
        }
        let Some(user) = &self.0 else { return Ok(()) };
        // Redis 8.0 counts the words; those behind the key do not matter to permissions.
        let mut argv = [command.name; WORDS_MAX];
        argv[1] = key;
        let count = WORDS_MAX.min(2 + call.words.len());
        // SAFETY: the context is that of the running command; the strings are valid, and the name lives for ever.
        unsafe {
            let database = call!(RedisModule_GetSelectedDb(ctx));
            if user.may_run(database, &mut argv[..count]) {
                return Ok(());
            }
        }
        // SAFETY: the context is that of the running command; the user and the strings are valid.
        unsafe { record_denial(ctx, user.as_ptr(), spec.channel, (command.name, key)) };
        let message = match spec.channel {
            true => "the user may not run this command, or not on this channel",
            false => "the user may not run this command, or not on this key",
        };
        Err(Error::new(ErrorCode::NoPerm, message))
    }
}

/// Writes an entry of `ACL LOG`, as the server does for a command that it denies itself.
///
/// # Safety
///
/// `ctx` is the context of the running command; the user and the strings are valid.
unsafe fn record_denial(
    ctx: *mut raw::RedisModuleCtx,
    user: *mut raw::RedisModuleUser,
    is_channel: bool,
    (name, key): (*mut raw::RedisModuleString, *mut raw::RedisModuleString),
) {
    // SAFETY: the caller vouches for the arguments; the server copies the text of the object.
    unsafe {
        let may_use_key = match is_channel {
            true => is_ok(call!(RedisModule_ACLCheckChannelPermissions(user, key, 0))),
            false => {
                let write = raw::REDISMODULE_CMD_KEY_UPDATE as c_int;
                is_ok(call!(RedisModule_ACLCheckKeyPermissions(user, key, write)))
            }
        };
        let (object, reason) = match (may_use_key, is_channel) {
            (true, _) => (name, raw::RedisModuleACLLogEntryReason_REDISMODULE_ACL_LOG_CMD),
            (false, true) => (key, raw::RedisModuleACLLogEntryReason_REDISMODULE_ACL_LOG_CHANNEL),
            (false, false) => (key, raw::RedisModuleACLLogEntryReason_REDISMODULE_ACL_LOG_KEY),
        };
        call!(RedisModule_ACLAddLogEntry(ctx, user, object, reason));
    }
}

/// Flag: the context has a user, although its client is no connection: a script, or a command that another module
/// calls for a user. Asking for the name of a missing user would crash some servers; running a command as the
/// user is refused where there is none, whatever the command.
///
/// # Safety
///
/// As for [`Caller::of`].
unsafe fn has_user(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    let reply = CallReply(unsafe { call_reply::run()(ctx, c"PING".as_ptr(), c"CE".as_ptr()) });
    // Another refusal comes where there is a user: without permission for PING, or on a server that renamed it.
    memchr::memmem::find(reply.text(), b"cannot run as user").is_none()
}

/// Flag: the server has the command of this native under its own name.
///
/// # Safety
///
/// As for [`Caller::of`].
pub unsafe fn has_command(ctx: *mut raw::RedisModuleCtx, name: &str) -> bool {
    let spec = native::all().iter().find(|spec| spec.name == name);
    // SAFETY: the caller vouches for `ctx`.
    spec.is_some_and(|spec| unsafe { commands(ctx) }[spec.number()].exists)
}

/// The server's command of a native.
struct ServerCommand {
    name: *mut raw::RedisModuleString,
    /// Flag: under this name the server has the command that is documented, not another one or none.
    exists: bool,
}

// SAFETY: the strings are used by the main thread alone, and never freed or changed.
unsafe impl Send for ServerCommand {}
// SAFETY: as above.
unsafe impl Sync for ServerCommand {}

/// By the numbers of natives. Names are a matter of the configuration file, and do not change while the server
/// runs.
///
/// # Safety
///
/// As for [`Caller::of`].
unsafe fn commands(ctx: *mut raw::RedisModuleCtx) -> &'static [ServerCommand] {
    static COMMANDS: OnceLock<Vec<ServerCommand>> = OnceLock::new();
    COMMANDS.get_or_init(|| {
        NATIVES
            .iter()
            .map(|spec| {
                // SAFETY: the caller vouches for `ctx`; without one the string is no part of a memory pool.
                unsafe {
                    let name = call!(RedisModule_CreateString(
                        ptr::null_mut(),
                        spec.name.as_ptr().cast(),
                        spec.name.len()
                    ));
                    ServerCommand { name, exists: exists(ctx, name) }
                }
            })
            .collect()
    })
}

/// Returns true if the server has the command under its own name. Another command under that name tells its real one.
///
/// # Safety
///
/// `ctx` and `name` are valid.
pub unsafe fn exists(ctx: *mut raw::RedisModuleCtx, name: *mut raw::RedisModuleString) -> bool {
    // SAFETY: the caller vouches for `ctx`; the strings are valid.
    let (reply, name) = unsafe {
        let info = call!(RedisModule_CreateString(ptr::null_mut(), c"INFO".as_ptr(), 4));
        let reply = call_reply::read(ctx, c"COMMAND", &[info, name]);
        call!(RedisModule_FreeString(ptr::null_mut(), info));
        (reply, bytes(name))
    };
    reply.first_of_first().is_some_and(|known| known.eq_ignore_ascii_case(name))
}
