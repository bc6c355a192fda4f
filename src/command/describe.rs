//! `MODEL.DESCRIBE`: a model's definition.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{ErrorCode, Result};
use crate::index::IndexSource;
use crate::model::{ChangesSource, RuleSource, no_model};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static DESCRIBE: CommandSpec = CommandSpec {
    name: "MODEL.DESCRIBE",
    summary: "Returns a model's definition and the number of its documents",
    since: "0.2.0",
    complexity: "O(N) with N the size of the definition",
    arity: 2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::None,
    tips: &[],
    args: &[ArgSpec::new("model", ArgKind::String)],
    reply: "a map: name, version, schema (as it was defined), rules (an array of [name, expression]), ttl (seconds, or null), refresh (WRITE, READ or null), formats (ASSERT or ANNOTATE), defaults (FILLED or IGNORED), unfilled (an array of JSON Pointers into the schema: members whose default is not filled in, because their own schema refuses it), unknown (an array of JSON Pointers into the schema: keywords that its draft does not have, perhaps misspelt ones, which assert nothing; the first 32, without those that begin with x-), indexes (an array of [name, parts, UNIQUE or null, the expression of ONLY or null, READY or BUILDING, duplicates: the entries that have the values of another document in an index with UNIQUE, over all databases: the documents came by RESTORE, COPY or a migration or were there before; null for other indexes, while it is built, and in a cluster, where MODEL.CHECK counts them by hash slots]), changes (null, or [maxlen, KEYS, PATCH, AFTER or BOTH, the seq of the last entry of the stream], which is null while there is none, and in a cluster, where each hash slot has a stream), documents (those of the keys of this server, over all databases)",
    errors: &[ErrorCode::NoModel],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.DEFINE item {} RULE r 'self.n > 0' TTL 60", "(integer) 1"),
        Line::new(
            "MODEL.DESCRIBE item",
            "{name item version (integer) 1 schema {} rules [[r self.n > 0]] ttl (integer) 60 refresh (nil) formats ASSERT defaults FILLED unfilled [] unknown [] indexes [] changes (nil) documents (integer) 0}",
        ),
        Line::new("MODEL.DESCRIBE none", "NOMODEL"),
        Line::new("MODEL.DEFINE typo '{\"properties\":{\"n\":{\"maximun\":9}}}'", "(integer) 1"),
        Line::new(
            "MODEL.DESCRIBE typo",
            "{name typo version (integer) 1 schema {\"properties\":{\"n\":{\"maximun\":9}}} rules [] ttl (nil) refresh (nil) formats ASSERT defaults FILLED unfilled [] unknown [/properties/n/maximun] indexes [] changes (nil) documents (integer) 0}",
        ),
        Line::new("MODEL.DEFINE user {} INDEX by_mail 1 $.mail UNIQUE", "(integer) 1"),
        Line::new(
            "MODEL.DESCRIBE user",
            "{name user version (integer) 1 schema {} rules [] ttl (nil) refresh (nil) formats ASSERT defaults FILLED unfilled [] unknown [] indexes [[by_mail [$.mail] UNIQUE (nil) READY (integer) 0]] changes (nil) documents (integer) 0}",
        ),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let name = args.next("a model")?;
    args.finish()?;
    let (entry, documents) = host.models().describe(name)?;
    let source = entry.source.ok_or_else(|| no_model(name))?;
    let model = host.models().of_document(&entry.name);
    let (unfilled, unknown) = match model.read().get() {
        Some(definition) => {
            (definition.unfilled_defaults().to_vec(), definition.unknown_keywords().to_vec())
        }
        None => (Vec::new(), Vec::new()),
    };
    let ready = model.indexes().ready().indexes;
    let counts = !host.index_scope().clustered;
    let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
    let rule = |rule: &RuleSource| Reply::Array(vec![text(&rule.name), text(&rule.expr)]);
    let index = |(number, index): (usize, &IndexSource)| {
        let (number, is_ready) = (number as u8, ready.has(number as u8));
        let parts = index.parts.iter().map(|part| text(part)).collect();
        Reply::Array(vec![
            text(&index.name),
            Reply::Array(parts),
            if index.unique { text("UNIQUE") } else { Reply::Null },
            index.only.as_deref().map_or(Reply::Null, text),
            text(if is_ready { "READY" } else { "BUILDING" }),
            match index.unique && is_ready && counts {
                true => Reply::count(model.indexes().duplicates(number)),
                false => Reply::Null,
            },
        ])
    };
    let changes = match source.changes {
        None => Reply::Null,
        Some(ChangesSource { entries, with }) => {
            let seq = host.stream_position(&entry.name, None);
            let seq = seq.map_or(Reply::Null, |seq| Reply::Int(seq as i64));
            Reply::Array(vec![Reply::Int(entries as i64), text(with.word()), seq])
        }
    };
    let members = vec![
        ("name", text(&entry.name)),
        ("version", Reply::Int(entry.version.into())),
        ("schema", Reply::Json(source.schema.into_vec())),
        ("rules", Reply::Array(source.rules.iter().map(rule).collect())),
        ("ttl", source.ttl_s.map_or(Reply::Null, |ttl_s| Reply::Int(ttl_s as i64))),
        ("refresh", source.refresh.word().map_or(Reply::Null, text)),
        ("formats", text(source.formats.word())),
        ("defaults", text(source.defaults.word())),
        ("unfilled", Reply::Array(unfilled.iter().map(|pointer| text(pointer)).collect())),
        ("unknown", Reply::Array(unknown.iter().map(|pointer| text(pointer)).collect())),
        ("indexes", Reply::Array(source.indexes.iter().enumerate().map(index).collect())),
        ("changes", changes),
        ("documents", Reply::count(documents)),
    ];
    Ok(Reply::Map(members).into())
}
