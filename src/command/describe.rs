//! `MODEL.DESCRIBE`: a model's definition.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{ErrorCode, Result};
use crate::model::{RuleSource, no_model};
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
    reply: "a map: name, version, schema (as it was defined), rules (an array of [name, expression]), ttl (seconds, or null), refresh (WRITE, READ or null), formats (ASSERT or ANNOTATE), defaults (FILLED or IGNORED), unfilled (an array of JSON Pointers into the schema: members whose default is not filled in, because their own schema refuses it), documents (those in the memory of this server)",
    errors: &[ErrorCode::NoModel],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.DEFINE item {} RULE r 'self.n > 0' TTL 60", "(integer) 1"),
        Line::new(
            "MODEL.DESCRIBE item",
            "{name item version (integer) 1 schema {} rules [[r self.n > 0]] ttl (integer) 60 refresh (nil) formats ASSERT defaults FILLED unfilled [] documents (integer) 0}",
        ),
        Line::new("MODEL.DESCRIBE none", "NOMODEL"),
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
    let unfilled = match model.read().get() {
        Some(definition) => definition.unfilled_defaults().to_vec(),
        None => Vec::new(),
    };
    drop(model);
    let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
    let rule = |rule: &RuleSource| Reply::Array(vec![text(&rule.name), text(&rule.expr)]);
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
        ("documents", Reply::count(documents)),
    ];
    Ok(Reply::Map(members).into())
}
