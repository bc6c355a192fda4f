//! `MODEL.DOCUMENTS`: the keys of a model's documents, part by part.

use super::args::{Args, find_model};
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
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
    complexity: "O(N) with N the number of keys visited, of any type; a full iteration visits every key once",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::None,
    tips: &["request_policy:special", "nondeterministic_output"],
    args: &[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("cursor", ArgKind::Integer).token("CURSOR").optional(),
        ArgSpec::new("count", ArgKind::Integer).token("COUNT").optional(),
    ],
    reply: "an array: the next cursor, as text, which is 0 at the end, and an array of keys, which may be empty before the end. About count keys are visited (100 by default; at most 10000, `count`), as by SCAN: a key that exists during the full iteration is returned at least once",
    errors: &[ErrorCode::Err, ErrorCode::NoModel, ErrorCode::Limit],
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
    let model = model.as_ref().map_or(ANY_NAME, |model| model.name());
    let (next, keys) = host.scan(model, cursor.unwrap_or(0), count.unwrap_or(COUNT_DEFAULT));
    let keys = keys.into_iter().map(Reply::Text).collect();
    let next = Reply::Text(next.to_string().into_bytes());
    Ok(Reply::Array(vec![next, Reply::Array(keys)]).into())
}

fn parse_cursor(arg: &[u8]) -> Result<u64> {
    let digits =
        std::str::from_utf8(arg).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
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
