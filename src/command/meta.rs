//! `MODEL.META`: what is known about a document.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static META: CommandSpec = CommandSpec {
    name: "MODEL.META",
    summary: "Replies what is known about a document: model, revision, size",
    since: "0.1.0",
    complexity: "O(1)",
    arity: 2,
    flags: &[Flag::ReadOnly, Flag::Fast],
    keys: KeyPositions::First,
    tips: &[],
    args: &[ArgSpec::new("key", ArgKind::Key)],
    reply: "a map: model, revision, definition-version (of the definition it was validated against last; 0 for the model any), bytes (the size that model.document-bytes limits), locks (the number held); null for a missing key",
    errors: &[ErrorCode::WrongType],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.META none", "(nil)"),
        Line::new(r#"MODEL.SET a any '{"n":1}'"#, "(revision)"),
        Line::new(
            "MODEL.META a",
            "{model any revision (revision) definition-version (integer) 0 bytes (integer) 16 locks (integer) 0}",
        ),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let key = args.key()?;
    args.finish()?;
    let Some(document) = host.read(key).map_err(|error| error.text("key", key.name))? else {
        return Ok(Reply::Null.into());
    };
    let members = vec![
        ("model", Reply::Text(document.model_name().into())),
        ("revision", Reply::Int(document.revision as i64)),
        ("definition-version", Reply::Int(document.definition_version().into())),
        ("bytes", Reply::Int(document.size() as i64)),
        ("locks", Reply::count(document.locks.held())),
    ];
    Ok(Reply::Map(members).into())
}
