//! `MODEL.MGET`: reads several documents at one moment.

use super::args::Args;
use super::host::{Access, Host, Outcome};
use super::{
    ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line, get,
};
use crate::budget::Allowance;
use crate::error::{ErrorCode, Result};
use crate::keys::listed_twice;
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static MGET: CommandSpec = CommandSpec {
    name: "MODEL.MGET",
    summary: "Reads several documents, or places of them, at one moment",
    since: "0.1.0",
    complexity: "The sum of a MODEL.GET for each key",
    arity: -3,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::Counted(1),
    tips: &[],
    args: &[
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).multiple(),
        ArgSpec::new("path", ArgKind::String).optional().multiple(),
    ],
    reply: "an array with one MODEL.GET reply for each key, null for a missing one and for a key of another type",
    errors: &[ErrorCode::Err, ErrorCode::Range, ErrorCode::Limit],
    replicated: "nothing; the new expiry of documents whose model has REFRESH READ",
    examples: &[CommandExample(&[
        Line::new(r#"MODEL.SET a any '{"n":1}'"#, "(revision)"),
        Line::new("MODEL.MGET 3 a none a $.n", "[1 (nil) 1]"),
        Line::new("MODEL.MGET 9 a", "ERR"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let mut args = Args::new(args);
    let keys = args.counted_keys()?;
    let paths = get::parse_paths(&mut args, &settings)?;
    // The server counts keys that are read: so none of a malformed command is opened.
    if listed_twice(&keys).is_none() {
        host.prefetch(&keys, Access::Read);
    }
    let allowance = Allowance::new(&settings.work);
    let mut replies = Vec::with_capacity(keys.len());
    let mut refreshed = Vec::new();
    for key in &keys {
        let (reply, has_model) = match get::reply(host, *key, &paths, &allowance) {
            // One key of another type does not spoil reading the others, as in MGET.
            Err(error) if error.code() == ErrorCode::WrongType => (Reply::Null, false),
            found => found?,
        };
        replies.push(reply);
        if has_model {
            refreshed.push(*key);
        }
    }
    let mut outcome = Outcome::from(Reply::Array(replies));
    for key in refreshed {
        outcome.effects.extend(get::refresh(host, key)?);
    }
    Ok(outcome)
}
