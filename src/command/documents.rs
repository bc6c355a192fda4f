//! `MODEL.DOCUMENTS`: the keys of a model's documents, part by part.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::args::{Args, find_model};
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::index::key::Range;
use crate::index::{Direction, Progress};
use crate::limit;
use crate::model::Model;
use crate::reply::Reply;

/// The number of keys that one call visits by default.
const COUNT_DEFAULT: usize = 100;
/// The most keys that one call may visit, so that it does not hold the server.
const COUNT_MAX: usize = limit::COUNT.default as usize;

#[linkme::distributed_slice(COMMANDS)]
static DOCUMENTS: CommandSpec = CommandSpec {
    name: "MODEL.DOCUMENTS",
    summary: "Lists the keys of a model's documents in this database, part by part",
    since: "0.4.0",
    complexity: "O(log M + N) with M the documents of the model and N those listed, if it has indexes; otherwise O(N) with N the number of keys visited, of any type: a full iteration visits every key once",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::None,
    tips: &["request_policy:special", "nondeterministic_output"],
    args: &[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("cursor", ArgKind::String).token("CURSOR").optional(),
        ArgSpec::new("count", ArgKind::Integer).token("COUNT").optional(),
    ],
    reply: "an array: the next cursor, as text, which is 0 at the end, and an array of keys, which may be empty before the end. A model with indexes has its keys in order, and each call looks at count of them (100 by default; at most 10000, `count`). Otherwise, and while its indexes are being built, about count keys are visited, as by SCAN: a key that exists during the full iteration is returned at least once",
    errors: &[ErrorCode::Err, ErrorCode::Range, ErrorCode::NoModel, ErrorCode::Limit],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.DEFINE item {}", "(integer) 1"),
        Line::new("MODEL.SET sku:1 item {}", "(revision)"),
        Line::new("MODEL.SET note any {}", "(revision)"),
        Line::new("MODEL.DOCUMENTS item", "[0 [sku:1]]"),
        Line::new("MODEL.DOCUMENTS item CURSOR 0 COUNT 1000", "[0 [sku:1]]"),
        Line::new("MODEL.DOCUMENTS any", "[0 [note]]"),
        Line::new("MODEL.DOCUMENTS none", "NOMODEL"),
        Line::new("MODEL.DOCUMENTS item COUNT 0", "ERR"),
        Line::new("MODEL.DOCUMENTS item COUNT 10001", "LIMIT"),
        Line::new("MODEL.DEFINE user {} INDEX by_mail 1 $.mail", "(integer) 1"),
        Line::new("MODEL.SET u:2 user {}", "(revision)"),
        Line::new("MODEL.SET u:1 user {}", "(revision)"),
        Line::new("MODEL.DOCUMENTS user COUNT 1", "[kdTox [u:1]]"),
        Line::new("MODEL.DOCUMENTS user CURSOR kdTox", "[0 [u:2]]"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let name = args.next("a model")?;
    let (mut cursor, mut count) = (None, None);
    while !args.is_finished() {
        if cursor.is_none() && args.keyword("CURSOR") {
            cursor = Some(parse_cursor(args.next("a cursor")?)?);
        } else if count.is_none() && args.keyword("COUNT") {
            count = Some(parse_count(args.integer("a count")?)?);
        } else {
            break;
        }
    }
    args.finish()?;
    let model = find_model(host.models(), name)?;
    let is_listed = |model: &Arc<Model>| {
        let indexes = model.indexes();
        indexes.progress() != Progress::Undeclared && indexes.ready().names
    };
    let listed = model.as_ref().filter(|model| is_listed(model));
    let (cursor, count) = (cursor.unwrap_or(ListCursor::Scan(0)), count.unwrap_or(COUNT_DEFAULT));
    let (next, keys) = match (listed, cursor) {
        (Some(model), ListCursor::Scan(0)) => list(host, model, None, count),
        (Some(model), ListCursor::Behind(name)) => list(host, model, Some(&name), count),
        (_, ListCursor::Scan(scan)) => {
            let model = model.as_ref().map_or(ANY_NAME, |model| model.name());
            let (next, keys) = host.scan(model, scan, count)?;
            (ListCursor::Scan(next), keys)
        }
        (None, cursor) => {
            let message = "the indexes of the model were defined anew: begin again with 0";
            return Err(Error::syntax(message).text("argument", cursor.encode().as_bytes()));
        }
    };
    let keys = keys.into_iter().map(Reply::Text).collect();
    let next = Reply::Text(next.encode().into_bytes());
    Ok(Reply::Array(vec![next, Reply::Array(keys)]).into())
}

/// The position of a list.
enum ListCursor {
    /// A cursor of `SCAN`: digits.
    Scan(u64),
    /// Behind this name, of a model with indexes: `k` and base64.
    Behind(Vec<u8>),
}

impl ListCursor {
    fn encode(&self) -> String {
        match self {
            ListCursor::Scan(scan) => scan.to_string(),
            ListCursor::Behind(name) => format!("k{}", URL_SAFE_NO_PAD.encode(name)),
        }
    }

    fn decode(arg: &[u8]) -> Option<ListCursor> {
        if let Some(name) = arg.strip_prefix(b"k") {
            return URL_SAFE_NO_PAD.decode(name).ok().map(ListCursor::Behind);
        }
        let digits = std::str::from_utf8(arg).ok();
        let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok().map(ListCursor::Scan)
    }
}

/// Keys of a model with indexes, in order.
fn list(
    host: &mut dyn Host,
    model: &Model,
    behind: Option<&[u8]>,
    count: usize,
) -> (ListCursor, Vec<Vec<u8>>) {
    let mut range = Range::names();
    if let Some(name) = behind {
        range.low = [&range.low[..], name, &[0]].concat();
    }
    let database = host.database();
    let page = model.indexes().page(database, None, &range, Direction::Ascending, count);
    let next = match page.last() {
        Some(last) if page.len() == count => ListCursor::Behind(last[1..].to_vec()),
        _ => ListCursor::Scan(0),
    };
    let names = page.iter().map(|entry| entry[1..].to_vec());
    (next, names.filter(|name| host.has_document(name, model.name())).collect())
}

fn parse_cursor(arg: &[u8]) -> Result<ListCursor> {
    ListCursor::decode(arg).ok_or_else(|| {
        Error::syntax("a cursor is 0 or what the call before replied").text("argument", arg)
    })
}

fn parse_count(count: i64) -> Result<usize> {
    if count < 1 {
        return Err(Error::syntax("a count is at least 1").integer("count", count));
    }
    match usize::try_from(count) {
        Ok(count) if count <= COUNT_MAX => Ok(count),
        _ => Err(Error::limit(limit::COUNT, COUNT_MAX as u64)),
    }
}
