//! `MODEL.GET`: reads a document or places of it.

use smallvec::SmallVec;

use super::args::Args;
use super::host::{Host, Key, KeyEffect, Outcome, Sent, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::codec::effect::{Change, Effect};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::limit;
use crate::model::{Definition, Refresh};
use crate::op::read_path;
use crate::path::Path;
use crate::reply::Reply;
use crate::txn::REFRESH_SLACK;

#[linkme::distributed_slice(COMMANDS)]
static GET: CommandSpec = CommandSpec {
    name: "MODEL.GET",
    summary: "Reads a document, or places of it",
    since: "0.1.0",
    complexity: "O(N) with N the size of the places read and of those that a non-singular path visits",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("path", ArgKind::String).optional().multiple(),
    ],
    reply: "JSON text, null for a place that does not exist; an array of all matches for a non-singular path; with several paths an array with one such reply each",
    errors: &[ErrorCode::Err, ErrorCode::WrongType, ErrorCode::Limit],
    replicated: "nothing; the new expiry where the model has REFRESH READ",
    examples: &[CommandExample(&[
        Line::new(r#"MODEL.SET p any '{"name":"Ann","tags":["a","b"]}'"#, "(revision)"),
        Line::new("MODEL.GET p", r#"{"name":"Ann","tags":["a","b"]}"#),
        Line::new("MODEL.GET p $.name", r#""Ann""#),
        Line::new("MODEL.GET p /tags/0 $.tags[*] $.none", r#"["a" ["a","b"] (nil)]"#),
        Line::new("MODEL.GET none", "(nil)"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let mut args = Args::new(args);
    let key = args.key()?;
    let paths = parse_paths(&mut args, &settings)?;
    let allowance = Allowance::new(&settings.work);
    let reply = reply(host, key, &paths, &allowance)?;
    let mut outcome = Outcome::from(reply);
    outcome.effects.extend(refresh(host, key)?);
    Ok(outcome)
}

/// Renews the time to live of a document whose model has `REFRESH READ`. Returns the change, if any.
pub(super) fn refresh(host: &mut dyn Host, key: Key<'_>) -> Result<Option<KeyEffect>> {
    let Some(document) = host.read(key)? else { return Ok(None) };
    // Most reads on the hot path need no more than this.
    let Some(model) = &document.model else { return Ok(None) };
    let held = model.read();
    let wants = |definition: &&Definition| definition.source.refresh == Refresh::Read;
    let Some(ttl_ms) = held.get().filter(wants).map(Definition::ttl_ms).filter(|ms| *ms > 0) else {
        return Ok(None);
    };
    let revision = document.revision;
    drop(held);
    if !host.may_refresh() {
        return Ok(None);
    }
    let unix_ms = host.now_us() / 1000 + ttl_ms;
    let known = host.expires_at(key);
    if known.is_some_and(|known| known.abs_diff(unix_ms) < ttl_ms / REFRESH_SLACK) {
        return Ok(None);
    }
    host.open(key)?;
    let expiry = Expiry::At(unix_ms);
    if !host.expire(key, expiry) {
        return Ok(None);
    }
    let effect = Effect { revision, expiry, change: Change::Touch }.encode();
    Ok(Some(KeyEffect {
        key_arg: key.arg,
        event: None,
        generic_event: Some(c"expire"),
        signalled: false,
        sent: Sent::Effect(effect, None),
    }))
}

/// The most paths one command may name.
pub const PATHS_MAX: usize = crate::limit::PATHS.default as usize;

/// `[path ...]` up to the last argument.
pub(super) fn parse_paths<'a>(
    args: &mut Args<'a>,
    settings: &Settings,
) -> Result<SmallVec<[Path<'a>; 1]>> {
    let parse = |arg: &&'a [u8]| {
        Path::parse(arg, &settings.paths).map_err(|error: Error| error.text("path", arg))
    };
    let mut paths = SmallVec::new();
    for arg in args.rest() {
        if paths.len() == PATHS_MAX {
            return Err(Error::limit(limit::PATHS, PATHS_MAX as u64));
        }
        paths.push(parse(arg)?);
    }
    Ok(paths)
}

/// The reply for one key, within the allowance of the command.
pub(super) fn reply(
    host: &mut dyn Host,
    key: Key<'_>,
    paths: &[Path<'_>],
    allowance: &Allowance<'_>,
) -> Result<Reply> {
    let Some(document) = host.read(key).map_err(|error| error.text("key", key.name))? else {
        return Ok(Reply::Null);
    };
    allowance.own(document.size());
    let root = document.root.view();
    let read = |path| read_path(root, path, allowance)?.within(allowance);
    match paths {
        [] => {
            allowance.transfer(root.work())?;
            Reply::value(root).within(allowance)
        }
        [path] => read(path),
        _ => paths.iter().map(read).collect::<Result<_>>().map(Reply::Array),
    }
}
