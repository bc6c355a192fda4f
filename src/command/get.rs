//! `MODEL.GET`: reads a document or places of it.

use smallvec::SmallVec;

use super::args::Args;
use super::host::{Host, Key, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::error::{Error, ErrorCode, Result};
use crate::op::read_path;
use crate::path::Path;
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static GET: CommandSpec = CommandSpec {
    name: "MODEL.GET",
    summary: "Reads a document, or places of it",
    since: "0.1.0",
    complexity: "O(N) with N the size of what is read, and of what a non-singular path visits",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: Keys::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("path", ArgKind::String).optional().multiple(),
    ],
    reply: "JSON text, null where nothing is; an array of all matches for a non-singular path; with several paths an array with one such reply each",
    errors: &[ErrorCode::Err, ErrorCode::WrongType, ErrorCode::Limit],
    replicated: "nothing",
    examples: &[Example(&[
        (&["MODEL.SET", "p", "any", r#"{"name":"Ann","tags":["a","b"]}"#], "(revision)"),
        (&["MODEL.GET", "p"], r#"{"name":"Ann","tags":["a","b"]}"#),
        (&["MODEL.GET", "p", "$.name"], r#""Ann""#),
        (&["MODEL.GET", "p", "/tags/0", "$.tags[*]", "$.none"], r#"["a" ["a","b"] (nil)]"#),
        (&["MODEL.GET", "none"], "(nil)"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let mut args = Args::new(args);
    let key = args.key()?;
    let paths = parse_paths(&mut args, &settings)?;
    reply(host, key, &paths, &settings).map(Outcome::from)
}

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
        paths.push(parse(arg)?);
    }
    Ok(paths)
}

/// The reply for one key.
pub(super) fn reply(
    host: &mut dyn Host,
    key: Key<'_>,
    paths: &[Path<'_>],
    settings: &Settings,
) -> Result<Reply> {
    let Some(document) = host.read(key).map_err(|error| error.text("key", key.name))? else {
        return Ok(Reply::Null);
    };
    let root = document.root.view();
    match paths {
        [] => Ok(Reply::value(root)),
        [path] => read_path(root, path, &settings.paths),
        _ => paths
            .iter()
            .map(|path| read_path(root, path, &settings.paths))
            .collect::<Result<_>>()
            .map(Reply::Array),
    }
}
