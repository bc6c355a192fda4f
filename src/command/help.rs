//! `MODEL.HELP`: the commands and operators in a terminal.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions};
use crate::docs;
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static HELP: CommandSpec = CommandSpec {
    name: "MODEL.HELP",
    summary: "Lists the commands and operators, or describes one of them",
    since: "0.1.0",
    complexity: "O(1)",
    arity: -1,
    flags: &[Flag::Always, Flag::Fast],
    keys: KeyPositions::None,
    tips: &[],
    args: &[ArgSpec::new("name", ArgKind::String).optional()],
    reply: "an array of lines; with a name, what this page says of the commands (with or without MODEL.), operators, natives, assertions and errors of that name, in any case of letters, or else the commands with an option of that name",
    errors: &[ErrorCode::Err],
    replicated: "nothing",
    examples: &[CommandExample(&[])],
    run,
};

fn run(_: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let name = (!args.is_finished()).then(|| args.next("a name")).transpose()?;
    args.finish()?;
    let lines = name.map_or_else(|| Ok(docs::help()), docs::help_of)?;
    let lines = lines.into_iter().map(|line| Reply::Text(line.into_bytes())).collect();
    Ok(Reply::Array(lines).into())
}
