//! `MODEL.FIND`: the documents of a model that fulfil a condition.

use super::args::{ARGS, Args, SLOT, is_word};
use super::finding::{DocumentQuery, DocumentSearch, Next, parse_limit};
use super::get::{Paths, parse_paths};
use super::host::{Host, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::document::Document;
use crate::error::{Error, ErrorCode, Result};
use crate::index::{Direction, QueryCursor};
use crate::limit;
use crate::reply::Reply;

/// The documents of one call by default.
const LIMIT_DEFAULT: usize = 100;
/// A call pauses when it has this part of its budget left, so that the reply still is affordable.
const RESERVE: u64 = 2;

#[linkme::distributed_slice(COMMANDS)]
static FIND: CommandSpec = CommandSpec {
    name: "MODEL.FIND",
    summary: "Finds the documents of a model that fulfil a condition, by its indexes",
    since: "0.5.0",
    complexity: "O(log N + M) with N the documents of the model and M the entries looked at: those in the range of the index that serves the condition, at most model.find-entries. With SCAN, M are all documents of the model; of a model without indexes, all keys of the database",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::Behind("SLOT"),
    tips: &["request_policy:special", "response_policy:special"],
    args: &[
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
        ArgSpec::new("cursor", ArgKind::String).token("AFTER").optional(),
        SLOT,
        ArgSpec::new("scan", ArgKind::Token).token("SCAN").optional(),
        ArgSpec::new("explain", ArgKind::Token).token("EXPLAIN").optional(),
        ArgSpec::new("paths", ArgKind::Block(&[ArgSpec::new("path", ArgKind::String).multiple()]))
            .token("GET")
            .optional(),
    ],
    reply: "an array: a cursor for AFTER, null at the end, and an array of [key, revision, json ...], with one value for each path behind GET (which come last), or the whole document. With SLOT those alone whose keys have the hash slot of this key, also outside of a cluster. At most limit documents (100 by default; at most 10000, `find-limit`). SCAN looks at all documents of the model, or, if it has no index, visits all keys of the database, in no order, as the command SCAN does: a document that exists from the first call to the last is found, perhaps twice. With EXPLAIN a map instead: index (null for all documents by key), direction (null for a visit of all keys), ranges, parts (bound by the condition), entries (in the ranges; null for a visit of all keys), looked (keys visited there), matched, failed (documents on which the condition fails: they do not match), skipped (keys the caller may not read), cursor, seq (of the last entry of the change stream when the query began; null where there is none, and in a cluster without SLOT)",
    errors: &[
        ErrorCode::Err,
        ErrorCode::NoModel,
        ErrorCode::NoIndex,
        ErrorCode::Indexing,
        ErrorCode::TryAgain,
        ErrorCode::Expr,
        ErrorCode::Range,
        ErrorCode::Limit,
    ],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new(
            "MODEL.DEFINE order {} INDEX by_day 2 $.status $.day INDEX by_tag 1 $.tags[*]",
            "(integer) 1",
        ),
        Line::new(
            r#"MODEL.SET o:1 order '{"status":"open","day":3,"tags":["gift"]}'"#,
            "(revision)",
        ),
        Line::new(r#"MODEL.SET o:2 order '{"status":"open","day":1,"tags":[]}'"#, "(revision)"),
        Line::new(
            r#"MODEL.SET o:3 order '{"status":"done","day":2,"tags":["gift","new"]}'"#,
            "(revision)",
        ),
        Line::new(
            r#"MODEL.FIND order WHERE "self.status == 'open'" EXPLAIN"#,
            "{index by_day direction ASC ranges (integer) 1 parts (integer) 1 entries (integer) 2 looked (integer) 2 matched (integer) 2 failed (integer) 0 skipped (integer) 0 cursor (nil) seq (nil)}",
        ),
        Line::new("MODEL.FIND order WHERE self.n==1", "NOINDEX"),
        Line::new("MODEL.FIND order WHERE self.n==1 SCAN", "[(nil) []]"),
        Line::new("MODEL.FIND order SLOT o:2 GET $.day", "[(nil) [[o:2 (revision) 1]]]"),
        Line::new("MODEL.SET n:1 any '{\"n\":1}'", "(revision)"),
        Line::new("MODEL.FIND any WHERE self.n==1", "NOINDEX"),
        Line::new("MODEL.FIND any WHERE self.n==1 SCAN GET $.n", "[(nil) [[n:1 (revision) 1]]]"),
        Line::new("MODEL.FIND none", "NOMODEL"),
        Line::new("MODEL.FIND order ORDER by_day LIMIT 0", "ERR"),
        Line::new("MODEL.FIND order LIMIT 10001", "LIMIT"),
        Line::new("MODEL.FIND order GET", "ERR"),
    ])],
    run,
};

/// The keywords that a client may have put behind `GET`, where paths alone stand.
const OPTIONS: [&str; 9] =
    ["WHERE", "ORDER", "ARGS", "LIMIT", "AFTER", "SLOT", "SCAN", "EXPLAIN", "GET"];

/// Refuses `GET` without a path, and options behind the first one.
fn check_paths(args: &Args<'_>) -> Result<()> {
    let paths = args.left();
    if paths.is_empty() {
        return Err(args.unexpected("GET needs a path"));
    }
    let is_option = |path: &&&[u8]| OPTIONS.iter().any(|word| is_word(path, word));
    match paths.iter().find(is_option) {
        None => Ok(()),
        Some(path) => {
            let message = "GET is given once, and its paths come last";
            Err(Error::syntax(message).text("argument", path))
        }
    }
}

/// The parsed arguments.
struct FindArguments<'a> {
    query: DocumentQuery<'a>,
    limit: usize,
    explains: bool,
    /// None for whole documents.
    paths: Option<Paths<'a>>,
}

impl<'a> FindArguments<'a> {
    fn parse(args: &'a [&'a [u8]], settings: &Settings) -> Result<FindArguments<'a>> {
        let mut args = Args::new(args);
        let mut query = DocumentQuery { model: args.next("a model")?, ..DocumentQuery::default() };
        let (mut limit, mut explains, mut paths) = (None, false, None);
        while !args.is_finished() {
            if query.option(&mut args, settings)?
                || query.order_option(&mut args)?
                || query.slot_option(&mut args)?
            {
                continue;
            }
            if args.option("LIMIT", limit.is_some())? {
                limit = Some(parse_limit(args.integer("a limit")?, limit::FIND_LIMIT)?);
            } else if args.option("AFTER", query.cursor.is_some())? {
                query.cursor = Some(QueryCursor::decode(args.next("a cursor")?)?);
            } else if args.option("EXPLAIN", explains)? {
                explains = true;
            } else if args.keyword("GET") {
                check_paths(&args)?;
                paths = Some(parse_paths(&mut args, settings)?);
            } else {
                break;
            }
        }
        args.finish()?;
        Ok(FindArguments { query, limit: limit.unwrap_or(LIMIT_DEFAULT), explains, paths })
    }

    /// The reply for one document.
    fn row(&self, name: &[u8], document: &Document, allowance: &Allowance<'_>) -> Result<Reply> {
        allowance.own(document.size());
        let root = document.root.view();
        let mut row = vec![Reply::Text(name.to_vec()), Reply::Int(document.revision as i64)];
        match &self.paths {
            None => {
                allowance.transfer(root.work())?;
                row.push(Reply::value(root).within(allowance)?);
            }
            Some(paths) => row.extend(paths.read(root, allowance)?),
        }
        allowance.check_reply(name.len() as u64)?;
        Ok(Reply::Array(row))
    }
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let find = FindArguments::parse(args, &settings)?;
    // Asked before the search: a reader that lists documents, and then follows the stream from there, misses nothing.
    let seq = match std::str::from_utf8(find.query.model) {
        Ok(model) if find.explains => host.stream_position(model, find.query.slot),
        _ => None,
    };
    let mut search = DocumentSearch::plan(host, &find.query, &settings, &allowance)?;
    let ranges = search.plan.ranges.len();
    let entries = (find.explains && !search.is_walk()).then(|| search.entries());
    let reserve = settings.work.command_steps / RESERVE;
    let pauses = |looked| looked >= settings.finding.entries || allowance.steps_left() < reserve;
    let mut rows = Vec::new();
    let mut found = 0;
    let cursor = search.run(
        host,
        &allowance,
        find.limit,
        |counts| pauses(counts.looked),
        |name, document| {
            found += 1;
            if !find.explains {
                rows.push(find.row(name, document, &allowance)?);
            }
            Ok(if found == find.limit { Next::Stop } else { Next::GoOn })
        },
    )?;
    let cursor = cursor.map_or(Reply::Null, |cursor| Reply::Text(cursor.encode().into_bytes()));
    if !find.explains {
        return Ok(Reply::Array(vec![cursor, Reply::Array(rows)]).into());
    }
    Ok(explanation(&search, ranges, entries, cursor, seq).into())
}

/// The reply with `EXPLAIN`. `ranges` and `entries` are those before the search.
fn explanation(
    search: &DocumentSearch<'_>,
    ranges: usize,
    entries: Option<usize>,
    cursor: Reply,
    seq: Option<u64>,
) -> Reply {
    let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
    let count = |count: u64| Reply::Int(count as i64);
    let counts = search.counts;
    let direction = match search.plan.direction {
        _ if search.is_walk() => Reply::Null,
        Direction::Ascending => text("ASC"),
        Direction::Descending => text("DESC"),
    };
    Reply::Map(vec![
        ("index", search.index_name().map_or(Reply::Null, text)),
        ("direction", direction),
        ("ranges", Reply::count(ranges)),
        ("parts", Reply::count(search.plan.bound)),
        ("entries", entries.map_or(Reply::Null, Reply::count)),
        ("looked", count(counts.looked)),
        ("matched", count(counts.matched)),
        ("failed", count(counts.failed)),
        ("skipped", count(counts.skipped)),
        ("cursor", cursor),
        ("seq", seq.map_or(Reply::Null, |seq| Reply::Int(seq as i64))),
    ])
}
