//! `MODEL.LOCKS`: the holders of a document's locks, and the number of waiting requests.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::argument;
use crate::budget::Allowance;
use crate::error::{ErrorCode, Result};
use crate::lock::{At, Engine, Holder, Locks, Mode, Moment};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static LOCKS: CommandSpec = CommandSpec {
    name: "MODEL.LOCKS",
    summary: "Replies the holders of a document's locks, and the number of waiting requests",
    since: "0.4.0",
    complexity: "O(N) with N the number of holders",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::First,
    tips: &[],
    args: &[ArgSpec::new("key", ArgKind::Key), ArgSpec::new("name", ArgKind::String).optional()],
    reply: "an array of maps: name, mode (exclusive, shared, or free: a request for several documents waits for another one), holders (an array each: owner, fence, milliseconds left of the lease), waiters (the number of requests that wait on this server)",
    errors: &[ErrorCode::Err, ErrorCode::Limit, ErrorCode::WrongType],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.SET job any {}", "(revision)"),
        Line::new("MODEL.LOCKS job", "[]"),
        Line::new(
            "MODEL.LOCK job leader node:1 LEASE 86400000",
            "[(fence) (lease) (revision) (nil)]",
        ),
        Line::new(
            "MODEL.LOCKS job leader",
            "[{name leader mode exclusive holders [[node:1 (fence) (lease)]] waiters (integer) 0}]",
        ),
    ])],
    run,
};

/// The steps for a holder, replied.
const HOLDER_STEPS: u64 = 45;

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut args = Args::new(args);
    let key = args.key()?;
    let name = match args.is_finished() {
        true => None,
        false => Some(argument::lock_name(args.next("the name of a lock")?, "name")?.as_bytes()),
    };
    args.finish()?;
    let found = host.read(key).map_err(|error| error.text("key", key.name))?;
    if let Some(document) = &found {
        let holders = match name {
            Some(name) => document.locks.holders(name).len(),
            None => document
                .locks
                .names()
                .iter()
                .map(|lock| document.locks.holders(&lock.name).len())
                .sum(),
        };
        allowance.spend(holders as u64 * HOLDER_STEPS)?;
    }
    let locks = found.map(|document| document.locks.clone()).unwrap_or_default();
    let at = At { db: host.database(), key: key.name };
    let mut replies = Vec::new();
    host.with_locks(&mut |engine, _, moment| {
        replies = describe(&locks, engine, at, moment, name);
    });
    Ok(Reply::Array(replies).into())
}

/// One map for each lock with holders or waiting requests, or for the given name alone.
fn describe(
    locks: &Locks,
    engine: &Engine,
    at: At<'_>,
    moment: Moment,
    only: Option<&[u8]>,
) -> Vec<Reply> {
    let awaited = engine.names_awaited(at);
    let held = locks.names().iter().map(|lock| &*lock.name);
    let free = awaited.iter().map(|name| &**name).filter(|name| locks.holders(name).is_empty());
    let names = held.chain(free).filter(|name| only.is_none_or(|only| *name == only));
    let one = |name: &[u8]| {
        let holders = locks.holders(name);
        let mode = match holders.first() {
            None => "free",
            Some(holder) if holder.mode == Mode::Shared => "shared",
            Some(_) => "exclusive",
        };
        let waiters = engine.waiters_of(at, name);
        let holders = holders.iter().map(|holder| describe_holder(holder, moment)).collect();
        Reply::Map(vec![
            ("name", Reply::Text(name.into())),
            ("mode", Reply::Text(mode.into())),
            ("holders", Reply::Array(holders)),
            ("waiters", Reply::count(waiters)),
        ])
    };
    names.map(one).collect()
}

fn describe_holder(holder: &Holder, moment: Moment) -> Reply {
    let left_ms = match holder.ends_at(moment) {
        Holder::UNSTARTED => holder.lease_ms,
        ends_ms => ends_ms.saturating_sub(moment.steady_ms),
    };
    Reply::Array(vec![
        Reply::Text(holder.owner.as_ref().into()),
        Reply::Int(holder.fence as i64),
        Reply::Int(left_ms as i64),
    ])
}
