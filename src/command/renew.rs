//! `MODEL.RENEW`: starts a new lease of a grant.

use super::args::Args;
use super::host::{Access, Host, Outcome};
use super::locking::{LEASE, parse_grant, parse_lease};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{ErrorCode, Result};
use crate::lock::At;
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static RENEW: CommandSpec = CommandSpec {
    name: "MODEL.RENEW",
    summary: "Starts a new lease of a grant",
    since: "0.4.0",
    complexity: "O(1)",
    arity: -5,
    flags: &[Flag::Write, Flag::Fast],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("name", ArgKind::String),
        ArgSpec::new("owner", ArgKind::String),
        ArgSpec::new("fence", ArgKind::Integer),
        LEASE,
    ],
    reply: "the length of the lease in milliseconds: that of LEASE, or without it that of the lease before",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Range,
        ErrorCode::Limit,
        ErrorCode::WrongType,
        ErrorCode::LockLost,
    ],
    replicated: "the grant with its lease",
    examples: &[CommandExample(&[
        Line::new("MODEL.SET job any {}", "(revision)"),
        Line::new("MODEL.RENEW job leader node:1 897412300800", "LOCKLOST"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let limits = host.settings().locks;
    let mut args = Args::new(args);
    let key = args.key()?;
    host.prefetch(&[key], Access::Change);
    let grant = parse_grant(&mut args)?;
    let lease_ms = match args.keyword("LEASE") {
        true => {
            let lease = parse_lease(args.next("a lease")?, &limits);
            Some(lease.map_err(|error| error.text("key", key.name))?)
        }
        false => None,
    };
    args.finish()?;
    host.open(key).map_err(|error| error.text("key", key.name))?;
    let at = At { db: host.database(), key: key.name };
    let mut renewed = Ok(0);
    host.with_locks(&mut |engine, store, moment| {
        renewed = engine.renew(store, moment, at, grant, lease_ms);
    });
    Ok(Reply::Int(renewed? as i64).into())
}
