//! `MODEL.SET`: stores a whole document.

use smallvec::smallvec;

use super::args::{Args, ExpiryArg};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::codec::effect::{Change, Effect, Expiry};
use crate::document::{ANY_NAME, Document, ModelId};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;
use crate::txn::{check_revision, no_key, parse_revision};
use crate::value::Measured;

#[linkme::distributed_slice(COMMANDS)]
static SET: CommandSpec = CommandSpec {
    name: "MODEL.SET",
    summary: "Stores a whole document",
    since: "0.1.0",
    complexity: "O(N) with N the size of the document",
    arity: -4,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: Keys::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("json", ArgKind::String),
        ArgSpec::new(
            "condition",
            ArgKind::OneOf(&[
                ArgSpec::new("nx", ArgKind::Token).token("NX"),
                ArgSpec::new("xx", ArgKind::Token).token("XX"),
            ]),
        )
        .optional(),
        ArgSpec::new("revision", ArgKind::Integer).token("IFREV").optional(),
        ArgSpec::new(
            "expiry",
            ArgKind::OneOf(&[
                ArgSpec::new("seconds", ArgKind::Integer).token("EX"),
                ArgSpec::new("milliseconds", ArgKind::Integer).token("PX"),
                ArgSpec::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT"),
                ArgSpec::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT"),
                ArgSpec::new("keepttl", ArgKind::Token).token("KEEPTTL"),
            ]),
        )
        .optional(),
    ],
    reply: "the new revision; null where NX or XX says no",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Range,
        ErrorCode::Limit,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::Revision,
    ],
    replicated: "the document with its revision and absolute expiry",
    examples: &[Example(&[
        (&["MODEL.SET", "acct:1", "any", r#"{"balance":100}"#, "NX"], "(revision)"),
        (&["MODEL.SET", "acct:1", "any", "{}", "NX"], "(nil)"),
        (&["MODEL.SET", "acct:1", "any", "{}", "IFREV", "1"], "REVISION"),
        (&["MODEL.SET", "acct:1", "any", "{}", "EX", "60"], "(revision)"),
        (&["MODEL.SET", "acct:1", "any", "{"], "ERR"),
        (&["MODEL.GET", "acct:1"], "{}"),
    ])],
    run,
};

struct Request<'a> {
    key: Key<'a>,
    model: ModelId,
    content: Measured,
    json_arg: usize,
    only: Option<Only>,
    revision: Option<u64>,
    expiry: Option<ExpiryOption>,
}

#[derive(Clone, Copy, PartialEq)]
enum Only {
    Missing,
    Existing,
}

#[derive(Clone, Copy)]
enum ExpiryOption {
    Keep,
    Set(ExpiryArg),
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let request = parse(args, &host.settings())?;
    let now_us = host.now_us();
    let expiry = match request.expiry {
        None => Expiry::Persist,
        Some(ExpiryOption::Keep) => Expiry::Keep,
        Some(ExpiryOption::Set(expiry)) => expiry.at(now_us),
    };
    store(host, request, expiry)
}

fn store(host: &mut dyn Host, request: Request<'_>, expiry: Expiry) -> Result<Outcome> {
    let with_key = |error: Error| error.text("key", request.key.name);
    let found = host.open(request.key).map_err(with_key)?.map(|document| document.revision);
    if request.only.is_some_and(|only| (only == Only::Missing) == found.is_some()) {
        return Ok(Reply::Null.into());
    }
    if let Some(expected) = request.revision {
        let found = found.ok_or_else(no_key).map_err(with_key)?;
        check_revision(expected, Some(found)).map_err(with_key)?;
    }
    let now_us = host.now_us();
    let revision = host.revisions().next_at(now_us);
    host.revisions().issue(revision);
    host.put(request.key, Document::new(request.content, request.model, revision));
    host.expire(request.key, expiry);
    let effect =
        Effect { revision, expiry, change: Change::Put { model: ANY_NAME, ahead: 0 } }.encode();
    let expiry_event = matches!(expiry, Expiry::At(_)).then_some(c"expire");
    let json = Some(JsonText::Arg(request.json_arg));
    let effect = KeyEffect {
        key_arg: request.key.arg,
        event: Some(c"model.set"),
        expiry_event,
        effect: Some(effect),
        json,
    };
    Ok(Outcome { reply: Reply::Int(revision as i64), effects: smallvec![effect] })
}

fn parse<'a>(args: &'a [&'a [u8]], settings: &Settings) -> Result<Request<'a>> {
    let mut args = Args::new(args);
    let key = args.key()?;
    let (model, content) = args.model_and_json(settings)?;
    let json_arg = args.position() - 1;
    let (mut only, mut revision, mut expiry) = (None, None, None);
    while !args.is_finished() {
        if only.is_none() && args.keyword("NX") {
            only = Some(Only::Missing);
        } else if only.is_none() && args.keyword("XX") {
            only = Some(Only::Existing);
        } else if revision.is_none() && args.keyword("IFREV") {
            revision = Some(parse_revision(args.next("a revision")?)?);
        } else if expiry.is_none() && args.keyword("KEEPTTL") {
            expiry = Some(ExpiryOption::Keep);
        } else if expiry.is_none()
            && let Some(set) = args.expiry()?
        {
            expiry = Some(ExpiryOption::Set(set));
        } else {
            break;
        }
    }
    args.finish()?;
    Ok(Request { key, model, content, json_arg, only, revision, expiry })
}
