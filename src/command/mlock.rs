//! `MODEL.MLOCK`: takes the lock of one name on several documents, all or none.

use super::args::Args;
use super::host::{Host, Outcome};
use super::locking::{EPHEMERAL, GET, LEASE, LockRequest, SHARED, WAIT};
use super::txn::KEYS_MAX;
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{Error, ErrorCode, Result};
use crate::limit;

#[linkme::distributed_slice(COMMANDS)]
static MLOCK: CommandSpec = CommandSpec {
    name: "MODEL.MLOCK",
    summary: "Takes the lock of one name on several documents at once, all or none",
    since: "0.4.0",
    complexity: "The sum of a MODEL.LOCK for each key",
    arity: -5,
    flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
    keys: KeyPositions::Counted(1),
    tips: &[],
    args: &[
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).multiple(),
        ArgSpec::new("name", ArgKind::String),
        ArgSpec::new("owner", ArgKind::String),
        SHARED,
        LEASE,
        WAIT,
        EPHEMERAL,
        GET,
    ],
    reply: "an array with one MODEL.LOCK reply for each key; null if not all of them could be granted before WAIT (default 0) was over. A waiting request holds none of them",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Range,
        ErrorCode::Limit,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::Deadlock,
    ],
    replicated: "the grants, and the release of expired grants; never a waiting request",
    examples: &[CommandExample(&[
        Line::new("MODEL.SET acct:{a}:1 any {}", "(revision)"),
        Line::new("MODEL.SET acct:{a}:2 any {}", "(revision)"),
        Line::new(
            "MODEL.MLOCK 2 acct:{a}:1 acct:{a}:2 balance task:7",
            "[[(fence) (integer) 30000 (revision) (nil)] [(fence) (integer) 30000 (revision) (nil)]]",
        ),
        Line::new("MODEL.MLOCK 1 acct:{a}:2 balance task:8 SHARED", "(nil)"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let mut args = Args::new(args);
    let keys = args.counted_keys()?;
    if keys.len() > KEYS_MAX {
        return Err(Error::limit(limit::TRANSACTION_KEYS, KEYS_MAX as u64));
    }
    LockRequest::parse(args, &settings, false)?.run(host, &keys, true)
}
