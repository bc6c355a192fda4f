//! `MODEL.LOCK`: takes a lock of a document; the request can wait in the server.

use super::args::{Args, INIT};
use super::host::{Access, Host, Outcome};
use super::locking::{EPHEMERAL, GET, LEASE, LockRequest, SHARED, WAIT};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{ErrorCode, Result};

#[linkme::distributed_slice(COMMANDS)]
static LOCK: CommandSpec = CommandSpec {
    name: "MODEL.LOCK",
    summary: "Takes a lock of a document; with WAIT the request waits in the server, first come, first served",
    since: "0.4.0",
    complexity: "O(1) for a lock without holders and waiting requests; O(N) with N the size of the document for GET and INIT",
    arity: -4,
    flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("name", ArgKind::String),
        ArgSpec::new("owner", ArgKind::String),
        INIT,
        SHARED,
        LEASE,
        WAIT,
        EPHEMERAL,
        GET,
    ],
    reply: "an array: the fence, the lease in milliseconds, the document's revision, and with GET its JSON, else null; null if the lock was not granted before WAIT (default 0) was over. The default of LEASE is 30000, or the nearest that `model.lock-lease-min` and `model.lock-lease-max` permit. With INIT a missing document is created in the step of the grant; a request that waits creates nothing later: it gets NOKEY if the key is deleted meanwhile. An owner that requests a lock it holds gets the same grant again, and keeps the longer of both leases",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Range,
        ErrorCode::Limit,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::TryAgain,
        ErrorCode::NoKey,
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Unique,
        ErrorCode::Expr,
        ErrorCode::Deadlock,
    ],
    replicated: "the grant, behind the document that INIT created, in one unit; the release of expired grants; never a waiting request",
    examples: &[
        CommandExample(&[
            Line::new(r#"MODEL.SET user:1 any '{"visits":7}'"#, "(revision)"),
            Line::new(
                "MODEL.LOCK user:1 profile task:7 LEASE 5000 GET",
                r#"[(fence) (integer) 5000 (revision) {"visits":7}]"#,
            ),
            Line::new("MODEL.LOCK user:1 profile task:8", "(nil)"),
            Line::new(
                "MODEL.LOCK user:1 counter task:8",
                "[(fence) (integer) 30000 (revision) (nil)]",
            ),
            Line::new("MODEL.LOCK user:2 profile task:8", "NOKEY"),
        ]),
        CommandExample(&[
            Line::new(
                r#"MODEL.DEFINE report '{"required":["state"],"properties":{"v":{"default":1}}}'"#,
                "(integer) 1",
            ),
            Line::new("MODEL.LOCK report:1 fill task:7 INIT report {}", "SCHEMA"),
            Line::new(
                r#"MODEL.LOCK report:1 fill task:7 INIT report '{"state":"empty"}' GET"#,
                r#"[(fence) (integer) 30000 (revision) {"state":"empty","v":1}]"#,
            ),
            Line::new(
                r#"MODEL.LOCK report:1 fill task:8 INIT report '{"state":"empty"}'"#,
                "(nil)",
            ),
            Line::new("MODEL.LOCK report:2 fill task:8 INIT none {}", "NOMODEL"),
        ]),
    ],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let mut cursor = Args::new(args);
    let key = cursor.key()?;
    host.prefetch(&[key], Access::Change);
    let request = LockRequest::parse(cursor, &settings, true);
    request.map_err(|error| error.text("key", key.name))?.run_on_one(host, key, args)
}
