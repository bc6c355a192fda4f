//! `MODEL.FIELDOP`: a one-document transaction.

use std::ffi::CStr;

use smallvec::smallvec;

use super::args::{Args, ExpiryArg};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::codec::effect::{Change, Effect, Expiry};
use crate::document::{ANY_NAME, Document, ModelId};
use crate::error::{ErrorCode, Result};
use crate::op::Clock;
use crate::reply::Reply;
use crate::txn::{self, Block, Statement, Statements, parse_statements, run_block};
use crate::value::edit::{Editor, Effects, Journal};
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
    replicated: "the changes that were made, with the revision and the absolute expiry; the command as it is where it has no condition, no clock and no option that needs one; nothing when nothing changed",
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
#[derive(Default)]
struct Request<'a> {
    key: Key<'a>,
    init: Option<(ModelId, Measured)>,
    make_path: bool,
    expiry: Option<ExpiryOption>,
    statements: Statements<'a>,
}

#[derive(Clone, Copy)]
enum ExpiryOption {
    Persist,
    Set(ExpiryArg),
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let replaying = host.replaying();
    let settings = if replaying { Settings::NONE } else { host.settings() };
    let mut request = Request::default();
    request.parse(args, &settings)?;
    let mut journal = host.take_journal();
    let clock = request.clock(host);
    let scope = Scope { request: &request, settings: &settings, clock, replaying };
    let outcome =
        scope.run(host, &mut journal).map_err(|error| error.text("key", request.key.name));
    host.keep_journal(journal);
    outcome
}

impl Request<'_> {
    /// The clock, read only where something depends on it.
    fn clock(&self, host: &mut dyn Host) -> Clock {
        let relative = self.expiry.is_some();
        if relative || self.statements.iter().any(|statement| !statement.repeats_exactly()) {
            return Clock::at(host.now_us());
        }
        Clock::UNREAD
    }

    /// Whether the command says itself what it changes: it has no condition and no option that asks
    /// for the time or for what is there, and leads each operator to one place. Then replicas are sent
    /// the command as it is, which costs the least.
    fn is_its_own_effect(&self) -> bool {
        let plain = self.init.is_none() && self.expiry.is_none();
        plain && self.statements.iter().all(Statement::repeats_exactly)
    }
}

impl<'a> Request<'a> {
    /// Reads all arguments. The request was made before, because it is large and not moved again.
    fn parse(&mut self, args: &'a [&'a [u8]], settings: &Settings) -> Result<()> {
        let mut args = Args::new(args);
        self.key = args.key()?;
        loop {
            if self.init.is_none() && args.keyword("INIT") {
                self.init = Some(args.model_and_json(settings)?);
            } else if !self.make_path && args.keyword("MKPATH") {
                self.make_path = true;
            } else if self.expiry.is_none() && args.keyword("PERSIST") {
                self.expiry = Some(ExpiryOption::Persist);
            } else if self.expiry.is_none()
                && let Some(set) = args.expiry()?
            {
                self.expiry = Some(ExpiryOption::Set(set));
            } else {
                break;
            }
        }
        parse_statements(args.rest(), &settings.document, &settings.paths, &mut self.statements)
    }
}

struct Scope<'s, 'a> {
    request: &'s Request<'a>,
    settings: &'s Settings,
    clock: Clock,
    replaying: bool,
}

impl Scope<'_, '_> {
    fn run(&self, host: &mut dyn Host, journal: &mut Journal) -> Result<Outcome> {
        let key = self.request.key;
        // Replicas that count along come to the next revision themselves; otherwise it is sent.
        let counted = self.replaying || host.revisions().is_told();
        let verbatim = counted && self.request.is_its_own_effect();
        let next = match verbatim {
            true => host.revisions().next(),
            false => {
                let now_us = host.now_us();
                host.revisions().next_at(now_us)
            }
        };
        let effects = if verbatim { Effects::Unrecorded } else { Effects::Recorded };
        let Some(document) = host.open(key)? else {
            return match &self.request.init {
                Some((model, content)) => {
                    let document = Document::new(content.clone(), *model, next);
                    self.create(host, document, journal)
                }
                None => self.run_without_document(),
            };
        };
        let (mut reply, changed) =
            self.change(document, Some(document.revision), effects, journal)?;
        if changed {
            document.revision = next.max(document.revision + 1);
        }
        let revision = document.revision;
        reply.fill_revision(revision);
        if changed {
            host.revisions().issue(revision);
        }
        let expiry = self.expire(host);
        if !changed && expiry == Expiry::Keep {
            return Ok(reply.into());
        }
        let change = if changed { Change::Edit(journal.effects()) } else { Change::Touch };
        let effect = (!verbatim).then_some(Effect { revision, expiry, change });
        let event = changed.then_some(c"model.update");
        Ok(self.outcome(reply, [event, expiry_event(expiry)], effect, None))
    }

    /// Changes a document that was just made from `INIT`, and stores it.
    fn create(
        &self,
        host: &mut dyn Host,
        mut document: Document,
        journal: &mut Journal,
    ) -> Result<Outcome> {
        let (mut reply, _) = self.change(&mut document, None, Effects::Unrecorded, journal)?;
        let revision = document.revision;
        reply.fill_revision(revision);
        host.revisions().issue(revision);
        let mut json = Vec::new();
        print::json(document.root.view(), &mut json);
        host.put(self.request.key, document);
        let expiry = self.expire(host);
        let effect = Effect { revision, expiry, change: Change::Put { model: ANY_NAME, ahead: 0 } };
        let events = [Some(c"model.set"), expiry_event(expiry)];
        Ok(self.outcome(reply, events, Some(effect), Some(JsonText::Made(json))))
    }

    /// Changes the time to live as asked for; `Keep` where that changes nothing.
    fn expire(&self, host: &mut dyn Host) -> Expiry {
        let expiry = match self.request.expiry {
            None => return Expiry::Keep,
            Some(ExpiryOption::Persist) => Expiry::Persist,
            Some(ExpiryOption::Set(expiry)) => expiry.at(self.clock.unix_us()),
        };
        if host.expire(self.request.key, expiry) { expiry } else { Expiry::Keep }
    }

    /// Changes the document whole or not at all, and says whether it changed; its revision is the
    /// caller's.
    fn change(
        &self,
        document: &mut Document,
        revision: Option<u64>,
        effects: Effects,
        journal: &mut Journal,
    ) -> Result<(Reply, bool)> {
        let size = document.size();
        let mut editor = Editor::new(&mut document.root, size, self.settings.document, journal)
            .with_effects(effects);
        let replies = run_block(self.block(Some(&mut editor), revision), &self.request.statements)?;
        let (size, changed) = (editor.size(), editor.changed());
        editor.commit();
        document.set_size(size);
        Ok((Reply::Array(replies), changed))
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
            clock: self.clock,
            paths: &self.settings.paths,
            make_path: self.request.make_path,
        }
    }

    /// `events` are those of the content and of the time to live.
    fn outcome(
        &self,
        reply: Reply,
        [event, expiry_event]: [Option<&'static CStr>; 2],
        effect: Option<Effect<'_>>,
        json: Option<JsonText>,
    ) -> Outcome {
        let (key_arg, effect) = (self.request.key.arg, effect.map(|effect| effect.encode()));
        let effects = smallvec![KeyEffect { key_arg, event, expiry_event, effect, json }];
        Outcome { reply, effects }
    }
}

fn expiry_event(expiry: Expiry) -> Option<&'static CStr> {
    match expiry {
        Expiry::Keep => None,
        Expiry::Persist => Some(c"persist"),
        Expiry::At(_) => Some(c"expire"),
    }
}
