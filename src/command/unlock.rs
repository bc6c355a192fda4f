//! `MODEL.UNLOCK`: releases a lock; the next waiting request is granted.

use super::args::Args;
use super::host::{Access, Host, Outcome};
use super::locking::parse_grant;
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::argument;
use crate::error::{ErrorCode, Result};
use crate::lock::At;
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static UNLOCK: CommandSpec = CommandSpec {
    name: "MODEL.UNLOCK",
    summary: "Releases a grant, or with FORCE all grants of a lock",
    since: "0.4.0",
    complexity: "O(1)",
    arity: -4,
    flags: &[Flag::Write, Flag::Fast],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("name", ArgKind::String),
        ArgSpec::new(
            "grant",
            ArgKind::OneOf(&[
                ArgSpec::new(
                    "held",
                    ArgKind::Block(&[
                        ArgSpec::new("owner", ArgKind::String),
                        ArgSpec::new("fence", ArgKind::Integer),
                    ]),
                ),
                ArgSpec::new("force", ArgKind::Token).token("FORCE"),
            ]),
        ),
    ],
    reply: "1; with FORCE the number of released grants",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Range,
        ErrorCode::Limit,
        ErrorCode::WrongType,
        ErrorCode::LockLost,
    ],
    replicated: "the release, and the grant of the next waiting request",
    examples: &[CommandExample(&[
        Line::new("MODEL.SET job any {}", "(revision)"),
        Line::new("MODEL.UNLOCK job leader node:1 897412300800", "LOCKLOST"),
        Line::new("MODEL.LOCK job leader node:1", "[(fence) (integer) 30000 (revision) (nil)]"),
        Line::new("MODEL.UNLOCK job leader FORCE", "(integer) 1"),
    ])],
    run,
};

const FORCE_HINT: &[u8] = b"MODEL.UNLOCK key name FORCE releases the grants of all owners";

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let forced = args.len() == 4;
    let mut args = Args::new(args);
    let key = args.key()?;
    if forced {
        return force(host, key, args);
    }
    host.prefetch(&[key], Access::Change);
    let grant = parse_grant(&mut args)?;
    args.finish()?;
    host.open(key).map_err(|error| error.text("key", key.name))?;
    let at = At { db: host.database(), key: key.name };
    let mut unlocked = Ok(());
    host.with_locks(&mut |engine, store, moment| {
        unlocked = engine.unlock(store, moment, at, grant);
    });
    // The error of the engine says that the grant is not held; another owner's is released by force alone.
    unlocked.map_err(|error| error.text("hint", FORCE_HINT))?;
    Ok(Reply::Int(1).into())
}

fn force(host: &mut dyn Host, key: super::Key<'_>, mut args: Args<'_>) -> Result<Outcome> {
    let name = argument::lock_name(args.next("the name of a lock")?, "name")?;
    if !args.keyword("FORCE") {
        args.next("a fence behind the owner, or FORCE")?;
        args.next("a fence")?;
    }
    args.finish()?;
    host.open(key).map_err(|error| error.text("key", key.name))?;
    let at = At { db: host.database(), key: key.name };
    let mut ended = 0;
    host.with_locks(&mut |engine, store, moment| {
        ended = engine.force(store, moment, at, name.as_bytes());
    });
    Ok(Reply::count(ended).into())
}
