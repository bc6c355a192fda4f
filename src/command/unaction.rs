//! `MODEL.UNACTION`: ends an action's definition.

use super::action::check_may_define;
use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::codec::definition;
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static UNACTION: CommandSpec = CommandSpec {
    name: "MODEL.UNACTION",
    summary: "Ends the definition of an action",
    since: "0.5.0",
    complexity: "O(1)",
    arity: 2,
    flags: &[Flag::Write, Flag::Fast],
    keys: KeyPositions::None,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[ArgSpec::new("action", ArgKind::String)],
    reply: "OK",
    errors: &[ErrorCode::Err, ErrorCode::NoAction, ErrorCode::Limit],
    replicated: "the end of the definition, with its version",
    examples: &[CommandExample(&[
        Line::new("MODEL.ACTION read 1 what ON what GET $.a", "(integer) 1"),
        Line::new("MODEL.UNACTION read", "OK"),
        Line::new("MODEL.UNACTION read", "NOACTION"),
        Line::new("MODEL.CALL read 1 a", "NOACTION"),
        Line::new("MODEL.ACTION read 1 what ON what GET $.a", "(integer) 3"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let name = args.next("an action")?;
    args.finish()?;
    check_may_define(host)?;
    let end = host.actions().end(name).map_err(|error: Error| error.text("action", name))?;
    host.actions().install(&end).expect("an end is not compiled");
    let mut outcome = Outcome::from(Reply::Ok);
    outcome.definition = Some(definition::encode_action(&end).into());
    Ok(outcome)
}
