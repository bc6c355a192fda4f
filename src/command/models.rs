//! `MODEL.MODELS`: the names of the models.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static MODELS: CommandSpec = CommandSpec {
    name: "MODEL.MODELS",
    summary: "Lists the models that are defined",
    since: "0.2.0",
    complexity: "O(N) with N the number of models",
    arity: 1,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::None,
    tips: &[],
    args: &[],
    reply: "an array of names, in the order of their bytes; the built-in model any is not among them",
    errors: &[],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.MODELS", "[]"),
        Line::new("MODEL.DEFINE user {}", "(integer) 1"),
        Line::new("MODEL.DEFINE item {}", "(integer) 1"),
        Line::new("MODEL.MODELS", "[item user]"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    Args::new(args).finish()?;
    let names = host.models().names().into_iter();
    let names = names.map(|name| Reply::Text(name.into_string().into_bytes()));
    Ok(Reply::Array(names.collect()).into())
}
