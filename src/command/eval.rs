//! `MODEL.EVAL`: the value of an expression about a document.

use super::args::{ARGS, Args};
use super::get::refresh;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{ErrorCode, Result};
use crate::expr::{AllowedNames, Scope};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static EVAL: CommandSpec = CommandSpec {
    name: "MODEL.EVAL",
    summary: "Evaluates an expression about a document: member names, types, sums, the index of an element",
    since: "0.5.0",
    complexity: "The steps of the expression, and the size of its value",
    arity: -3,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::First,
    tips: &[],
    args: &[ArgSpec::new("key", ArgKind::Key), ArgSpec::new("expr", ArgKind::String), ARGS],
    reply: "the value as JSON text; null for a missing key",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Limit,
        ErrorCode::WrongType,
        ErrorCode::Range,
        ErrorCode::Expr,
    ],
    replicated: "nothing; the new expiry where the model has REFRESH READ",
    examples: &[CommandExample(&[
        Line::new(
            r#"MODEL.SET cart any '{"lines":[{"sku":"a","n":2},{"sku":"b","n":3}],"note":null}'"#,
            "(revision)",
        ),
        Line::new("MODEL.EVAL cart 'self.map(name, name)'", r#"["lines","note"]"#),
        Line::new("MODEL.EVAL cart 'self.lines.map(l, l.n).sum()'", "5"),
        Line::new(
            r#"MODEL.EVAL cart 'self.lines.map(l, l.sku).indexOf(args.sku)' ARGS '{"sku":"b"}'"#,
            "1",
        ),
        Line::new("MODEL.EVAL cart self.note", "null"),
        Line::new("MODEL.EVAL cart self.none", "EXPR"),
        Line::new("MODEL.EVAL none self.lines", "(nil)"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut args = Args::new(args);
    let key = args.key()?;
    let source = args.next("an expression")?;
    let given = if args.keyword("ARGS") { Some(args.object(&settings)?) } else { None };
    args.finish()?;
    let limits = &settings.expressions;
    let names = AllowedNames { docs: false, ..AllowedNames::CONDITION };
    let program = host.compile(source, names, limits, &allowance)?;
    let now_us = program.reads_clock().then(|| host.now_us());
    let Some(document) = host.read(key).map_err(|error| error.text("key", key.name))? else {
        return Ok(Reply::Null.into());
    };
    allowance.own(document.size());
    let scope = Scope {
        this: Some(document.root.view()),
        args: given.as_ref().map(|given| given.value.view()),
        now_us,
        key: key.name,
        revision: Some(document.revision),
        allowance: Some(&allowance),
        ..Scope::EMPTY
    };
    let value =
        program.evaluate(&scope, limits).map_err(|error| error.text("key", key.name))?.value;
    allowance.transfer(value.view().work())?;
    let mut outcome = Outcome::from(Reply::value(value.view()).within(&allowance)?);
    outcome.effects.extend(refresh(host, key)?);
    Ok(outcome)
}
