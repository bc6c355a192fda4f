//! `MODEL.TXN`: changes and reads several documents, all or nothing.

mod request;

use std::sync::Arc;

use smallvec::SmallVec;

use self::request::{Body, Header, TokenOption};
use super::args::{ARGS, Args, EXPIRY, INIT, MKPATH, find_model};
use super::fieldop::{expiry_event, repeats_as_it_is};
use super::host::{Host, JsonText, Key, KeyEffect, Outcome, Sent, Settings};
use super::locking;
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys};
use crate::budget::Allowance;
use crate::codec::effect::{Change, Effect, Expiry};
use crate::codec::token::{Digest, Token};
use crate::document::{ANY_NAME, Document, NewDocument};
use crate::error::{Error, ErrorCode, Result};
use crate::model::{Model, Models};
use crate::op::{Clock, Run};
use crate::reply::Reply;
use crate::txn::{
    Became, Changing, Committed, EndsAt, ExpiryOption, Plan, Slot, Statement, Transaction,
};
use crate::value::edit::{Effects, Journal};
use crate::value::print;

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
        ARGS,
        ArgSpec::new(
            "block",
            ArgKind::Block(&[
                ArgSpec::new("block-key", ArgKind::Key),
                INIT,
                MKPATH,
                EXPIRY,
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
        ErrorCode::LockLost,
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
/// How long a token is kept where the request does not say: ten minutes.
pub const WINDOW_MS_DEFAULT: u64 = 600_000;
/// The longest a token may be kept: about ten years.
pub const WINDOW_MS_MAX: u64 = 315_360_000_000;

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
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
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
    let (settings, allowance) = (&settings, &allowance);
    let scope = Scope { header: &header, body: &body, settings, allowance, replaying, now_us };
    scope.run(host, digest)
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

/// The models that operators on keys name, by the number of the statement.
type StatementModels = Vec<(usize, Option<Arc<Model>>)>;

struct Scope<'s, 'a> {
    header: &'s Header<'a>,
    body: &'s Body<'a>,
    settings: &'s Settings,
    allowance: &'s Allowance<'s>,
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
        let allowance = self.allowance;
        found.iter().flatten().for_each(|document| allowance.own(document.size()));
        let plan = Plan {
            keys: &self.header.keys,
            blocks: &self.body.blocks,
            statements: &self.body.statements,
            models: &models,
            args: self.body.args.as_ref().map(|args| args.value.view()),
            clock: Clock::at(self.now_us),
            expressions: &self.settings.expressions,
            allowance,
            changing: Changing {
                limits: &self.settings.document,
                allowance,
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
        outcome.effects.reserve(self.header.slots.len() + usize::from(token.is_some()));
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
        document: NewDocument,
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
