//! `MODEL.TXN`: changes and reads several documents, all or nothing.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::args::{Args, CountedKeys, find_model};
use super::fieldop::{expiry_event, repeats_as_it_is};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Sent, Settings};
use super::locking;
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::codec::effect::{Change, Effect, Expiry};
use crate::codec::token::{Digest, Token};
use crate::document::{ANY_NAME, Document};
use crate::error::{Error, ErrorCode, Result};
use crate::model::{Model, Models};
use crate::op::{Clock, Parsing, Run, operand_integer};
use crate::reply::Reply;
use crate::txn::{
    BLOCK, Became, BlockPlan, Changing, Committed, EndsAt, ExpiryOption, KeyIndex, Plan, Slot,
    Statement, Statements, Transaction, parse_block,
};
use crate::value::edit::{Effects, Journal};
use crate::value::{Measured, print};

#[linkme::distributed_slice(COMMANDS)]
static TXN: CommandSpec = CommandSpec {
    name: "MODEL.TXN",
    summary: "Changes and reads several documents, all or nothing, once",
    since: "0.3.0",
    complexity: "The sum of its statements, and O(K) with K the number of keys",
    arity: -5,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: Keys::Counted,
    tips: &[],
    args: &[
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).multiple(),
        ArgSpec::new(
            "token",
            ArgKind::Block(&[
                ArgSpec::new("token-key", ArgKind::Key),
                ArgSpec::new("window-milliseconds", ArgKind::Integer).token("WINDOW").optional(),
                ArgSpec::new("sent-unix-time-milliseconds", ArgKind::UnixTime)
                    .token("AT")
                    .optional(),
            ]),
        )
        .token("TOKEN")
        .optional(),
        ArgSpec::new("args", ArgKind::String).token("ARGS").optional(),
        ArgSpec::new(
            "block",
            ArgKind::Block(&[
                ArgSpec::new("block-key", ArgKind::Key),
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
                ArgSpec::new("statement", ArgKind::TransactionStatement).optional().multiple(),
            ]),
        )
        .token("ON")
        .multiple(),
    ],
    reply: "an array with one array for each block, with one reply for each operator in it, in order; null for one whose WHEN is false",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Expr,
        // Of the token's key; that of a document comes after NOMODEL.
        ErrorCode::WrongType,
        ErrorCode::TokenMismatch,
        ErrorCode::TokenExpired,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::BusyKey,
        ErrorCode::Condition,
        ErrorCode::Revision,
        ErrorCode::NoPath,
        ErrorCode::Type,
        ErrorCode::Range,
        ErrorCode::Overflow,
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Limit,
    ],
    replicated: "the changes that were made, those of one key after those of another, in one unit with the token; the command as it is where that says the same, as for MODEL.FIELDOP; nothing when nothing changed",
    examples: &[
        Example(&[
            (&["MODEL.SET", "acct:{a}:1", "any", r#"{"balance":80}"#], "(revision)"),
            (&["MODEL.SET", "acct:{a}:2", "any", r#"{"balance":5}"#], "(revision)"),
            (
                &[
                    "MODEL.TXN",
                    "2",
                    "acct:{a}:1",
                    "acct:{a}:2",
                    "ARGS",
                    r#"{"n":50}"#,
                    "ON",
                    "acct:{a}:1",
                    "IF",
                    "self.balance >= args.n",
                    "INCR",
                    "$.balance",
                    "-50",
                    "ON",
                    "acct:{a}:2",
                    "INCR",
                    "$.balance",
                    "50",
                ],
                "[[30] [55]]",
            ),
            (
                &[
                    "MODEL.TXN",
                    "2",
                    "acct:{a}:1",
                    "acct:{a}:2",
                    "ON",
                    "acct:{a}:2",
                    "INCR",
                    "$.balance",
                    "50",
                    "ON",
                    "acct:{a}:1",
                    "INCR",
                    "$.balance",
                    "-50",
                    "IF",
                    "self.balance >= 0",
                ],
                "CONDITION",
            ),
            (&["MODEL.MGET", "2", "acct:{a}:1", "acct:{a}:2", "$.balance"], "[30 55]"),
        ]),
        Example(&[
            (&["MODEL.SET", "cart:{b}", "any", r#"{"sku":"moka","n":2}"#], "(revision)"),
            (&["MODEL.SET", "stock:{b}:moka", "any", r#"{"left":3}"#], "(revision)"),
            (
                &[
                    "MODEL.TXN",
                    "4",
                    "cart:{b}",
                    "stock:{b}:moka",
                    "order:{b}:1",
                    "paid:{b}:77",
                    "TOKEN",
                    "paid:{b}:77",
                    "ON",
                    "stock:{b}:moka",
                    "EVAL",
                    "$.left",
                    "value - docs['cart:{b}'].n",
                    "IF",
                    "self.left >= 0",
                    "ON",
                    "order:{b}:1",
                    "CREATE",
                    "any",
                    "{}",
                    "EVAL",
                    "$.of",
                    "docs['cart:{b}']",
                    "ON",
                    "cart:{b}",
                    "DELETE",
                ],
                r#"[[1] [(revision) {"sku":"moka","n":2}] [(integer) 1]]"#,
            ),
            (
                &[
                    "MODEL.TXN",
                    "4",
                    "cart:{b}",
                    "stock:{b}:moka",
                    "order:{b}:1",
                    "paid:{b}:77",
                    "TOKEN",
                    "paid:{b}:77",
                    "ON",
                    "cart:{b}",
                    "DELETE",
                ],
                "TOKENMISMATCH",
            ),
            (&["MODEL.GET", "order:{b}:1"], r#"{"of":{"sku":"moka","n":2}}"#),
            (&["MODEL.TXN", "1", "a", "ON", "b", "GET", "$"], "ERR"),
        ]),
    ],
    run,
};

/// The most keys one transaction may name.
pub const KEYS_MAX: usize = 1024;
const STATEMENTS_RESERVED: usize = 4;
/// How long a token is kept where the request does not say: ten minutes.
pub const WINDOW_MS_DEFAULT: u64 = 600_000;
/// The longest a token may be kept: about ten years.
pub const WINDOW_MS_MAX: u64 = 315_360_000_000;

/// What comes before the blocks.
struct Header<'a> {
    /// The keys that documents may be at: all but the token's.
    keys: KeyIndex<'a>,
    /// The first argument that names each of them.
    slots: CountedKeys<'a>,
    token: Option<TokenOption<'a>>,
    /// The position of the JSON behind `ARGS`.
    args_at: Option<usize>,
}

struct TokenOption<'a> {
    key: Key<'a>,
    window_ms: u64,
    /// When the client first sent the request, in unix milliseconds.
    sent_ms: Option<u64>,
    /// The arguments that say all this: a retry may say it differently.
    written: Range<usize>,
}

#[derive(Default)]
struct Body<'a> {
    args: Option<Measured>,
    blocks: SmallVec<[BlockPlan; 2]>,
    /// The models that blocks name behind `INIT`, to be looked up: the number of the block, the name.
    inits: Vec<(usize, &'a [u8])>,
    statements: Statements<'a>,
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let replaying = host.replaying();
    let settings = if replaying { Settings::NONE } else { host.settings() };
    let mut cursor = Args::new(args);
    let header = Header::parse(&mut cursor)?;
    // A request that was committed is answered before it is parsed: limits may have changed since.
    let digest = header.token.as_ref().map(|token| token.digest(args));
    let recorded = match (&header.token, digest) {
        (Some(token), Some(digest)) => recorded(host, token.key, digest),
        _ => Ok(Recorded::Nothing),
    };
    if let Ok(Recorded::Reply(reply)) = recorded {
        return Ok(reply.into());
    }
    let mut body = Body::default();
    // What is wrong with the arguments is said before what is wrong with the token.
    body.parse(args, cursor, &header, &settings, replaying, host)?;
    if let Recorded::Another = recorded? {
        return Err(Error::new(
            ErrorCode::TokenMismatch,
            "the token was used for a different request",
        )
        .text("key", header.token.as_ref().map_or(b"", |token| token.key.name)));
    }
    let now_us = host.now_us();
    if let Some(token) = &header.token {
        token.check_window(now_us)?;
    }
    body.find_models(host.models(), header.keys.names())?;
    let scope = Scope { header: &header, body: &body, settings: &settings, replaying, now_us };
    scope.run(host, digest)
}

impl<'a> Header<'a> {
    /// Reads everything up to the first block.
    fn parse(args: &mut Args<'a>) -> Result<Header<'a>> {
        let mut listed = args.counted_keys()?;
        if listed.len() > KEYS_MAX {
            return Err(Error::limit("transaction-keys", KEYS_MAX as u64));
        }
        let (mut token, mut args_at) = (None, None);
        loop {
            let start = args.position();
            if token.is_none() && args.keyword("TOKEN") {
                token = Some(TokenOption::parse(args, &listed, start)?);
            } else if args_at.is_none() && args.keyword("ARGS") {
                args_at = Some(args.position());
                args.next("a JSON object")?;
            } else {
                break;
            }
        }
        let mut keys = KeyIndex::default();
        let token_key = token.as_ref().map(|token| token.key.name);
        listed.retain(|key| {
            let is_new = Some(key.name) != token_key && keys.find(key.name).is_none();
            if is_new {
                keys.push(key.name);
            }
            is_new
        });
        Ok(Header { keys, slots: listed, token, args_at })
    }

    /// The slot of a block's key.
    fn slot(&self, key: Key<'_>) -> Result<usize> {
        self.keys.find(key.name).ok_or_else(|| {
            let is_token = self.token.as_ref().is_some_and(|token| token.key.name == key.name);
            Error::syntax(match is_token {
                true => "the token's key holds no document",
                false => "the key is not among those listed",
            })
            .text("key", key.name)
        })
    }
}

impl<'a> TokenOption<'a> {
    /// `key [WINDOW ms] [AT unix-ms]`; `start` is where the keyword in front stands.
    fn parse(args: &mut Args<'a>, listed: &[Key<'a>], start: usize) -> Result<TokenOption<'a>> {
        let name = args.next("a token's key")?;
        let key = listed.iter().find(|key| key.name == name).copied().ok_or_else(|| {
            Error::syntax("the token's key is not among those listed").text("key", name)
        })?;
        let (mut window_ms, mut sent_ms) = (None, None);
        loop {
            if window_ms.is_none() && args.keyword("WINDOW") {
                window_ms = Some(parse_window(args.next("a window")?)?);
            } else if sent_ms.is_none() && args.keyword("AT") {
                sent_ms = Some(parse_moment(args.next("a moment")?)?);
            } else {
                break;
            }
        }
        let window_ms = window_ms.unwrap_or(WINDOW_MS_DEFAULT);
        Ok(TokenOption { key, window_ms, sent_ms, written: start..args.position() })
    }

    /// Of the request without what is said of the token.
    fn digest(&self, args: &[&[u8]]) -> Digest {
        let (before, after) = (&args[1..self.written.start], &args[self.written.end..]);
        Digest::of(before.iter().chain(after).copied())
    }

    /// `TOKENEXPIRED` where the token of the first attempt may be gone already.
    fn check_window(&self, now_us: u64) -> Result<()> {
        match self.sent_ms {
            Some(sent_ms) if now_us / 1000 > sent_ms + self.window_ms => {
                Err(Error::new(ErrorCode::TokenExpired, "the token's window is over")
                    .integer("sent", sent_ms as i64)
                    .integer("window", self.window_ms as i64)
                    .text("key", self.key.name))
            }
            _ => Ok(()),
        }
    }

    /// Until when the token is kept: as long as a retry within the window may come, also of a client
    /// whose clock is ahead.
    fn expiry(&self, now_us: u64) -> Expiry {
        let from = self.sent_ms.unwrap_or(0).max(now_us / 1000);
        Expiry::At(from + self.window_ms)
    }
}

fn parse_window(arg: &[u8]) -> Result<u64> {
    match u64::try_from(operand_integer(arg)?) {
        Ok(ms) if ms > WINDOW_MS_MAX => Err(Error::limit("token-window", WINDOW_MS_MAX)),
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err(Error::syntax("a window is at least a millisecond").text("argument", arg)),
    }
}

fn parse_moment(arg: &[u8]) -> Result<u64> {
    let valid = |ms: &u64| *ms <= i64::MAX as u64 / 2;
    u64::try_from(operand_integer(arg)?)
        .ok()
        .filter(valid)
        .ok_or_else(|| Error::syntax("invalid unix time in milliseconds").text("argument", arg))
}

/// What is known of the token.
enum Recorded {
    Nothing,
    Reply(Reply),
    /// Another request was committed under it.
    Another,
}

fn recorded(host: &mut dyn Host, key: Key<'_>, digest: Digest) -> Result<Recorded> {
    let found = host.token(key).map_err(|error| error.text("key", key.name))?;
    Ok(match found {
        None => Recorded::Nothing,
        Some(token) if token.digest == digest => Recorded::Reply(token.reply()),
        Some(_) => Recorded::Another,
    })
}

impl<'a> Body<'a> {
    /// Reads all blocks, to the last argument. The body was made before, because statements are large
    /// and not moved again.
    fn parse(
        &mut self,
        args: &'a [&'a [u8]],
        mut cursor: Args<'a>,
        header: &Header<'a>,
        settings: &Settings,
        replaying: bool,
        host: &mut dyn Host,
    ) -> Result<()> {
        if let Some(at) = header.args_at {
            self.args = Some(super::args::object(args[at], settings)?);
        }
        let mut parsing = Parsing {
            limits: &settings.document,
            paths: &settings.paths,
            compile: &mut |source, names| host.compile(source, names, &settings.expressions),
            transaction: true,
            replaying,
        };
        // Statements are large: room for those of most transactions at once.
        self.statements.reserve(cursor.left().len().min(STATEMENTS_RESERVED));
        while !cursor.is_finished() || self.blocks.is_empty() {
            let number = self.blocks.len() as i64;
            self.parse_block(&mut cursor, header, settings, &mut parsing)
                .map_err(|error| error.integer("block", number))?;
        }
        Ok(())
    }

    fn parse_block(
        &mut self,
        cursor: &mut Args<'a>,
        header: &Header<'a>,
        settings: &Settings,
        parsing: &mut Parsing<'_>,
    ) -> Result<()> {
        if !cursor.keyword(BLOCK) {
            let error = Error::syntax("expected ON and a key");
            return Err(match cursor.left().first() {
                Some(arg) => error.text("argument", arg),
                None => error,
            });
        }
        if self.blocks.len() == crate::txn::STATEMENTS_MAX {
            return Err(Error::limit("blocks", crate::txn::STATEMENTS_MAX as u64));
        }
        let key = cursor.key()?;
        let slot = header.slot(key)?;
        self.parse_options_and_statements(slot, cursor, settings, parsing)
            .map_err(|error| error.text("key", key.name))
    }

    fn parse_options_and_statements(
        &mut self,
        slot: usize,
        cursor: &mut Args<'a>,
        settings: &Settings,
        parsing: &mut Parsing<'_>,
    ) -> Result<()> {
        let (mut init, mut make_path, mut expiry) = (None, false, None);
        loop {
            if init.is_none() && cursor.keyword("INIT") {
                let (model, content) = cursor.model_and_json(settings)?;
                self.inits.push((self.blocks.len(), model));
                init = Some((None, content));
            } else if !make_path && cursor.keyword("MKPATH") {
                make_path = true;
            } else if expiry.is_none() {
                expiry = cursor.expiry_option()?;
                if expiry.is_none() {
                    break;
                }
            } else {
                break;
            }
        }
        let first = self.statements.len();
        let used = parse_block(cursor.left(), parsing, &mut self.statements)?;
        cursor.skip(used);
        let statements = first..self.statements.len();
        self.blocks.push(BlockPlan { slot, init, make_path, expiry, statements });
        Ok(())
    }

    /// Looks up the models that blocks name.
    fn find_models(&mut self, models: &Models, keys: &[&[u8]]) -> Result<()> {
        for (number, name) in &self.inits {
            let block = &mut self.blocks[*number];
            let found = find_model(models, name).map_err(|error| {
                error.integer("block", *number as i64).text("key", keys[block.slot])
            })?;
            if let Some((model, _)) = &mut block.init {
                *model = found;
            }
        }
        Ok(())
    }

    fn concerns_locks(&self) -> bool {
        self.statements.iter().any(Statement::concerns_locks)
    }

    /// Whether the command says itself what it changes, see `MODEL.FIELDOP`.
    fn is_its_own_effect(&self) -> bool {
        let plain = |block: &BlockPlan| block.init.is_none() && block.expiry.is_none();
        self.blocks.iter().all(plain) && self.statements.iter().all(Statement::repeats_exactly)
    }
}

/// The models that operators on keys name, by the number of the statement.
type StatementModels = Vec<(usize, Option<Arc<Model>>)>;

struct Scope<'s, 'a> {
    header: &'s Header<'a>,
    body: &'s Body<'a>,
    settings: &'s Settings,
    replaying: bool,
    now_us: u64,
}

impl<'s, 'a> Scope<'s, 'a> {
    fn run(&self, host: &mut dyn Host, digest: Option<Digest>) -> Result<Outcome> {
        let models = self.plan_models(host.models())?;
        // Replicas that count along come to the next revision themselves; otherwise it is sent.
        let counted = self.replaying || host.revisions().is_told();
        let may_repeat = counted && self.header.token.is_none() && self.body.is_its_own_effect();
        let revisions = (host.revisions().next(), host.revisions().next_at(self.now_us));
        let slots = &self.header.slots;
        let mut journals: SmallVec<[Journal; 2]> =
            slots.iter().map(|_| host.take_journal()).collect();
        let steady_ms = host.moment().steady_ms;
        let found = host.open_all(slots)?;
        let repeats = may_repeat && (self.replaying || self.repeat_as_they_are(&found));
        let effects = if repeats { Effects::Unrecorded } else { Effects::Recorded };
        let plan = Plan {
            keys: &self.header.keys,
            blocks: &self.body.blocks,
            statements: &self.body.statements,
            models: &models,
            args: self.body.args.as_ref().map(|args| args.value.view()),
            clock: Clock::at(self.now_us),
            expressions: &self.settings.expressions,
            paths: &self.settings.paths,
            changing: Changing {
                limits: &self.settings.document,
                effects,
                replaying: self.replaying,
                steady_ms: if self.body.concerns_locks() { steady_ms } else { 0 },
            },
        };
        let keys = self.header.keys.names().iter();
        let slots = keys
            .zip(found)
            .zip(journals.drain(..))
            .map(|((key, found), journal)| Slot::new(key, found, journal))
            .collect();
        let mut transaction = Transaction::new(&plan, slots);
        let next = if repeats { revisions.0 } else { revisions.1 };
        let ran = transaction.run().and_then(|mut replies| {
            let highest = transaction.number(next, &mut replies);
            let reply = Reply::Array(replies);
            let token = digest.map(|digest| self.record(digest, &reply)).transpose()?;
            Ok((reply, highest, token))
        });
        let (reply, highest, token) = match ran {
            Ok(ran) => ran,
            Err(error) => {
                let journals: SmallVec<[Journal; 2]> = transaction.roll_back().collect();
                journals.into_iter().for_each(|journal| host.keep_journal(journal));
                return Err(error);
            }
        };
        let committed = transaction.commit(self.now_us);
        // From here on nothing is refused.
        if let Some(highest) = highest {
            host.revisions().issue(highest);
        }
        let mut outcome = Outcome::from(reply);
        for (key, committed) in self.header.slots.iter().zip(committed) {
            outcome.effects.extend(self.finish(host, *key, committed, repeats));
        }
        if let (Some(token), Some(option)) = (token, &self.header.token) {
            outcome.effects.push(self.store(host, option, token));
        }
        Ok(outcome)
    }

    fn plan_models(&self, models: &Models) -> Result<StatementModels> {
        let mut found = Vec::new();
        for (number, block) in self.body.blocks.iter().enumerate() {
            for nth in block.statements.clone() {
                let Statement::Operate { spec, args, .. } = &self.body.statements[nth] else {
                    continue;
                };
                if !matches!(spec.run, Run::Key(_)) || args.is_empty() {
                    continue;
                }
                let model = find_model(models, args[0].text().as_bytes()).map_err(|error| {
                    error
                        .integer("statement", (nth - block.statements.start) as i64)
                        .text("operator", spec.name.as_bytes())
                        .integer("block", number as i64)
                        .text("key", self.header.keys.names()[block.slot])
                })?;
                found.push((nth, model));
            }
        }
        Ok(found)
    }

    fn repeat_as_they_are(&self, found: &[Option<&mut Document>]) -> bool {
        let mut documents =
            self.body.blocks.iter().filter_map(|block| found[block.slot].as_deref());
        documents.all(repeats_as_it_is)
    }

    /// What the token will hold; `LIMIT` where that is too much.
    fn record(&self, digest: Digest, reply: &Reply) -> Result<Token> {
        let token = Token::new(digest, reply);
        let most = self.settings.transactions.token_reply_bytes;
        if token.reply_bytes() as u64 > most {
            return Err(Error::limit("model.token-reply-bytes", most));
        }
        Ok(token)
    }

    /// Does to a key what the transaction decided.
    fn finish(
        &self,
        host: &mut dyn Host,
        key: Key<'_>,
        committed: Committed,
        repeats: bool,
    ) -> Option<KeyEffect> {
        let Committed { became, expiry: option, ends_at, journal, released } = committed;
        let told = self.replaying || (repeats && matches!(became, Became::Changed { .. }));
        let effect = match became {
            Became::Untouched => None,
            Became::Removed => {
                host.remove(key);
                let generic_event = Some(c"del");
                let key_arg = key.arg;
                let sent = Sent::Unlink;
                Some(KeyEffect { key_arg, event: None, generic_event, signalled: true, sent })
            }
            Became::Made { document, anew } => {
                let effect = self.finish_made(host, key, document, option, ends_at);
                // Whoever held the one that was deleted holds nothing any more.
                if anew {
                    locking::end_all(host, key);
                }
                Some(effect)
            }
            Became::Changed { revision, definition } => {
                let expiry = self.expire(host, key, option, ends_at, Expiry::Keep);
                let change = Change::Edit { edits: journal.effects(), definition };
                let sent = match repeats {
                    true => Sent::Command,
                    false => Sent::Effect(Effect { revision, expiry, change }.encode(), None),
                };
                Some(KeyEffect {
                    key_arg: key.arg,
                    event: Some(c"model.update"),
                    generic_event: expiry_event(expiry),
                    signalled: true,
                    sent,
                })
            }
            Became::Read { revision } => {
                let expiry = self.expire(host, key, option, ends_at, Expiry::Keep);
                let effect = Effect { revision, expiry, change: Change::Touch };
                (expiry != Expiry::Keep).then(|| KeyEffect {
                    key_arg: key.arg,
                    event: None,
                    generic_event: expiry_event(expiry),
                    signalled: option.is_some(),
                    sent: Sent::Effect(effect.encode(), None),
                })
            }
        };
        host.keep_journal(journal);
        locking::release(host, key, &released, told);
        effect
    }

    fn finish_made(
        &self,
        host: &mut dyn Host,
        key: Key<'_>,
        document: Document,
        option: Option<ExpiryOption>,
        ends_at: Option<EndsAt>,
    ) -> KeyEffect {
        let (revision, definition) = (document.revision, document.definition_version());
        let model = document.model.clone();
        let mut json = Vec::new();
        print::json(document.root.view(), &mut json);
        host.put(key, document);
        // What another document had left of its time does not pass on.
        let expiry = self.expire(host, key, option, ends_at, Expiry::Persist);
        let model = model.as_ref().map_or(ANY_NAME, |model| model.name());
        let change = Change::Put { model, definition, ahead: 0 };
        let effect = Effect { revision, expiry, change }.encode();
        KeyEffect {
            key_arg: key.arg,
            event: Some(c"model.set"),
            generic_event: matches!(expiry, Expiry::At(_)).then_some(c"expire"),
            signalled: true,
            sent: Sent::Effect(effect, Some(JsonText::Made(json))),
        }
    }

    /// Changes the time to live as a block asked for, or else as the model wants it, or else to
    /// `otherwise`; `Keep` where that changes nothing.
    fn expire(
        &self,
        host: &mut dyn Host,
        key: Key<'_>,
        option: Option<ExpiryOption>,
        ends_at: Option<EndsAt>,
        otherwise: Expiry,
    ) -> Expiry {
        let expiry = match (option, ends_at) {
            (Some(option), _) => option.at(self.now_us),
            (None, Some(ends)) if ends.is_near(host.expires_at(key)) => Expiry::Keep,
            (None, Some(ends)) => Expiry::At(ends.unix_ms),
            (None, None) => otherwise,
        };
        if host.expire(key, expiry) { expiry } else { Expiry::Keep }
    }

    /// Records the reply under the token.
    fn store(&self, host: &mut dyn Host, option: &TokenOption<'_>, token: Token) -> KeyEffect {
        let expiry = option.expiry(self.now_us);
        let encoded = token.encode();
        let effect = Effect { revision: 0, expiry, change: Change::Token(&encoded) }.encode();
        host.put_token(option.key, token);
        host.expire(option.key, expiry);
        KeyEffect {
            key_arg: option.key.arg,
            event: Some(c"model.token"),
            generic_event: Some(c"expire"),
            signalled: true,
            sent: Sent::Effect(effect, None),
        }
    }
}
