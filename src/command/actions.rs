//! `MODEL.ACTIONS`: the names of the actions, or the definition of one.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static ACTIONS: CommandSpec = CommandSpec {
    name: "MODEL.ACTIONS",
    summary: "Lists the actions that are defined, or returns the definition of one",
    since: "0.5.0",
    complexity: "O(N) with N the number of actions, or the size of the definition",
    arity: -1,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::None,
    tips: &[],
    args: &[ArgSpec::new("action", ArgKind::String).optional()],
    reply: "an array of names, in the order of their bytes; of one action a map: name, version, roles (an array), params (the schema as it was defined, or null), blocks (an array: the arguments as they were defined)",
    errors: &[ErrorCode::NoAction],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.ACTIONS", "[]"),
        Line::new("MODEL.ACTION read 1 what PARAMS {} ON what GET $.a", "(integer) 1"),
        Line::new("MODEL.ACTION add 1 to ON to INCR $.n 1", "(integer) 1"),
        Line::new("MODEL.ACTIONS", "[add read]"),
        Line::new(
            "MODEL.ACTIONS read",
            "{name read version (integer) 1 roles [what] params {} blocks [ON what GET $.a]}",
        ),
        Line::new("MODEL.ACTIONS reed", "NOACTION"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let text = |text: &[u8]| Reply::Text(text.to_vec());
    if args.is_finished() {
        let names = host.actions().names();
        return Ok(Reply::Array(names.iter().map(|name| text(name.as_bytes())).collect()).into());
    }
    let name = args.next("an action")?;
    args.finish()?;
    let named = |error: Error| error.text("action", name);
    let (entry, _) = host.actions().describe(name).map_err(named)?;
    let source = entry.source.expect("a described action is defined");
    let fields = vec![
        ("name", text(name)),
        ("version", Reply::Int(entry.version.into())),
        ("roles", Reply::Array(source.roles.iter().map(|role| text(role.as_bytes())).collect())),
        ("params", source.params.map_or(Reply::Null, |params| Reply::Text(params.into()))),
        ("blocks", Reply::Array(source.blocks.iter().map(|word| text(word)).collect())),
    ];
    Ok(Reply::Map(fields).into())
}
