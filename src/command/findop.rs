//! `MODEL.FINDOP`: finds documents of a model and changes them, all or nothing.
//!
//! Looking for documents and changing them is one step, so nothing comes between the condition and the statements. Each
//! document found is a block of a transaction with the same statements; the engine is that of `MODEL.TXN`.

use std::sync::Arc;

use smallvec::SmallVec;

use super::args::{ARGS, Args, CountedKeys, EXPIRY, MKPATH, is_word};
use super::finding::{DocumentQuery, DocumentSearch, Next, parse_limit};
use super::host::{ClaimWait, Host, Key, Outcome, Settings};
use super::locking::{WAIT, parse_wait};
use super::txn::{BlockPlaces, KEYS_MAX, TxnBody, find_statement_model, key_roles, model_of};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::claim::ClaimQuestion;
use crate::error::{Detail, Error, ErrorCode, Result};
use crate::index::{EntryPage, hash_slot};
use crate::keys::KeyIndex;
use crate::limit;
use crate::model::{Model, Models};
use crate::op::Parsing;
use crate::path::Binding;
use crate::reply::Reply;
use crate::token::Digest;
use crate::txn::{
    self, Block, DocNames, ExpiryOption, ReplyForm, Request, StatementTraits, parse_block,
};
use crate::value::wire::put_text;

/// The documents of one call by default.
const LIMIT_DEFAULT: usize = 1;
/// The search ends with what it has found when it has this part of the budget left: the rest is for the statements.
const RESERVE: u64 = 2;
/// Steps of a block, beside its statements.
const BLOCK_STEPS: u64 = 20;

#[linkme::distributed_slice(COMMANDS)]
static FINDOP: CommandSpec = CommandSpec {
    name: "MODEL.FINDOP",
    summary: "Finds documents of a model and changes them, all or nothing",
    since: "0.5.0",
    complexity: "That of MODEL.FIND, and the sum of the statements over the documents found",
    arity: -4,
    flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
    keys: KeyPositions::Counted(1),
    tips: &[],
    args: &[
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).optional().multiple(),
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("expr", ArgKind::String).token("WHERE").optional(),
        ArgSpec::new(
            "order",
            ArgKind::Block(&[
                ArgSpec::new("index", ArgKind::String),
                ArgSpec::new("desc", ArgKind::Token).token("DESC").optional(),
            ]),
        )
        .token("ORDER")
        .optional(),
        ARGS,
        ArgSpec::new("limit", ArgKind::Integer).token("LIMIT").optional(),
        WAIT,
        ArgSpec::new("scan", ArgKind::Token).token("SCAN").optional(),
        ArgSpec::new(
            "do",
            ArgKind::Block(&[
                MKPATH,
                EXPIRY,
                ArgSpec::new("statement", ArgKind::TransactionStatement).optional().multiple(),
            ]),
        )
        .token("DO"),
        ArgSpec::new(
            "natives",
            ArgKind::Block(&[
                ArgSpec::new("native-key", ArgKind::Key),
                ArgSpec::new("native", ArgKind::Native).multiple(),
            ]),
        )
        .token("AT")
        .optional()
        .multiple(),
    ],
    reply: "an array with one [key, revision, [reply ...]] for each document that was found and changed, in the order in which they were found; empty where no document fulfils the condition. The revision is the one after the change, null for a document that is deleted; there is one reply for each operator and for each native, null for one whose WHEN is false. At most limit documents (1 by default; at most 1000, `findop-limit`). Documents that the caller may not both read and write are skipped. In a cluster a key is required: its hash slot is searched. With WAIT a request that finds nothing waits in the server, first come, first served, until a document fulfils the condition, or that many milliseconds are over: then the reply is empty, as it is at once in MULTI and in scripts",
    errors: &[
        ErrorCode::Err,
        ErrorCode::NoModel,
        ErrorCode::NoIndex,
        ErrorCode::Indexing,
        ErrorCode::TryAgain,
        ErrorCode::Expr,
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
        ErrorCode::Unique,
        ErrorCode::NoPerm,
        ErrorCode::Limit,
    ],
    replicated: "the changes, document by document, in one unit; natives as the server's own commands, in the same unit; never the command, so that replicas look for nothing; nothing if nothing changed",
    examples: &[
        CommandExample(&[
            Line::new("MODEL.DEFINE job {} INDEX due 2 $.queue $.due", "(integer) 1"),
            Line::new(r#"MODEL.SET j:1 job '{"queue":"mail","due":30,"tries":0}'"#, "(revision)"),
            Line::new(r#"MODEL.SET j:2 job '{"queue":"mail","due":10,"tries":0}'"#, "(revision)"),
            Line::new(
                r#"MODEL.FINDOP 0 job WHERE "self.queue == 'mail' && self.due <= args.now" ORDER due ARGS '{"now":40}' DO SET $.due 70 INCR $.tries 1 GET $"#,
                r#"[[j:2 (revision) [(integer) 1 1 {"queue":"mail","due":70,"tries":1}]]]"#,
            ),
            Line::new(
                r#"MODEL.FINDOP 0 job WHERE "self.queue == 'mail'" LIMIT 10 DO INCR $.tries 1 IF 'self.tries < 2'"#,
                "CONDITION",
            ),
            Line::new(
                r#"MODEL.FINDOP 0 job WHERE "self.queue == 'mail'" LIMIT 10 DO DELETE"#,
                "[[j:1 (nil) [(integer) 1]] [j:2 (nil) [(integer) 1]]]",
            ),
            Line::new(r#"MODEL.FINDOP 0 job WHERE "self.queue == 'mail'" DO DELETE"#, "[]"),
            Line::new("MODEL.FINDOP 0 job WHERE self.tries==1 DO DELETE", "NOINDEX"),
            Line::new("MODEL.FINDOP 0 none DO DELETE", "NOMODEL"),
            Line::new("MODEL.FINDOP 0 job DO", "ERR"),
            Line::new("MODEL.FINDOP 0 job LIMIT 0 DO DELETE", "ERR"),
            Line::new("MODEL.FINDOP 0 job LIMIT 1001 DO DELETE", "LIMIT"),
        ]),
        CommandExample(&[
            Line::new("MODEL.DEFINE task {} INDEX state 1 $.state", "(integer) 1"),
            Line::new(r#"MODEL.SET t:{q}:1 task '{"state":"failed","of":"ann"}'"#, "(revision)"),
            Line::new(
                r#"MODEL.FINDOP 2 dead:{q} failed:{q} task WHERE "self.state == 'failed'" DO DELETE AT dead:{q} RPUSH '=key' AT failed:{q} ZINCRBY 1 '=self.of'"#,
                "[[t:{q}:1 (nil) [(integer) 1 (integer) 1 1]]]",
            ),
        ]),
    ],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    // Names of documents are lent to the same places as those of the arguments.
    let mut found = EntryPage::for_entries(0);
    let mut parsed = FindopArguments::default();
    let mut words = Args::new(args);
    parsed.parse_query(&mut words, &settings)?;
    let only = host.only_document();
    let mut is_planned = false;
    if let Some(key) = &only {
        // The statements of a client that waited were read when it came: most documents offered to it do not fit.
        parsed.confine(host)?;
        let mut search = DocumentSearch::unplanned(host, &parsed.query, &settings, &allowance)?;
        search.examine(host, &allowance, key, &mut |name, _| {
            found.push(name);
            Ok(Next::Stop)
        })?;
        if found.is_empty() {
            return Ok(Reply::Array(Vec::new()).into());
        }
        // It was planned when it came, and nothing is searched. While an index is being built, it goes on waiting.
        is_planned = !search.awaits_index();
    }
    parsed.parse_changes(words, &settings, &allowance, host)?;
    parsed.confine(host)?;
    let models = parsed.statement_models(host.models())?;
    if is_planned {
        return parsed.change(host, args.len(), (&found, &models), &settings, &allowance);
    }
    let mut search = DocumentSearch::plan(host, &parsed.query, &settings, &allowance)?;
    let waits = parsed.wait_ms.is_some_and(|ms| ms > 0) && host.may_wait();
    if waits && host.claim_line(parsed.model()).is_busy {
        return parsed.line_up(host, &settings, args, (search.reads_clock(), true));
    }
    let limit = parsed.limit.unwrap_or(LIMIT_DEFAULT);
    if only.is_none() {
        find(host, &mut search, limit, (&settings, &allowance), &mut found)?;
    }
    match found.is_empty() {
        true if waits => {
            return parsed.line_up(host, &settings, args, (search.reads_clock(), false));
        }
        true => return Ok(Reply::Array(Vec::new()).into()),
        false => {}
    }
    parsed.change(host, args.len(), (&found, &models), &settings, &allowance)
}

/// Adds the keys of documents that fulfil the condition, in their order. `LIMIT` where none was found among the entries
/// that a command may look at: that is not to be taken for none at all.
fn find(
    host: &mut dyn Host,
    search: &mut DocumentSearch<'_>,
    limit: usize,
    (settings, allowance): (&Settings, &Allowance<'_>),
    found: &mut EntryPage,
) -> Result<()> {
    let most = settings.finding.entries;
    let reserve = settings.work.command_steps / RESERVE;
    let more = search.run(
        host,
        allowance,
        limit,
        |counts| counts.looked >= most || (counts.matched > 0 && allowance.steps_left() < reserve),
        |name, _| {
            found.push(name);
            Ok(if found.len() == limit { Next::Stop } else { Next::GoOn })
        },
    )?;
    match more {
        Some(_) if found.is_empty() => Err(Error::limit(limit::FIND_ENTRIES, most)),
        _ => Ok(()),
    }
}

/// Returns true if the document at a key fulfils the condition of a request that waits, and its user may change it.
pub fn fits_question(host: &mut dyn Host, args: &[&[u8]], key: &[u8]) -> bool {
    let fits = with_query(host, args, |host, query, (settings, allowance)| {
        let mut search = DocumentSearch::unplanned(host, query, settings, allowance)?;
        search.examine(host, allowance, key, &mut |_, _| Ok(Next::Stop))
    });
    fits.is_ok_and(|next| next == Next::Stop)
}

/// Searches for the first document that a request which waits would change.
pub fn ask_for_one(host: &mut dyn Host, args: &[&[u8]]) -> Result<Option<Vec<u8>>> {
    with_query(host, args, |host, query, (settings, allowance)| {
        let mut search = DocumentSearch::plan(host, query, settings, allowance)?;
        let mut found = EntryPage::for_entries(1);
        find(host, &mut search, 1, (settings, allowance), &mut found)?;
        Ok(found.last().map(<[u8]>::to_vec))
    })
}

/// Calls with the query of a request, whose statements are not read.
fn with_query<T>(
    host: &mut dyn Host,
    args: &[&[u8]],
    ask: impl FnOnce(&mut dyn Host, &DocumentQuery<'_>, (&Settings, &Allowance<'_>)) -> Result<T>,
) -> Result<T> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut parsed = FindopArguments::default();
    parsed.parse_query(&mut Args::new(args), &settings)?;
    parsed.confine(host)?;
    ask(host, &parsed.query, (&settings, &allowance))
}

/// Models by the numbers of the statements that name them.
type StatementModels = Vec<(usize, Option<Arc<Model>>)>;

/// The parsed arguments.
#[derive(Default)]
struct FindopArguments<'a> {
    /// The different ones of those listed.
    keys: CountedKeys<'a>,
    query: DocumentQuery<'a>,
    limit: Option<usize>,
    wait_ms: Option<u64>,
    /// The words that say which documents are wanted.
    question: SmallVec<[&'a [u8]; 8]>,
    make_path: bool,
    expiry: Option<ExpiryOption>,
    /// The statements, and the blocks of natives alone.
    body: TxnBody<'a>,
}

impl<'a> FindopArguments<'a> {
    /// Reads everything up to the statements.
    fn parse_query(&mut self, args: &mut Args<'a>, settings: &Settings) -> Result<()> {
        let listed = args.at_least_keys(0)?;
        if listed.len() > KEYS_MAX {
            return Err(Error::limit(limit::TRANSACTION_KEYS, KEYS_MAX as u64));
        }
        let mut names = KeyIndex::default();
        for key in listed {
            if names.find(key.name).is_none() {
                names.push(key.name);
                self.keys.push(key);
            }
        }
        self.query = DocumentQuery {
            model: args.next("a model")?,
            changes: true,
            ..DocumentQuery::default()
        };
        while self.option(args, settings)? {}
        if args.keyword("DO") {
            return Ok(());
        }
        let is_keyword = |(word, _): &(&str, _)| is_word(self.query.model, word);
        Err(args.unexpected(match OPERANDS.iter().any(is_keyword) {
            true => "expected DO and statements: is the model missing in front of the options?",
            false => "expected DO and statements",
        }))
    }

    fn parse_changes(
        &mut self,
        mut args: Args<'a>,
        settings: &Settings,
        allowance: &Allowance<'_>,
        host: &mut dyn Host,
    ) -> Result<()> {
        let mut names = KeyIndex::default();
        for key in &self.keys {
            names.push(key.name);
        }
        let given = self.query.args.as_ref();
        let mut parsing = Parsing {
            limits: &settings.document,
            paths: &settings.paths,
            binding: given.map(|args| Binding::Args { args: args.value.view(), allowance }),
            compile: &mut |source, names| {
                host.compile(source, names, &settings.expressions, allowance)
            },
            transaction: true,
            replaying: false,
        };
        loop {
            if !self.make_path && args.keyword("MKPATH") {
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
        let used = parse_block(args.left(), &mut parsing, &mut self.body.statements)
            .map_err(misplaced_option)?;
        args.skip(used);
        let listed = FindopKeys(&names);
        while args.keyword("AT") {
            self.body.parse_natives(&mut args, &listed, &mut parsing)?;
        }
        if self.body.statements.is_empty() && self.body.blocks.is_empty() && self.expiry.is_none() {
            return Err(args.unexpected("DO needs a statement, an expiry or AT"));
        }
        args.finish()
    }

    /// Takes an option in front of `DO`, if one comes next.
    fn option(&mut self, args: &mut Args<'a>, settings: &Settings) -> Result<bool> {
        let (start, left) = (args.position(), args.left());
        check_operand(left)?;
        if self.query.option(args, settings)? || self.query.order_option(args)? {
            self.question.extend_from_slice(&left[..args.position() - start]);
            return Ok(true);
        }
        if args.option("WAIT", self.wait_ms.is_some())? {
            self.wait_ms = Some(parse_wait(args.next("a time")?, limit::FINDOP_WAIT)?);
            return Ok(true);
        }
        if args.option("LIMIT", self.limit.is_some())? {
            self.limit = Some(parse_limit(args.integer("a limit")?, limit::FINDOP_LIMIT)?);
            return Ok(true);
        }
        Ok(false)
    }

    /// Confines the search to the slot of the listed keys in a cluster, where one is required.
    fn confine(&mut self, host: &mut dyn Host) -> Result<()> {
        if host.index_scope().clustered {
            let Some(key) = self.keys.first() else {
                let message = "in a cluster a key has to say which hash slot is searched";
                return Err(Error::syntax(message));
            };
            self.query.slot = Some(key.name);
        }
        Ok(())
    }

    /// The name of the model, which exists.
    fn model(&self) -> &'a str {
        std::str::from_utf8(self.query.model).unwrap_or_default()
    }

    /// Has the client wait. `LIMIT` where too many requests do, or the arguments are too long to be kept.
    #[cold]
    fn line_up(
        &self,
        host: &mut dyn Host,
        settings: &Settings,
        args: &[&[u8]],
        (reads_clock, is_asked): (bool, bool),
    ) -> Result<Outcome> {
        let most = settings.finding.waiters;
        if host.claim_line(self.model()).waiting as u64 >= most {
            return Err(Error::limit(limit::FIND_WAITERS, most));
        }
        let bytes: usize = args.iter().map(|arg| arg.len() + size_of::<Vec<u8>>()).sum();
        if bytes as u64 > limit::FINDOP_WAIT_BYTES.default {
            let most = limit::FINDOP_WAIT_BYTES.default;
            return Err(Error::limit(limit::FINDOP_WAIT_BYTES, most));
        }
        // The arguments are kept once, with the request: here the digest of long ones stands for them.
        const SHORT_BYTES: usize = 100;
        let mut words = Vec::new();
        self.question.iter().for_each(|word| put_text(word, &mut words));
        let mut text = vec![words.len().min(SHORT_BYTES + 1) as u8];
        match words.len() <= SHORT_BYTES {
            true => text.append(&mut words),
            false => text.extend_from_slice(&Digest::of(self.question.iter().copied()).0),
        }
        if let Some(key) = self.query.slot {
            text.extend_from_slice(&hash_slot(key).to_be_bytes());
        }
        let question = ClaimQuestion {
            database: host.database(),
            model: self.model().into(),
            text: text.into(),
            reads_clock,
        };
        let wait = ClaimWait { question, wait_ms: self.wait_ms.unwrap_or(0), is_asked };
        Ok(Outcome { lines_up: Some(Box::new(wait)), ..Outcome::from(Reply::Null) })
    }

    /// The models that operators on keys name, by the number of the statement.
    fn statement_models(&self, models: &Models) -> Result<StatementModels> {
        let mut found = Vec::new();
        for (nth, statement) in self.body.statements.iter().enumerate() {
            if let Some(named) = model_of(statement) {
                found.push((nth, find_statement_model(models, named, nth)?));
            }
        }
        Ok(found)
    }

    /// Runs the statements on each of the documents.
    fn change(
        &self,
        host: &mut dyn Host,
        arguments: usize,
        (found, models): (&'a EntryPage, &StatementModels),
        settings: &Settings,
        allowance: &Allowance<'_>,
    ) -> Result<Outcome> {
        let uses_natives = self.body.uses_natives();
        // Without natives a key that holds another structure only says which slot is searched.
        let is_used = |key: &&Key<'_>| uses_natives || host.open(**key).is_ok();
        let mut keys: CountedKeys<'_> = self.keys.iter().filter(is_used).copied().collect();
        let mut names = KeyIndex::default();
        names.reserve(keys.len() + found.len());
        for key in &keys {
            names.push(key.name);
        }
        let per_document = 1 + self.body.blocks.len();
        allowance.spend((found.len() * per_document) as u64 * BLOCK_STEPS)?;
        let mut blocks = Vec::with_capacity(found.len() * per_document);
        let mut named: Vec<&[u8]> = Vec::with_capacity(found.len());
        for name in found.iter() {
            let slot = names.find(name).unwrap_or_else(|| {
                keys.push(Key { arg: arguments + named.len(), name });
                named.push(name);
                names.push(name)
            });
            if self.body.blocks.iter().any(|natives| natives.slot == slot) {
                let message = "the key behind AT holds a document that was found";
                return Err(Error::new(ErrorCode::WrongType, message).text("key", name));
            }
            blocks.push(Block {
                slot,
                make_path: self.make_path,
                expiry: self.expiry,
                statements: 0..self.body.statements.len(),
                ..Block::default()
            });
            blocks.extend(self.body.blocks.iter().map(|natives| Block {
                slot: natives.slot,
                natives: natives.natives.clone(),
                found: Some(slot),
                ..Block::default()
            }));
        }
        let roles = key_roles(&blocks, uses_natives, &keys)?;
        host.name_keys(arguments, &named);
        txn::execute(
            host,
            &Request {
                keys: &keys,
                blocks: &blocks,
                statements: &self.body.statements,
                traits: StatementTraits::of(&self.body.statements),
                models,
                args: self.query.args.as_ref(),
                docs: Some(DocNames::Keys(&names)),
                settings,
                allowance,
                replaying: false,
                reply: ReplyForm::Found,
                token: None,
                natives: roles.as_deref(),
            },
        )
    }
}

/// The options in front of `DO`, and their operands.
const OPERANDS: [(&str, Option<&str>); 6] = [
    ("WHERE", Some("an expression")),
    ("ORDER", Some("an index")),
    ("ARGS", Some("a JSON object")),
    ("LIMIT", Some("a number")),
    ("WAIT", Some("a time in milliseconds")),
    ("SCAN", None),
];

/// Refuses an option whose operand is missing in front of `DO`. An index may have that name.
fn check_operand(left: &[&[u8]]) -> Result<()> {
    let is_do = |nth: usize| left.get(nth).is_some_and(|arg| is_word(arg, "DO"));
    if !is_do(1) || is_do(2) {
        return Ok(());
    }
    let operand = OPERANDS.iter().find(|(word, _)| is_word(left[0], word));
    match operand.and_then(|(word, operand)| Some((word, (*operand)?))) {
        None => Ok(()),
        Some((word, operand)) => {
            Err(Error::syntax(format!("{word} needs {operand} in front of DO")))
        }
    }
}

/// The refusal of a statement that is an option of the search.
#[cold]
fn misplaced_option(error: Error) -> Error {
    let Some(Detail::Text(name)) = error.detail("operator") else { return error };
    match OPERANDS.iter().any(|(word, _)| is_word(name.as_bytes(), word)) {
        true => {
            let message = "options of the search stand in front of DO";
            Error::syntax(message).text("argument", name.as_bytes())
        }
        false => error,
    }
}

/// The keys that natives may be about.
struct FindopKeys<'r, 'a>(&'r KeyIndex<'a>);

impl BlockPlaces for FindopKeys<'_, '_> {
    fn noun(&self) -> &'static str {
        "key"
    }

    fn expected(&self, _: bool) -> Error {
        Error::syntax("expected AT and a key")
    }

    fn slot(&self, key: Key<'_>) -> Result<usize> {
        let slot = self.0.find(key.name);
        slot.ok_or_else(|| Error::syntax("the key is not among those listed").text("key", key.name))
    }
}
