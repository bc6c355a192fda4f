//! `MODEL.FIELDOP`: a one-document transaction.

use std::ffi::CStr;
use std::sync::Arc;

use smallvec::smallvec;

use super::args::{ARGS, Args, EXPIRY, INIT, MKPATH, find_model};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Sent, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::budget::Allowance;
use crate::codec::effect::{Change, Effect, Expiry};
use crate::document::{Document, NewDocument};
use crate::error::{ErrorCode, Result};
use crate::model::{Judging, Model, ReadDefinition, Refresh};
use crate::op::{Around, Clock, Parsing};
use crate::reply::Reply;
use crate::txn::{
    self, Block, EndsAt, ExpiryOption, HeldLocks, Ran, Released, Standing, Statement, Statements,
    Use, parse_statements, run_block,
};
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
        INIT,
        ARGS,
        MKPATH,
        EXPIRY,
        ArgSpec::new("statement", ArgKind::Statement).multiple(),
    ],
    reply: "an array with one reply for each operator, in order; null for one whose WHEN is false",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Expr,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::Condition,
        ErrorCode::Revision,
        ErrorCode::LockLost,
        ErrorCode::NoPath,
        ErrorCode::Type,
        ErrorCode::Range,
        ErrorCode::Overflow,
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Limit,
    ],
    replicated: "the changes that were made, with the revision and the absolute expiry; the command as it is where that says the same: assertions are not looked at again, and it has no guard, no clock and no option that needs one; nothing when nothing changed",
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
            (&["MODEL.SET", "acct:1", "any", r#"{"balance":20}"#], "(revision)"),
            (
                &[
                    "MODEL.FIELDOP",
                    "acct:1",
                    "ARGS",
                    r#"{"n":50}"#,
                    "IF",
                    "self.balance >= args.n",
                    "INCR",
                    "$.balance",
                    "-50",
                ],
                "CONDITION",
            ),
            (
                &[
                    "MODEL.FIELDOP",
                    "acct:1",
                    "WHEN",
                    "self.balance < 100",
                    "SET",
                    "$.poor",
                    "true",
                    "WHEN",
                    "self.balance >= 100",
                    "DEL",
                    "$.poor",
                    "EVAL",
                    "$.fee",
                    "self.balance / 10",
                ],
                "[(integer) 1 (nil) 2]",
            ),
            (&["MODEL.FIELDOP", "acct:1", "IF", "self.none > 1", "GET", "$"], "EXPR"),
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
    init: Option<(&'a [u8], Measured)>,
    args: Option<Measured>,
    make_path: bool,
    expiry: Option<ExpiryOption>,
    statements: Statements<'a>,
    /// Whether a statement asks who holds locks.
    concerns_locks: bool,
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let replaying = host.replaying();
    let settings = if replaying { Settings::NONE } else { host.settings() };
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut request = Request::default();
    request.parse(args, &settings, replaying, host)?;
    let mut journal = host.take_journal();
    let scope = Scope { request: &request, settings: &settings, allowance: &allowance, replaying };
    let outcome =
        scope.run(host, &mut journal).map_err(|error| error.text("key", request.key.name));
    host.keep_journal(journal);
    outcome
}

impl Request<'_> {
    /// Whether something in it asks for the time.
    fn reads_clock(&self) -> bool {
        self.expiry.is_some() || self.statements.iter().any(Statement::may_read_clock)
    }

    /// Whether the command says itself what it changes: it has no option that asks for the time or for
    /// what is there, and leads each operator to one place; its assertions held. Then replicas are sent
    /// the command as it is, which costs the least.
    fn is_its_own_effect(&self) -> bool {
        let plain = self.init.is_none() && self.expiry.is_none();
        plain && self.statements.iter().all(Statement::repeats_exactly)
    }
}

impl<'a> Request<'a> {
    /// Reads all arguments. The request was made before, because it is large and not moved again.
    fn parse(
        &mut self,
        args: &'a [&'a [u8]],
        settings: &Settings,
        replaying: bool,
        host: &mut dyn Host,
    ) -> Result<()> {
        let mut args = Args::new(args);
        self.key = args.key()?;
        loop {
            if self.init.is_none() && args.keyword("INIT") {
                self.init = Some(args.model_and_json(settings)?);
            } else if self.args.is_none() && args.keyword("ARGS") {
                self.args = Some(args.object(settings)?);
            } else if !self.make_path && args.keyword("MKPATH") {
                self.make_path = true;
            } else if self.expiry.is_none() {
                self.expiry = args.expiry_option()?;
                if self.expiry.is_none() {
                    break;
                }
            } else {
                break;
            }
        }
        let mut parsing = Parsing {
            limits: &settings.document,
            paths: &settings.paths,
            compile: &mut |source, names| host.compile(source, names, &settings.expressions),
            transaction: false,
            replaying,
        };
        parse_statements(args.rest(), &mut parsing, &mut self.statements)?;
        self.concerns_locks = self.statements.iter().any(Statement::concerns_locks);
        Ok(())
    }
}

struct Scope<'s, 'a> {
    request: &'s Request<'a>,
    settings: &'s Settings,
    allowance: &'s Allowance<'s>,
    replaying: bool,
}

/// What became of a document, as far as the key is concerned.
struct Changed {
    reply: Reply,
    changed: bool,
    /// The definition it was judged by, if that is another one than before.
    judged_by: Option<u32>,
    /// When it ends according to its model.
    ends_at: Option<EndsAt>,
}

impl Scope<'_, '_> {
    fn run(&self, host: &mut dyn Host, journal: &mut Journal) -> Result<Outcome> {
        let model = match &self.request.init {
            Some((name, _)) => find_model(host.models(), name)?,
            None => None,
        };
        // Replicas that count along come to the next revision themselves; otherwise it is sent.
        let counted = self.replaying || host.revisions().is_told();
        let sent = !(counted && self.request.is_its_own_effect());
        match self.attempt(host, &model, sent, journal)? {
            Some(outcome) => Ok(outcome),
            // The document's model has something to send along.
            None => {
                Ok(self.attempt(host, &model, true, journal)?.expect("nothing else is in the way"))
            }
        }
    }

    /// `sent`: whether replicas are sent the effect rather than the command. None, and nothing was done,
    /// where they have to be and are not.
    fn attempt(
        &self,
        host: &mut dyn Host,
        model: &Option<Arc<Model>>,
        sent: bool,
        journal: &mut Journal,
    ) -> Result<Option<Outcome>> {
        let key = self.request.key;
        let now_us = (sent || self.request.reads_clock()).then(|| host.now_us());
        let next = match now_us {
            Some(now_us) if sent => host.revisions().next_at(now_us),
            _ => host.revisions().next(),
        };
        let clock = now_us.map_or(Clock::UNREAD, Clock::at);
        let effects = if sent { Effects::Recorded } else { Effects::Unrecorded };
        let now_ms = if self.request.concerns_locks { host.moment().steady_ms } else { 0 };
        let Some(document) = host.open(key)? else {
            return match &self.request.init {
                Some((_, content)) => {
                    let version = model.as_ref().map_or(0, |model| model.read().version());
                    let document = NewDocument::new(content.clone(), model.clone(), version, next);
                    self.create(host, document, (clock, now_ms), journal).map(Some)
                }
                None => self.run_without_document(clock, now_ms).map(Some),
            };
        };
        if !sent && !self.replaying && !repeats_as_it_is(document) {
            return Ok(None);
        }
        let mut released = Released::new();
        let locking = (&mut released, now_ms);
        let mut done =
            self.change(document, Some(document.revision), clock, locking, effects, journal)?;
        if done.changed {
            document.revision = next.max(document.revision + 1);
        }
        if let Some(version) = done.judged_by {
            document.set_judged_by(version);
        }
        let revision = document.revision;
        done.reply.fill_revision(Some(revision));
        if done.changed {
            host.revisions().issue(revision);
        }
        // Replicas that are sent the command hear of it there.
        let told = self.replaying || (done.changed && !sent);
        super::locking::release(host, key, &released, told);
        let expiry = self.expire(host, clock, done.ends_at);
        if !done.changed && expiry == Expiry::Keep {
            return Ok(Some(done.reply.into()));
        }
        let change = match done.changed {
            true => {
                let definition = done.judged_by.unwrap_or(0);
                Change::Edit { edits: journal.effects(), definition }
            }
            false => Change::Touch,
        };
        let effect = sent.then_some(Effect { revision, expiry, change });
        let event = done.changed.then_some(c"model.update");
        Ok(Some(self.outcome(done.reply, [event, expiry_event(expiry)], effect, None)))
    }

    /// Changes a document that was just made from `INIT`, and stores it.
    fn create(
        &self,
        host: &mut dyn Host,
        mut document: NewDocument,
        (clock, now_ms): (Clock, u64),
        journal: &mut Journal,
    ) -> Result<Outcome> {
        // Nobody holds what was not there.
        let mut released = Released::new();
        let (locking, effects) = ((&mut released, now_ms), Effects::Unrecorded);
        let mut done = self.change(&mut document, None, clock, locking, effects, journal)?;
        let (revision, definition) = (document.revision, document.definition_version());
        done.reply.fill_revision(Some(revision));
        host.revisions().issue(revision);
        let mut json = Vec::new();
        print::json(document.root.view(), &mut json);
        let model = document.model.clone();
        host.put(self.request.key, document);
        let expiry = self.expire(host, clock, done.ends_at);
        let model = model.as_ref().map_or(crate::document::ANY_NAME, |model| model.name());
        let change = Change::Put { model, definition, ahead: 0 };
        let effect = Effect { revision, expiry, change };
        let events = [Some(c"model.set"), expiry_event(expiry)];
        Ok(self.outcome(done.reply, events, Some(effect), Some(JsonText::Made(json))))
    }

    /// Changes the time to live as asked for, or else as the model wants it; `Keep` where that changes
    /// nothing.
    fn expire(&self, host: &mut dyn Host, clock: Clock, ends_at: Option<EndsAt>) -> Expiry {
        let key = self.request.key;
        let expiry = match (self.request.expiry, ends_at) {
            (None, None) => return Expiry::Keep,
            (Some(option), _) => option.at(clock.unix_us()),
            (None, Some(ends)) if ends.is_near(host.expires_at(key)) => return Expiry::Keep,
            (None, Some(ends)) => Expiry::At(ends.unix_ms),
        };
        if host.expire(key, expiry) { expiry } else { Expiry::Keep }
    }

    /// Changes the document whole or not at all; its revision and what it was judged by are the
    /// caller's. `revision` is none for a document that is being created.
    fn change(
        &self,
        document: &mut Document,
        revision: Option<u64>,
        clock: Clock,
        (released, now_ms): (&mut Released, u64),
        effects: Effects,
        journal: &mut Journal,
    ) -> Result<Changed> {
        let (size, version) = (document.size(), document.definition_version());
        self.allowance.own(size);
        let held = document.model.as_ref().map(|model| model.read());
        let definition = held.as_ref().and_then(ReadDefinition::get);
        let standing = match (self.replaying, revision, definition) {
            (true, _, _) => Standing::Free,
            (false, None, Some(definition)) => Standing::New(definition),
            (false, _, definition) => Standing::of(document, definition),
        };
        let mut editor = Editor::new(&mut document.root, size, self.settings.document, journal)
            .with_effects(effects)
            .with_allowance(self.allowance)
            .track_changes(standing.needs_changes());
        let before = standing.before(editor.view());
        let around = self.around(revision, clock);
        let replaying = self.replaying;
        let locks = Some(&document.locks);
        let mut locks = HeldLocks { locks, released, now_ms, replaying };
        let replies = match standing {
            Standing::Free | Standing::Unknown | Standing::Judged(_) => {
                self.run_block(Some(&mut editor), &around, &mut locks)?
            }
            Standing::New(_) => {
                standing.fill_defaults(version, &mut editor)?;
                self.run_block(Some(&mut editor), &around, &mut locks)?
            }
            Standing::Stale(_) => {
                self.run_stale(&standing, version, &mut editor, &around, &mut locks)?
            }
        };
        let changed = editor.changed();
        if changed || revision.is_none() {
            let model = document.model.as_ref().map_or("", |model| model.name());
            let judging = Judging {
                key: self.request.key.name,
                revision,
                now_us: clock.read(),
                limits: &self.settings.expressions,
                allowance: self.allowance,
            };
            standing.judge(model, editor.view(), editor.changes(), &before, &judging)?;
        }
        let size = editor.size();
        editor.commit();
        let judged_by = match standing {
            Standing::Stale(definition) if changed => Some(definition.version),
            _ => None,
        };
        let used = match changed {
            _ if revision.is_none() => Use::Created,
            true => Use::Changed,
            false => Use::Read,
        };
        let ends_at = standing
            .definition()
            .and_then(|definition| EndsAt::of(definition, clock.read()?, used));
        drop(held);
        document.set_size(size);
        Ok(Changed { reply: Reply::Array(replies), changed, judged_by, ends_at })
    }

    /// Statements see the defaults of a newer definition; where they change nothing, the document stays
    /// as it is.
    fn run_stale(
        &self,
        standing: &Standing<'_>,
        version: u32,
        editor: &mut Editor<'_>,
        around: &Around<'_>,
        locks: &mut HeldLocks<'_>,
    ) -> Result<Ran> {
        standing.fill_defaults(version, editor)?;
        let filled = editor.steps();
        let replies = self.run_block(Some(&mut *editor), around, locks)?;
        if filled == 0 || editor.steps() > filled {
            return Ok(replies);
        }
        editor.rollback();
        let unfilled = self.run_block(Some(&mut *editor), around, locks)?;
        if !editor.changed() {
            return Ok(unfilled);
        }
        // The defaults are all that the statements would have changed.
        editor.rollback();
        standing.fill_defaults(version, editor)?;
        self.run_block(Some(editor), around, locks)
    }

    /// Only assertions can hold where nothing is.
    fn run_without_document(&self, clock: Clock, now_ms: u64) -> Result<Outcome> {
        if self.request.expiry.is_some() {
            return Err(txn::no_key());
        }
        let around = self.around(None, clock);
        let (released, replaying) = (&mut Released::new(), self.replaying);
        let mut locks = HeldLocks { locks: None, released, now_ms, replaying };
        let replies = self.run_block(None, &around, &mut locks)?;
        Ok(Reply::Array(replies).into())
    }

    fn around(&self, revision: Option<u64>, clock: Clock) -> Around<'_> {
        Around {
            key: self.request.key.name,
            revision,
            args: self.request.args.as_ref().map(|args| args.value.view()),
            docs: None,
            clock,
            limits: &self.settings.expressions,
            allowance: self.allowance,
        }
    }

    /// Runs all statements, from the first on, with all that the command may do.
    fn run_block(
        &self,
        editor: Option<&mut Editor<'_>>,
        around: &Around<'_>,
        locks: &mut HeldLocks<'_>,
    ) -> Result<Ran> {
        locks.released.clear();
        let (allowance, make_path) = (self.allowance, self.request.make_path);
        let locks = HeldLocks { released: &mut *locks.released, ..*locks };
        run_block(Block { editor, around, allowance, make_path, locks }, &self.request.statements)
    }

    /// `events` are those of the content and of the time to live.
    fn outcome(
        &self,
        reply: Reply,
        [event, generic_event]: [Option<&'static CStr>; 2],
        effect: Option<Effect<'_>>,
        json: Option<JsonText>,
    ) -> Outcome {
        let key_arg = self.request.key.arg;
        let sent = effect.map_or(Sent::Command, |effect| Sent::Effect(effect.encode(), json));
        let signalled = event.is_some() || self.request.expiry.is_some();
        let effects = smallvec![KeyEffect { key_arg, event, generic_event, signalled, sent }];
        Outcome { reply, effects, definition: None, waits: None }
    }
}

/// Whether changing this document is all there is to do: its model asks for nothing that would have to
/// be sent along.
pub(super) fn repeats_as_it_is(document: &Document) -> bool {
    let Some(model) = &document.model else { return true };
    let held = model.read();
    held.get().is_none_or(|definition| {
        let plain = definition.source.refresh == Refresh::Never && !definition.reads_clock();
        plain && document.is_judged_by(definition.version)
    })
}

pub(super) fn expiry_event(expiry: Expiry) -> Option<&'static CStr> {
    match expiry {
        Expiry::Keep => None,
        Expiry::Persist => Some(c"persist"),
        Expiry::At(_) => Some(c"expire"),
    }
}
