//! `MODEL.INSTALL`: installs a definition of another server. Written by the module for replicas and the AOF, not for
//! clients.

use super::action::check_may_define;
use super::args::{Args, model_limits};
use super::host::{Host, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::codec::definition::{self, AnyEntry};
use crate::error::{ErrorCode, Result};
use crate::model::{Entry, Registry, Source};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static INSTALL: CommandSpec = CommandSpec {
    name: "MODEL.INSTALL",
    summary: "Installs a definition; internal: written to replicas and the AOF",
    since: "0.2.0",
    complexity: "O(N) with N the size of the definition",
    arity: 2,
    flags: &[Flag::Write, Flag::Dangerous],
    keys: KeyPositions::None,
    tips: &[],
    args: &[ArgSpec::new("definition", ArgKind::String)],
    reply: "OK",
    errors: &[ErrorCode::Err, ErrorCode::Expr, ErrorCode::Limit],
    replicated: "itself",
    examples: &[CommandExample(&[Line::new("MODEL.INSTALL 'not a definition'", "ERR")])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let bytes = args.next("a definition")?;
    args.finish()?;
    let settings = host.settings();
    let replaying = host.replaying();
    let decoded = definition::decode_any(bytes)?;
    if matches!(decoded, AnyEntry::Action(_)) && !replaying {
        check_may_define(host)?;
    }
    let models = model_limits(&settings);
    let installed = match decoded {
        AnyEntry::Model(entry) => install(host.models(), &entry, replaying, &models, &settings),
        AnyEntry::Action(entry) => install(host.actions(), &entry, replaying, &settings, &settings),
    };
    // A definition that does not compile here is kept all the same: nothing a master accepted is lost.
    match installed {
        Err(error) if !host.replaying() => return Err(error),
        _ => {}
    }
    let mut outcome = Outcome::from(Reply::Ok);
    outcome.definition = Some(bytes.into());
    Ok(outcome)
}

fn install<S: Source>(
    registry: &Registry<S>,
    entry: &Entry<S>,
    replaying: bool,
    limits: &S::Limits,
    settings: &Settings,
) -> Result<()> {
    match replaying {
        true => registry.install(entry),
        false => registry.define(entry, limits, &Allowance::new(&settings.work)),
    }
}
