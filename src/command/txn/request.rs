//! The arguments of a transaction: the keys and options, then the blocks.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::argument;
use crate::budget::Allowance;
use crate::command::args::{Args, CountedKeys, find_model, parse_current};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::host::{Host, Key, Settings};
use crate::keys::KeyIndex;
use crate::limit;
use crate::model::{Model, Models};
use crate::op::{Action, Parsing};
use crate::path::Binding;
use crate::token::Digest;
use crate::txn::{BLOCK, Block, Content, Statement, Statements, parse_block};
use crate::value::Measured;

/// The most keys one transaction may name.
pub const KEYS_MAX: usize = limit::TRANSACTION_KEYS.default as usize;
/// The time for which a token is kept by default: ten minutes.
pub const WINDOW_MS_DEFAULT: u64 = 600_000;
/// The longest a token may be kept: about ten years.
pub const WINDOW_MS_MAX: u64 = limit::TOKEN_WINDOW.default;

/// The statements of an ordinary transaction of few keys.
const STATEMENTS_RESERVED: usize = 4;

/// The arguments before the blocks.
pub struct Header<'a> {
    /// The keys that documents may be at: all but the token's.
    pub keys: KeyIndex<'a>,
    /// The first argument that names each of them.
    pub slots: CountedKeys<'a>,
    pub token: Option<TokenOption<'a>>,
    /// The JSON text behind `ARGS`.
    pub args: Option<&'a [u8]>,
}

pub struct TokenOption<'a> {
    pub key: Key<'a>,
    pub window_ms: u64,
    /// The time at which the client first sent the request, in unix milliseconds.
    pub sent_ms: Option<u64>,
    /// The arguments of this option, which may differ in a retry.
    pub written: Range<usize>,
}

#[derive(Default)]
pub struct TxnBody<'a> {
    pub args: Option<Measured>,
    pub blocks: SmallVec<[Block<'a>; 2]>,
    /// The models that blocks name behind `INIT`, to be looked up: the number of the block, the name.
    pub inits: Vec<(usize, &'a [u8])>,
    pub statements: Statements<'a>,
}

impl<'a> Header<'a> {
    /// Reads everything up to the first block.
    pub fn parse(args: &mut Args<'a>) -> Result<Header<'a>> {
        let mut listed = args.counted_keys()?;
        if listed.len() > KEYS_MAX {
            return Err(Error::limit(limit::TRANSACTION_KEYS, KEYS_MAX as u64));
        }
        let (mut token, mut args_object) = (None, None);
        loop {
            let start = args.position();
            if token.is_none() && args.keyword("TOKEN") {
                token = Some(TokenOption::parse(args, &listed, start)?);
            } else if args_object.is_none() && args.keyword("ARGS") {
                args_object = Some(args.next("a JSON object")?);
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
        Ok(Header { keys, slots: listed, token, args: args_object })
    }

    /// The slot of a block's key.
    pub fn slot(&self, key: Key<'_>) -> Result<usize> {
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
    pub fn parse(args: &mut Args<'a>, listed: &[Key<'a>], start: usize) -> Result<TokenOption<'a>> {
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
    pub fn digest(&self, args: &[&[u8]]) -> Digest {
        let (before, after) = (&args[1..self.written.start], &args[self.written.end..]);
        Digest::of(before.iter().chain(after).copied())
    }

    /// `TOKENEXPIRED` where the token of the first attempt may be gone already.
    pub fn check_window(&self, now_us: u64) -> Result<()> {
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
    pub fn expiry(&self, now_us: u64) -> Expiry {
        let from = self.sent_ms.unwrap_or(0).max(now_us / 1000);
        Expiry::At(from + self.window_ms)
    }
}

fn parse_window(arg: &[u8]) -> Result<u64> {
    match u64::try_from(argument::integer(arg)?) {
        Ok(ms) if ms > WINDOW_MS_MAX => Err(Error::limit(limit::TOKEN_WINDOW, WINDOW_MS_MAX)),
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err(Error::syntax("a window is at least a millisecond").text("argument", arg)),
    }
}

fn parse_moment(arg: &[u8]) -> Result<u64> {
    let valid = |ms: &u64| *ms <= i64::MAX as u64 / 2;
    u64::try_from(argument::integer(arg)?)
        .ok()
        .filter(valid)
        .ok_or_else(|| Error::syntax("invalid unix time in milliseconds").text("argument", arg))
}

impl<'a> TxnBody<'a> {
    /// Reads all blocks, to the last argument. The body was made before, because statements are large
    /// and not moved again.
    pub fn parse(
        &mut self,
        mut cursor: Args<'a>,
        header: &Header<'a>,
        settings: &Settings,
        allowance: &Allowance<'_>,
        replaying: bool,
        host: &mut dyn Host,
    ) -> Result<()> {
        let given = match header.args {
            Some(text) => Some(crate::command::args::object(text, settings)?),
            None => None,
        };
        let mut parsing = Parsing {
            limits: &settings.document,
            paths: &settings.paths,
            binding: given.as_ref().map(|args| Binding { args: args.value.view(), allowance }),
            compile: &mut |source, names| {
                host.compile(source, names, &settings.expressions, allowance)
            },
            transaction: true,
            replaying,
        };
        // Statements are large: room for those of most transactions at once, which have a block for each key.
        let keys = header.slots.len();
        self.statements.reserve(cursor.left().len().min(STATEMENTS_RESERVED.max(keys)));
        self.blocks.reserve(keys);
        while !cursor.is_finished() || self.blocks.is_empty() {
            let number = self.blocks.len() as i64;
            self.parse_block(&mut cursor, header, settings, &mut parsing)
                .map_err(|error| error.integer("block", number))?;
        }
        self.args = given;
        Ok(())
    }

    pub fn parse_block(
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
            return Err(Error::limit(limit::BLOCKS, crate::txn::STATEMENTS_MAX as u64));
        }
        let key = cursor.key()?;
        let slot = header.slot(key)?;
        self.parse_options_and_statements(slot, cursor, settings, parsing)
            .map_err(|error| error.text("key", key.name))
    }

    pub fn parse_options_and_statements(
        &mut self,
        slot: usize,
        cursor: &mut Args<'a>,
        settings: &Settings,
        parsing: &mut Parsing<'_>,
    ) -> Result<()> {
        let (mut content, mut make_path, mut expiry, mut current) = (None, false, None, None);
        loop {
            if content.is_none() && cursor.keyword("INIT") {
                let (model, document) = cursor.model_and_json(settings)?;
                self.inits.push((self.blocks.len(), model));
                content = Some(Content::initial(None, document));
            } else if current.is_none() && cursor.keyword("CURRENT") {
                let text = cursor.next("a path")?;
                current = parse_current(Some(text), parsing.paths, parsing.binding)?;
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
        self.blocks.push(Block { slot, content, make_path, expiry, current, statements });
        Ok(())
    }

    /// Looks up the models that blocks name.
    pub fn find_models(&mut self, models: &Models, keys: &[&[u8]]) -> Result<()> {
        for (number, name) in &self.inits {
            let block = &mut self.blocks[*number];
            let found = find_model(models, name).map_err(|error| {
                error.integer("block", *number as i64).text("key", keys[block.slot])
            })?;
            if let Some(content) = &mut block.content {
                content.model = found;
            }
        }
        Ok(())
    }

    /// Looks up the models that operators on keys name.
    pub fn find_statement_models(
        &self,
        models: &Models,
        keys: &[&[u8]],
    ) -> Result<Vec<(usize, Option<Arc<Model>>)>> {
        let mut found = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            for nth in block.statements.clone() {
                let Statement::Operate { spec, args, .. } = &self.statements[nth] else {
                    continue;
                };
                if !matches!(spec.run, Action::Key(_)) || args.is_empty() {
                    continue;
                }
                let model = find_model(models, args[0].text().as_bytes()).map_err(|error| {
                    error
                        .integer("statement", (nth - block.statements.start) as i64)
                        .text("operator", spec.name.as_bytes())
                        .integer("block", number as i64)
                        .text("key", keys[block.slot])
                })?;
                found.push((nth, model));
            }
        }
        Ok(found)
    }
}
