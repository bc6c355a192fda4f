//! The commands of the server that the module has it run, and what does not work where the configuration renamed one.

use redis_module::raw;

use super::held::HeldString;
use super::{caller, log};

/// A command, and what is missing without it; docs/operating.md has the same table. Commands of natives are not among them.
const NEEDED: [(&str, &str); 12] = [
    // The others are looked up by it.
    ("COMMAND", "natives and CHANGES are refused"),
    ("BGREWRITEAOF", "an AOF that the server cut when it loaded it is not rewritten"),
    ("CLIENT", "a lock granted to a client that hung up just before is held until its lease ends"),
    ("CLUSTER", "queries and natives do not know which slots are on their way to another node"),
    ("CONFIG", "an AOF that the server cut when it loaded it is not recognized"),
    ("EXISTS", "in a cluster queries and natives are refused with TRYAGAIN"),
    ("GET", "expressions cannot read strings by native[...].text()"),
    ("MEMORY", "MODEL.CHECK on a replica counts no documents that are not there"),
    ("SCAN", "MODEL.DOCUMENTS, MODEL.CHECK and SCAN in queries are refused"),
    ("SISMEMBER", "expressions cannot ask sets by native[...].has(m)"),
    ("XINFO", "expressions cannot read streams by native[...].last()"),
    ("ZRANK", "expressions cannot read ranks by native[...].rank(m)"),
];

/// Writes a warning for each command that the server does not have under its name.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn check(ctx: *mut raw::RedisModuleCtx) {
    for (name, consequence) in NEEDED {
        let string = HeldString::of(name.as_bytes());
        // SAFETY: the caller vouches for `ctx`; the string is held through the call.
        if !unsafe { caller::exists(ctx, string.as_ptr()) } {
            let message = "the server's configuration does not have the command under its name";
            log::warning(ctx, &format!("{name}: {message}: {consequence}"));
            if name == "COMMAND" {
                return;
            }
        }
    }
}
