//! The arguments of a transaction: the keys and options, then the blocks.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::argument;
use crate::budget::Allowance;
use crate::command::args::{Args, CountedKeys, find_model, parse_current};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::host::{Host, Key, KeyRole, Settings};
use crate::keys::KeyIndex;
use crate::limit;
use crate::model::{Model, Models};
use crate::native::{self, NATIVE_BLOCK, parse_native};
use crate::op::{Action, Parsing};
use crate::path::Binding;
use crate::token::Digest;
use crate::txn::{
    BLOCK, Block, Content, ContentDocument, GUARD, NativeBlock, STATEMENTS_MAX, Statement,
    Statements, parse_block,
};
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
    /// The number of keys as it is written.
    numkeys: &'a [u8],
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
    pub blocks: SmallVec<[Block<'a>; 4]>,
    /// The models that blocks name behind `INIT`, to be looked up: the number of the block, the name.
    pub inits: Vec<(usize, &'a [u8])>,
    /// The paths behind `CURRENT` that wait for the `args` of a call, by the number of the block.
    pub bound_currents: Vec<(usize, &'a [u8])>,
    pub statements: Statements<'a>,
    /// How many natives all blocks have together.
    natives: usize,
}

/// The keys of a command, and the options in front of its blocks.
struct ListedKeys<'a> {
    numkeys: &'a [u8],
    keys: CountedKeys<'a>,
    token: Option<TokenOption<'a>>,
    args: Option<&'a [u8]>,
}

impl<'a> ListedKeys<'a> {
    /// `numkeys key [key ...] [TOKEN ...] [ARGS json]`.
    #[inline(always)]
    fn parse(args: &mut Args<'a>) -> Result<ListedKeys<'a>> {
        let numkeys = args.left().first().copied().unwrap_or_default();
        let keys = args.counted_keys()?;
        if keys.len() > KEYS_MAX {
            return Err(Error::limit(limit::TRANSACTION_KEYS, KEYS_MAX as u64));
        }
        let (mut token, mut args_object) = (None, None);
        loop {
            let start = args.position();
            if token.is_none() && args.keyword("TOKEN") {
                token = Some(TokenOption::parse(args, &keys, start)?);
            } else if args_object.is_none() && args.keyword("ARGS") {
                args_object = Some(args.next("a JSON object")?);
            } else {
                break;
            }
        }
        Ok(ListedKeys { numkeys, keys, token, args: args_object })
    }
}

/// The keys of a called action, in the order of its roles, and the options.
pub struct CallKeys<'a> {
    /// The different keys. The position of one is its slot.
    pub slots: CountedKeys<'a>,
    /// The slot of each listed key but the token's.
    pub of_listed: SmallVec<[usize; 4]>,
    pub token: Option<TokenOption<'a>>,
    /// The JSON text behind `ARGS`.
    pub args: Option<&'a [u8]>,
}

impl<'a> CallKeys<'a> {
    /// Reads everything behind the action's name.
    pub fn parse(args: &mut Args<'a>) -> Result<CallKeys<'a>> {
        let mut listed = ListedKeys::parse(args)?;
        let mut keys = KeyIndex::default();
        let mut of_listed = SmallVec::new();
        let token_key = listed.token.as_ref().map(|token| token.key.name);
        listed.keys.retain(|key| {
            if Some(key.name) == token_key {
                return false;
            }
            let known = keys.find(key.name);
            of_listed.push(known.unwrap_or_else(|| keys.push(key.name)));
            known.is_none()
        });
        let ListedKeys { keys: slots, token, args, .. } = listed;
        Ok(CallKeys { slots, of_listed, token, args })
    }
}

/// The keys that blocks may be about, or the names that stand for them.
pub trait BlockPlaces {
    /// The word under which an error has one.
    fn noun(&self) -> &'static str;

    /// The refusal of a word that begins no block. Behind the first keys, a wrong count of them is the likely mistake.
    fn expected(&self, is_first: bool) -> Error;

    /// The slot of a block's key, or the number of its role.
    fn slot(&self, key: Key<'_>) -> Result<usize>;
}

impl<'a> Header<'a> {
    /// Reads everything up to the first block.
    pub fn parse(args: &mut Args<'a>) -> Result<Header<'a>> {
        let ListedKeys { numkeys, keys: mut listed, token, args: args_object } =
            ListedKeys::parse(args)?;
        let mut keys = KeyIndex::default();
        let token_key = token.as_ref().map(|token| token.key.name);
        listed.retain(|key| {
            let is_new = Some(key.name) != token_key && keys.find(key.name).is_none();
            if is_new {
                keys.push(key.name);
            }
            is_new
        });
        Ok(Header { numkeys, keys, slots: listed, token, args: args_object })
    }
}

impl BlockPlaces for Header<'_> {
    fn noun(&self) -> &'static str {
        "key"
    }

    fn expected(&self, is_first: bool) -> Error {
        match is_first {
            true => {
                Error::syntax("expected ON or AT and a key behind the keys that numkeys counts")
                    .text("numkeys", self.numkeys)
            }
            false => Error::syntax("expected ON or AT and a key"),
        }
    }

    fn slot(&self, key: Key<'_>) -> Result<usize> {
        self.keys.find(key.name).ok_or_else(|| {
            let is_token = self.token.as_ref().is_some_and(|token| token.key.name == key.name);
            Error::syntax(match is_token {
                true => {
                    "this key is the token's, which holds nothing else: TOKEN needs a key of its own"
                }
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
            } else if sent_ms.is_none() && !begins_natives(args.left()) && args.keyword("AT") {
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
        Digest::of(self.identifying(args))
    }

    /// As [`TokenOption::digest`], of a call: it never equals that of a transaction.
    pub fn digest_of_call(&self, args: &[&[u8]]) -> Digest {
        Digest::of([&b"MODEL.CALL"[..]].into_iter().chain(self.identifying(args)))
    }

    fn identifying<'s>(&self, args: &'s [&'s [u8]]) -> impl Iterator<Item = &'s [u8]> {
        let (before, after) = (&args[1..self.written.start], &args[self.written.end..]);
        before.iter().chain(after).copied()
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

/// Returns true if the arguments begin with a block of natives, and not with the time of `AT unix-ms`: behind the key
/// stands a native or its guard, behind a time neither.
fn begins_natives(args: &[&[u8]]) -> bool {
    let [word, _, behind, ..] = args else { return false };
    let is = |known: &str, word: &[u8]| word.eq_ignore_ascii_case(known.as_bytes());
    is(NATIVE_BLOCK, word) && (is(GUARD, behind) || native::find(behind).is_some())
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
            binding: given
                .as_ref()
                .map(|args| Binding::Args { args: args.value.view(), allowance }),
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
        self.parse_blocks(&mut cursor, header, settings, &mut parsing)?;
        self.args = given;
        Ok(())
    }

    /// Reads all blocks, one at least, to the last argument.
    pub fn parse_blocks(
        &mut self,
        cursor: &mut Args<'a>,
        places: &dyn BlockPlaces,
        settings: &Settings,
        parsing: &mut Parsing<'_>,
    ) -> Result<()> {
        while !cursor.is_finished() || self.blocks.is_empty() {
            let number = self.blocks.len() as i64;
            self.parse_block(cursor, places, settings, parsing)
                .map_err(|error| error.integer("block", number))?;
        }
        Ok(())
    }

    pub fn parse_block(
        &mut self,
        cursor: &mut Args<'a>,
        places: &dyn BlockPlaces,
        settings: &Settings,
        parsing: &mut Parsing<'_>,
    ) -> Result<()> {
        if cursor.keyword(NATIVE_BLOCK) {
            return self.parse_natives(cursor, places, parsing);
        }
        if !cursor.keyword(BLOCK) {
            let error = places.expected(self.blocks.is_empty());
            return Err(match cursor.left().first() {
                Some(arg) => error.text("argument", arg),
                None => error,
            });
        }
        self.check_blocks()?;
        let key = cursor.key()?;
        let slot = places.slot(key)?;
        self.parse_options_and_statements(slot, cursor, settings, parsing)
            .map_err(|error| error.text(places.noun(), key.name))
    }

    fn check_blocks(&self) -> Result<()> {
        match self.blocks.len() {
            STATEMENTS_MAX => Err(Error::limit(limit::BLOCKS, STATEMENTS_MAX as u64)),
            _ => Ok(()),
        }
    }

    /// `key native [native ...]`.
    #[inline(never)]
    pub fn parse_natives(
        &mut self,
        cursor: &mut Args<'a>,
        places: &dyn BlockPlaces,
        parsing: &mut Parsing<'_>,
    ) -> Result<()> {
        self.check_blocks()?;
        let key = cursor.key()?;
        let slot = places.slot(key)?;
        let mut statements = SmallVec::new();
        loop {
            let left = cursor.left();
            let [word, rest @ ..] = left else { break };
            let begins = |block: &str| word.eq_ignore_ascii_case(block.as_bytes());
            if begins(BLOCK) || begins(NATIVE_BLOCK) {
                break;
            }
            let parsed = match self.statements.len() + self.natives {
                STATEMENTS_MAX => Err(Error::limit(limit::STATEMENTS, STATEMENTS_MAX as u64)),
                _ => parse_native(word, rest, parsing),
            };
            let (statement, used) = parsed.map_err(|error| {
                error.integer("statement", statements.len() as i64).text(places.noun(), key.name)
            })?;
            cursor.skip(1 + used);
            statements.push(statement);
            self.natives += 1;
        }
        if statements.is_empty() {
            return Err(Error::syntax("AT needs a native command").text(places.noun(), key.name));
        }
        let natives = Some(Arc::new(NativeBlock { statements }));
        self.blocks.push(Block { slot, natives, ..Block::default() });
        Ok(())
    }

    /// Returns true if a block has natives or an expression reads structures of the server.
    pub fn uses_natives(&self) -> bool {
        self.natives > 0 || self.statements.iter().any(Statement::reads_native)
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
                content = Some(Content::initial(None, ContentDocument::given(document)));
            } else if current.is_none() && cursor.keyword("CURRENT") {
                let text = cursor.next("a path")?;
                current = parse_current(Some(text), parsing.paths, parsing.binding)?;
                if let Some(Binding::Later(reads_args)) = parsing.binding
                    && reads_args.take()
                {
                    self.bound_currents.push((self.blocks.len(), text));
                }
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
        if self.statements.len() + self.natives > STATEMENTS_MAX {
            return Err(Error::limit(limit::STATEMENTS, STATEMENTS_MAX as u64));
        }
        let statements = first..self.statements.len();
        self.blocks.push(Block {
            slot,
            content,
            make_path,
            expiry,
            current,
            statements,
            ..Block::default()
        });
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
                let Some(name) = model_of(&self.statements[nth]) else { continue };
                let model = find_statement_model(models, name, nth - block.statements.start)
                    .map_err(|error| {
                        error.integer("block", number as i64).text("key", keys[block.slot])
                    })?;
                found.push((nth, model));
            }
        }
        Ok(found)
    }
}

/// A model that an operator on a key names, with the operator's name.
#[derive(Clone, Copy)]
pub struct StatementModel<'s> {
    pub operator: &'static str,
    pub model: &'s str,
}

/// The model that a statement names.
pub fn model_of<'s>(statement: &'s Statement<'_>) -> Option<StatementModel<'s>> {
    let Statement::Operate { spec, args, .. } = statement else { return None };
    let names_one = matches!(spec.run, Action::Key(_)) && !args.is_empty();
    names_one.then(|| StatementModel { operator: spec.name, model: args[0].text() })
}

/// Looks up the model of a statement, whose number in its block is this one.
pub fn find_statement_model(
    models: &Models,
    named: StatementModel<'_>,
    number: usize,
) -> Result<Option<Arc<Model>>> {
    find_model(models, named.model.as_bytes()).map_err(|error| {
        error.integer("statement", number as i64).text("operator", named.operator.as_bytes())
    })
}

/// The use of each key; none where no block has natives and no expression reads structures of the server.
/// `ERR` for a key that is used as a document and by natives.
pub fn key_roles(
    blocks: &[Block<'_>],
    uses_natives: bool,
    keys: &[Key<'_>],
) -> Result<Option<SmallVec<[KeyRole; 8]>>> {
    if !uses_natives {
        return Ok(None);
    }
    let mut roles = SmallVec::from_elem(KeyRole::Other, keys.len());
    for block in blocks.iter().filter(|block| block.natives.is_none()) {
        roles[block.slot] = KeyRole::Document;
    }
    for (number, block) in blocks.iter().enumerate() {
        let Some(natives) = &block.natives else { continue };
        if roles[block.slot] == KeyRole::Document {
            let message = "the key stands behind ON and behind AT";
            return Err(Error::syntax(message)
                .integer("block", number as i64)
                .text("key", keys[block.slot].name));
        }
        if natives.statements.iter().any(|native| !native.spec.channel) {
            roles[block.slot] = KeyRole::Native;
        }
    }
    Ok(Some(roles))
}
