//! `MODEL.FIELDOP`: a one-document transaction.

use std::ffi::CStr;

use smallvec::{SmallVec, smallvec};

use super::args::{Args, ExpiryArg};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::codec::effect::{Change, Effect, Expiry};
use crate::document::{ANY_NAME, Document, ModelId, next_revision};
use crate::error::{ErrorCode, Result};
use crate::op::Clock;
use crate::reply::Reply;
use crate::txn::{self, Block, Statement, parse_statements, run_block};
use crate::value::edit::{Editor, Journal};
use crate::value::{Measured, print};

#[linkme::distributed_slice(COMMANDS)]
static FIELDOP: CommandSpec = CommandSpec {
    name: "MODEL.FIELDOP",
    summary: "Changes and reads places of one document, all or nothing",
    since: "0.1.0",
    complexity: "The sum of its statements",
    arity: -3,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: Keys::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new(
            "init",
            ArgKind::Block(&[
                ArgSpec::new("model", ArgKind::String),
                ArgSpec::new("json", ArgKind::String),
            ]),
        )
        .token("INIT")
        .optional(),
        ArgSpec::new("mkpath", ArgKind::Token).token("MKPATH").optional(),
        ArgSpec::new(
            "expiry",
            ArgKind::OneOf(&[
                ArgSpec::new("seconds", ArgKind::Integer).token("EX"),
                ArgSpec::new("milliseconds", ArgKind::Integer).token("PX"),
                ArgSpec::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT"),
                ArgSpec::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT"),
                ArgSpec::new("persist", ArgKind::Token).token("PERSIST"),
            ]),
        )
        .optional(),
        ArgSpec::new("statement", ArgKind::Statement).multiple(),
    ],
    reply: "an array with one reply for each operator, in order",
    errors: &[
        ErrorCode::Err,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::Condition,
        ErrorCode::Revision,
        ErrorCode::NoPath,
        ErrorCode::Type,
        ErrorCode::Range,
        ErrorCode::Overflow,
        ErrorCode::Limit,
    ],
    replicated: "the changes that were made, with the revision and the absolute expiry; nothing when nothing changed",
    examples: &[
        Example(&[
            (&["MODEL.SET", "sku:1", "any", r#"{"stock":10,"reserved":0}"#], "(revision)"),
            (
                &["MODEL.FIELDOP", "sku:1", "INCR", "$.stock", "-1", "INCR", "$.reserved", "1"],
                "[9 1]",
            ),
            (
                &[
                    "MODEL.FIELDOP",
                    "sku:1",
                    "INCR",
                    "$.stock",
                    "-1",
                    "SET",
                    "$.by",
                    "\"Ann\"",
                    "INCR",
                    "$.by",
                    "1",
                ],
                "TYPE",
            ),
            (&["MODEL.GET", "sku:1"], r#"{"stock":9,"reserved":1}"#),
        ]),
        Example(&[
            (&["MODEL.FIELDOP", "hits", "INCR", "$.n", "1"], "NOKEY"),
            (
                &["MODEL.FIELDOP", "hits", "INIT", "any", "{}", "EX", "60", "INCR", "$.n", "1"],
                "[1]",
            ),
            (&["MODEL.FIELDOP", "hits", "INIT", "any", "{}", "INCR", "$.n", "1"], "[2]"),
        ]),
    ],
    run,
};

/// Everything the command was asked for.
struct Request<'a> {
    key: Key<'a>,
    init: Option<(ModelId, Measured)>,
    make_path: bool,
    expiry: Option<ExpiryOption>,
    statements: SmallVec<[Statement<'a>; 1]>,
}

#[derive(Clone, Copy)]
enum ExpiryOption {
    Persist,
    Set(ExpiryArg),
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let request = parse(args, &settings)?;
    let now_us = host.now_us();
    let mut journal = host.take_journal();
    let scope = Scope { request: &request, settings: &settings, now_us };
    let outcome =
        scope.run(host, &mut journal).map_err(|error| error.text("key", request.key.name));
    host.keep_journal(journal);
    outcome
}

fn parse<'a>(args: &'a [&'a [u8]], settings: &Settings) -> Result<Request<'a>> {
    let mut args = Args::new(args);
    let key = args.key()?;
    let (mut init, mut make_path, mut expiry) = (None, false, None);
    loop {
        if init.is_none() && args.keyword("INIT") {
            init = Some(args.model_and_json(settings)?);
        } else if !make_path && args.keyword("MKPATH") {
            make_path = true;
        } else if expiry.is_none() && args.keyword("PERSIST") {
            expiry = Some(ExpiryOption::Persist);
        } else if expiry.is_none()
            && let Some(set) = args.expiry()?
        {
            expiry = Some(ExpiryOption::Set(set));
        } else {
            break;
        }
    }
    let statements = parse_statements(args.rest(), &settings.document, &settings.paths)?;
    Ok(Request { key, init, make_path, expiry, statements })
}

struct Scope<'s, 'a> {
    request: &'s Request<'a>,
    settings: &'s Settings,
    now_us: u64,
}

impl Scope<'_, '_> {
    fn run(&self, host: &mut dyn Host, journal: &mut Journal) -> Result<Outcome> {
        let expiry = self.expiry();
        let floor = host.revision_floor();
        if let Some(document) = host.open(self.request.key)? {
            let before = document.revision;
            let mut reply = self.change(document, Some(before), journal)?;
            let changed = !journal.effects().is_empty();
            if changed {
                document.revision = next_revision(before, floor);
            }
            let revision = document.revision;
            host.note_revision(revision);
            reply.fill_revision(revision);
            if expiry != Expiry::Keep {
                host.expire(self.request.key, expiry);
            }
            if !changed && expiry == Expiry::Keep {
                return Ok(reply.into());
            }
            let change = if changed { Change::Edit(journal.effects()) } else { Change::Touch };
            let effect = Effect { revision, expiry, change }.encode();
            return Ok(self.outcome(reply, c"model.update", effect, None));
        }
        let Some((model, content)) = &self.request.init else { return self.run_without_document() };
        let mut document = Document::new(content.clone(), *model, next_revision(0, floor));
        let mut reply = self.change(&mut document, None, journal)?;
        reply.fill_revision(document.revision);
        host.note_revision(document.revision);
        let effect =
            Effect { revision: document.revision, expiry, change: Change::Put { model: ANY_NAME } }
                .encode();
        let mut json = Vec::new();
        print::json(document.root.view(), &mut json);
        host.put(self.request.key, document);
        if expiry != Expiry::Keep {
            host.expire(self.request.key, expiry);
        }
        Ok(self.outcome(reply, c"model.set", effect, Some(JsonText::Made(json))))
    }

    fn expiry(&self) -> Expiry {
        match self.request.expiry {
            None => Expiry::Keep,
            Some(ExpiryOption::Persist) => Expiry::Persist,
            Some(ExpiryOption::Set(expiry)) => expiry.at(self.now_us),
        }
    }

    /// Changes the document whole or not at all; its revision is the caller's.
    fn change(
        &self,
        document: &mut Document,
        revision: Option<u64>,
        journal: &mut Journal,
    ) -> Result<Reply> {
        let size = document.size();
        let mut editor = Editor::new(&mut document.root, size, self.settings.document, journal);
        let replies = run_block(self.block(Some(&mut editor), revision), &self.request.statements)?;
        let size = editor.size();
        editor.commit();
        document.set_size(size);
        Ok(Reply::Array(replies))
    }

    /// Only assertions can hold where nothing is.
    fn run_without_document(&self) -> Result<Outcome> {
        if self.request.expiry.is_some() {
            return Err(txn::no_key());
        }
        let replies = run_block(self.block(None, None), &self.request.statements)?;
        Ok(Reply::Array(replies).into())
    }

    fn block<'b, 'e>(
        &'b self,
        editor: Option<&'b mut Editor<'e>>,
        revision: Option<u64>,
    ) -> Block<'b, 'e> {
        Block {
            editor,
            revision,
            clock: Clock { unix_us: self.now_us },
            paths: &self.settings.paths,
            make_path: self.request.make_path,
        }
    }

    fn outcome(
        &self,
        reply: Reply,
        event: &'static CStr,
        effect: Vec<u8>,
        json: Option<JsonText>,
    ) -> Outcome {
        let expiry_event = match self.request.expiry {
            None => None,
            Some(ExpiryOption::Persist) => Some(c"persist"),
            Some(ExpiryOption::Set(_)) => Some(c"expire"),
        };
        let key_arg = self.request.key.arg;
        Outcome {
            reply,
            effects: smallvec![KeyEffect {
                key_arg,
                event,
                expiry_event,
                effect: Some(effect),
                json
            }],
        }
    }
}
