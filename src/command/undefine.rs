//! `MODEL.UNDEFINE`: ends a model's definition.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::codec::definition;
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static UNDEFINE: CommandSpec = CommandSpec {
    name: "MODEL.UNDEFINE",
    summary: "Ends the definition of a model that has no documents",
    since: "0.2.0",
    complexity: "O(1)",
    arity: 2,
    flags: &[Flag::Write, Flag::Fast],
    keys: KeyPositions::None,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[ArgSpec::new("model", ArgKind::String)],
    reply: "OK",
    errors: &[ErrorCode::NoModel, ErrorCode::InUse],
    replicated: "the end of the definition, with its version",
    examples: &[CommandExample(&[
        Line::new("MODEL.DEFINE item {}", "(integer) 1"),
        Line::new("MODEL.SET sku:1 item {}", "(revision)"),
        Line::new("MODEL.UNDEFINE item", "INUSE"),
        Line::new("MODEL.SET sku:1 any {}", "(revision)"),
        Line::new("MODEL.UNDEFINE item", "OK"),
        Line::new("MODEL.UNDEFINE item", "NOMODEL"),
        Line::new("MODEL.DEFINE item {}", "(integer) 3"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let name = args.next("a model")?;
    args.finish()?;
    let end = host.models().end(name)?;
    host.models().install(&end).expect("an end is not compiled");
    let mut outcome = Outcome::from(Reply::Ok);
    outcome.definition = Some(definition::encode(&end).into());
    Ok(outcome)
}
