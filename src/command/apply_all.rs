//! `MODEL.APPLYALL`: repeats the effects of one command on several keys. Written by the module for replicas and the
//! AOF, not for clients.
//!
//! One command for all of them is a unit by itself, and costs the server a fraction of one for each key.

use super::apply::{EffectParts, Repetition};
use super::args::Args;
use super::host::{Access, Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::codec::effect::UnitReader;
use crate::error::{Error, ErrorCode, Result};
use crate::keys::listed_twice;

#[linkme::distributed_slice(COMMANDS)]
static APPLY_ALL: CommandSpec = CommandSpec {
    name: "MODEL.APPLYALL",
    summary: "Repeats effects on several keys, all or none; internal: written to replicas and the AOF",
    since: "0.5.0",
    complexity: "O(N) with N the size of the effects",
    arity: -4,
    flags: &[Flag::Write, Flag::Dangerous],
    keys: KeyPositions::Counted(1),
    tips: &[],
    args: &[
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).multiple(),
        ArgSpec::new("unit", ArgKind::String),
        ArgSpec::new("json", ArgKind::String).optional().multiple(),
    ],
    reply: "OK",
    errors: &[ErrorCode::Err, ErrorCode::Range, ErrorCode::WrongType, ErrorCode::NoKey],
    replicated: "itself",
    examples: &[CommandExample(&[Line::new("MODEL.APPLYALL 2 a b 'no effects'", "ERR")])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    Repetition::begin(host, args, |host, repetition| {
        let mut args = Args::new(args);
        let keys = args.counted_keys()?;
        if let Some(twice) = listed_twice(&keys) {
            return Err(Error::syntax("the key is listed twice").text("key", twice.name));
        }
        host.prefetch(&keys, Access::Change);
        let mut unit = UnitReader::new(args.next("effects")?);
        let mut parts = EffectParts::with_capacity(keys.len());
        for key in keys {
            let effect = unit.read()?;
            parts.push(repetition.part(host, key, effect, &mut args)?);
        }
        unit.finish()?;
        args.finish()?;
        repetition.repeat(host, parts)
    })
}
