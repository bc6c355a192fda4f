//! `MODEL.HELP`: the commands and operators in a terminal.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static HELP: CommandSpec = CommandSpec {
    name: "MODEL.HELP",
    summary: "Lists the commands and operators",
    since: "0.1.0",
    complexity: "O(1)",
    arity: 1,
    flags: &[Flag::Always, Flag::Fast],
    keys: KeyPositions::None,
    tips: &[],
    args: &[],
    reply: "an array of lines",
    errors: &[],
    replicated: "nothing",
    examples: &[CommandExample(&[])],
    run,
};

fn run(_: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    Args::new(args).finish()?;
    let lines =
        crate::docs::help().into_iter().map(|line| Reply::Text(line.into_bytes())).collect();
    Ok(Reply::Array(lines).into())
}
