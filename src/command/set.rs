//! `MODEL.SET`: stores a whole document.

use std::sync::Arc;

use smallvec::smallvec;

use super::args::{Args, EX, EXAT, PX, PXAT, find_model};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Sent, Settings};
use super::locking;
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::budget::Allowance;
use crate::codec::effect::{Change, Effect, Expiry};
use crate::document::{ANY_NAME, Document, NewDocument};
use crate::error::{ErrorCode, Result};
use crate::model::{Before, Judging};
use crate::reply::Reply;
use crate::txn::{ExpiryArg, check_revision, no_key, parse_revision};
use crate::value::edit::{Editor, Effects};
use crate::value::{Measured, print};

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
                EX,
                PX,
                EXAT,
                PXAT,
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
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Expr,
    ],
    replicated: "the document with its revision and absolute expiry",
    examples: &[
        Example(&[
            (&["MODEL.SET", "acct:1", "any", r#"{"balance":100}"#, "NX"], "(revision)"),
            (&["MODEL.SET", "acct:1", "any", "{}", "NX"], "(nil)"),
            (&["MODEL.SET", "acct:1", "any", "{}", "IFREV", "1"], "REVISION"),
            (&["MODEL.SET", "acct:1", "any", "{}", "EX", "60"], "(revision)"),
            (&["MODEL.SET", "acct:1", "any", "{"], "ERR"),
            (&["MODEL.GET", "acct:1"], "{}"),
        ]),
        Example(&[
            (
                &[
                    "MODEL.DEFINE",
                    "acct",
                    r#"{"required":["balance"],"properties":{"open":{"default":true}}}"#,
                    "RULE",
                    "covered",
                    "self.balance >= 0",
                ],
                "(integer) 1",
            ),
            (&["MODEL.SET", "acct:1", "acct", r#"{"balance":100}"#], "(revision)"),
            (&["MODEL.GET", "acct:1"], r#"{"balance":100,"open":true}"#),
            (&["MODEL.SET", "acct:1", "acct", "{}"], "SCHEMA"),
            (&["MODEL.SET", "acct:1", "acct", r#"{"balance":-1}"#], "RULE"),
            (&["MODEL.SET", "acct:1", "none", "{}"], "NOMODEL"),
        ]),
    ],
    run,
};

struct Request<'a> {
    key: Key<'a>,
    model: &'a [u8],
    content: Measured,
    json_arg: usize,
    only: Option<Only>,
    revision: Option<u64>,
    expiry: Option<TimeToLive>,
}

#[derive(Clone, Copy, PartialEq)]
enum Only {
    Missing,
    Existing,
}

#[derive(Clone, Copy)]
enum TimeToLive {
    Kept,
    Given(ExpiryArg),
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let request = parse(args, &settings)?;
    let key = request.key.name;
    store(host, request, &settings, &allowance).map_err(|error| error.text("key", key))
}

fn store(
    host: &mut dyn Host,
    request: Request<'_>,
    settings: &Settings,
    allowance: &Allowance<'_>,
) -> Result<Outcome> {
    let model = find_model(host.models(), request.model)?;
    let found = host.open(request.key)?.map(|document| document.revision);
    if request.only.is_some_and(|only| (only == Only::Missing) == found.is_some()) {
        return Ok(Reply::Null.into());
    }
    if let Some(expected) = request.revision {
        let found = found.ok_or_else(no_key)?;
        check_revision(expected, Some(found))?;
    }
    let now_us = host.now_us();
    let revision = host.revisions().next_at(now_us);
    let mut document = NewDocument::new(request.content, model, 0, revision);
    let judged = judge(host, request.key, &mut document, found, now_us, settings, allowance)?;
    let definition = document.definition_version();
    let expiry = match (request.expiry, judged.ends_at) {
        (None, None) => Expiry::Persist,
        (None, Some(unix_ms)) => Expiry::At(unix_ms),
        (Some(TimeToLive::Kept), Some(unix_ms)) if found.is_none() => Expiry::At(unix_ms),
        (Some(TimeToLive::Kept), _) => Expiry::Keep,
        (Some(TimeToLive::Given(expiry)), _) => expiry.at(now_us),
    };
    let json = match judged.filled {
        true => JsonText::Made(print::to_string(document.root.view()).into_bytes()),
        false => JsonText::Arg(request.json_arg),
    };
    let model = document.model.clone();
    document.locks = locking::take_over(host, request.key)?;
    host.revisions().issue(revision);
    host.put(request.key, document);
    host.expire(request.key, expiry);
    let model = model.as_ref().map_or(ANY_NAME, |model| model.name());
    let change = Change::Put { model, definition, ahead: 0 };
    let generic_event = matches!(expiry, Expiry::At(_)).then_some(c"expire");
    let effect = KeyEffect {
        key_arg: request.key.arg,
        event: Some(c"model.set"),
        generic_event,
        signalled: true,
        sent: Sent::Effect(Effect { revision, expiry, change }.encode(), Some(json)),
    };
    let reply = Reply::Int(revision as i64);
    Ok(Outcome { reply, effects: smallvec![effect], definition: None, waits: None })
}

/// What its model did with a new document.
#[derive(Default)]
struct Judged {
    /// Defaults were put in.
    filled: bool,
    ends_at: Option<u64>,
}

/// Fills in defaults and judges. `found` is the revision of the document that is replaced.
fn judge(
    host: &mut dyn Host,
    key: Key<'_>,
    document: &mut Document,
    found: Option<u64>,
    now_us: u64,
    settings: &Settings,
    allowance: &Allowance<'_>,
) -> Result<Judged> {
    let Some(model) = document.model.clone() else { return Ok(Judged::default()) };
    let held = model.read();
    let Some(definition) = held.get() else { return Ok(Judged::default()) };
    // What a rule calls the document before is one of the same model; else this is a creation.
    let before: Before = match host.open(key)? {
        Some(old) if old.model.as_ref().is_some_and(|old| Arc::ptr_eq(old, &model)) => {
            definition.before(old.root.view())
        }
        _ => None,
    };
    let mut journal = host.take_journal();
    let size = document.size();
    let mut editor = Editor::new(&mut document.root, size, settings.document, &mut journal)
        .with_effects(Effects::Unrecorded)
        .with_allowance(allowance);
    definition.fill_defaults(&mut editor)?;
    let judging = Judging {
        key: key.name,
        revision: found,
        now_us: Some(now_us),
        limits: &settings.expressions,
        allowance,
    };
    definition
        .judge(editor.view(), &before, &judging)
        .map_err(|error| error.text("model", model.name().as_bytes()))?;
    let (size, filled) = (editor.size(), editor.changed());
    editor.commit();
    document.set_size(size);
    document.set_judged_by(definition.version);
    host.keep_journal(journal);
    Ok(Judged { filled, ends_at: definition.expires_at(now_us) })
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
            expiry = Some(TimeToLive::Kept);
        } else if expiry.is_none()
            && let Some(set) = args.expiry()?
        {
            expiry = Some(TimeToLive::Given(set));
        } else {
            break;
        }
    }
    args.finish()?;
    Ok(Request { key, model, content, json_arg, only, revision, expiry })
}
