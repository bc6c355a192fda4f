//! `MODEL.GET`: reads a document or places of it.

use smallvec::{SmallVec, smallvec};

use super::args::Args;
use super::host::{Host, Key, KeyEffect, KeyspaceEvent, Outcome, Sent, Settings};
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
use crate::value::View;

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
    let (reply, has_model) = reply(host, key, &paths, &allowance)?;
    // An outcome is large: it is made where it is returned.
    let refreshed = if has_model { refresh(host, key)? } else { None };
    match refreshed {
        None => Ok(reply.into()),
        Some(effect) => Ok(Outcome { effects: smallvec![effect], ..Outcome::from(reply) }),
    }
}

/// Renews the time to live of a document whose model has `REFRESH READ`. Returns the change, if any.
pub(super) fn refresh(host: &mut dyn Host, key: Key<'_>) -> Result<Option<KeyEffect>> {
    let Some(document) = host.read(key)? else { return Ok(None) };
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
        generic_event: Some(KeyspaceEvent::Expire),
        signalled: false,
        sent: Sent::Effect(effect, None),
    }))
}

/// The most paths one command may name.
pub const PATHS_MAX: usize = crate::limit::PATHS.default as usize;

/// The paths of a command: as they are written, for errors, and parsed.
pub(super) struct Paths<'a> {
    written: &'a [&'a [u8]],
    parsed: SmallVec<[Path<'a>; 1]>,
}

impl Paths<'_> {
    /// The values at each path, within the allowance of the command. Refusals name the path.
    pub fn read(&self, root: View<'_>, allowance: &Allowance<'_>) -> Result<Vec<Reply>> {
        let read = |(path, written): (&Path<'_>, &&[u8])| {
            let found = read_path(root, path, allowance).and_then(|reply| reply.within(allowance));
            found.map_err(|error| error.text("path", written))
        };
        self.parsed.iter().zip(self.written).map(read).collect()
    }
}

/// `[path ...]` up to the last argument.
pub(super) fn parse_paths<'a>(args: &mut Args<'a>, settings: &Settings) -> Result<Paths<'a>> {
    let parse = |arg: &&'a [u8]| {
        Path::parse(arg, &settings.paths).map_err(|error: Error| error.text("path", arg))
    };
    let written = args.rest();
    let mut parsed = SmallVec::new();
    for arg in written {
        if parsed.len() == PATHS_MAX {
            return Err(Error::limit(limit::PATHS, PATHS_MAX as u64));
        }
        parsed.push(parse(arg)?);
    }
    Ok(Paths { written, parsed })
}

/// The reply for one key, within the allowance of the command, and a flag: its document has a model, which may ask
/// for [`refresh`].
pub(super) fn reply(
    host: &mut dyn Host,
    key: Key<'_>,
    paths: &Paths<'_>,
    allowance: &Allowance<'_>,
) -> Result<(Reply, bool)> {
    let located = |error: Error| error.text("key", key.name);
    let Some(document) = host.read(key).map_err(located)? else {
        return Ok((Reply::Null, false));
    };
    allowance.own(document.size());
    let root = document.root.view();
    let read = |(path, written): (&Path<'_>, &[u8])| {
        let found = read_path(root, path, allowance).and_then(|reply| reply.within(allowance));
        found.map_err(|error| located(error.text("path", written)))
    };
    let reply = match (&paths.parsed[..], paths.written) {
        ([], _) => allowance
            .transfer(root.work())
            .and_then(|()| Reply::value(root).within(allowance))
            .map_err(located),
        ([path], [written]) => read((path, written)),
        (parsed, written) => {
            let all = parsed.iter().zip(written.iter().copied());
            all.map(read).collect::<Result<_>>().map(Reply::Array)
        }
    };
    Ok((reply?, document.model.is_some()))
}
