//! `MODEL.COUNT`: the number of documents of a model that fulfil a condition.

use super::args::{ARGS, Args, SLOT};
use super::finding::{DocumentQuery, DocumentSearch, Next};
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static COUNT: CommandSpec = CommandSpec {
    name: "MODEL.COUNT",
    summary: "Counts the documents of a model that fulfil a condition, by its indexes",
    since: "0.5.0",
    complexity: "O(log N + M) with N the documents of the model and M the entries looked at: each document is asked, because it may have expired; bounded by model.command-steps",
    arity: -2,
    flags: &[Flag::ReadOnly],
    keys: KeyPositions::Behind("SLOT"),
    tips: &["request_policy:special", "response_policy:agg_sum"],
    args: &[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("expr", ArgKind::String).token("WHERE").optional(),
        ARGS,
        SLOT,
        ArgSpec::new("scan", ArgKind::Token).token("SCAN").optional(),
    ],
    reply: "an integer. With SLOT only documents whose keys have the hash slot of this key are counted. Documents whose key the caller may not read are not counted. Where there are more entries than the command may look at, the error is LIMIT: count page by page with MODEL.FIND",
    errors: &[
        ErrorCode::Err,
        ErrorCode::NoModel,
        ErrorCode::NoIndex,
        ErrorCode::Indexing,
        ErrorCode::TryAgain,
        ErrorCode::Expr,
        ErrorCode::Range,
        ErrorCode::Limit,
    ],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.DEFINE job {} INDEX by_state 1 $.state", "(integer) 1"),
        Line::new(r#"MODEL.SET j:1 job '{"state":"open"}'"#, "(revision)"),
        Line::new(r#"MODEL.SET j:2 job '{"state":"done"}'"#, "(revision)"),
        Line::new("MODEL.COUNT job", "(integer) 2"),
        Line::new(
            r#"MODEL.COUNT job WHERE 'self.state == args.state' ARGS '{"state":"open"}'"#,
            "(integer) 1",
        ),
        Line::new("MODEL.COUNT job SLOT j:2", "(integer) 1"),
        Line::new("MODEL.COUNT job WHERE 'self.n > 1'", "NOINDEX"),
    ])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut args = Args::new(args);
    let mut query = DocumentQuery { model: args.next("a model")?, ..DocumentQuery::default() };
    while query.option(&mut args, &settings)? || query.slot_option(&mut args)? {}
    args.finish()?;
    let mut search = DocumentSearch::plan(host, &query, &settings, &allowance)?;
    search.run(host, &allowance, usize::MAX, |_| false, |_, _| Ok(Next::GoOn))?;
    Ok(Reply::Int(search.counts.matched as i64).into())
}
