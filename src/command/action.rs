//! `MODEL.ACTION`: defines or redefines an action.

mod compiled;

pub use compiled::CallBlocks;

use super::args::{Args, CURRENT, EXPIRY, INIT, MKPATH, parse_version};
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::argument;
use crate::budget::Allowance;
use crate::codec::definition;
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::model::{ActionSource, check_new_name};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static ACTION: CommandSpec = CommandSpec {
    name: "MODEL.ACTION",
    summary: "Defines an action: a transaction that is called by its name",
    since: "0.5.0",
    complexity: "O(N) with N the size of the definition",
    arity: -6,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::None,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[
        ArgSpec::new("action", ArgKind::String),
        ArgSpec::new("numroles", ArgKind::Integer),
        ArgSpec::new("role", ArgKind::String).multiple(),
        ArgSpec::new("schema", ArgKind::String).token("PARAMS").optional(),
        ArgSpec::new("version", ArgKind::Integer).token("IFVERSION").optional(),
        ArgSpec::new(
            "block",
            ArgKind::OneOf(&[
                ArgSpec::new(
                    "document",
                    ArgKind::Block(&[
                        ArgSpec::new("block-role", ArgKind::String),
                        INIT,
                        CURRENT,
                        MKPATH,
                        EXPIRY,
                        ArgSpec::new("statement", ArgKind::TransactionStatement)
                            .optional()
                            .multiple(),
                    ]),
                )
                .token("ON"),
                ArgSpec::new(
                    "natives",
                    ArgKind::Block(&[
                        ArgSpec::new("native-role", ArgKind::String),
                        ArgSpec::new("native", ArgKind::Native).multiple(),
                    ]),
                )
                .token("AT"),
            ]),
        )
        .multiple(),
    ],
    reply: "the action's version, which counts up; the version in force if the definition is the same, with the schemas behind PARAMS compared as JSON values",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Revision,
        // Of the blocks and the schema, which are compiled last.
        ErrorCode::Err,
        ErrorCode::Expr,
        ErrorCode::Type,
        ErrorCode::Range,
        ErrorCode::Limit,
    ],
    replicated: "the definition with its version; nothing if it is the same",
    examples: &[
        CommandExample(&[
            Line::new(
                r#"MODEL.ACTION transfer 2 from to PARAMS '{"properties":{"cents":{"type":"integer","minimum":1}},"required":["cents"]}' ON from IF 'self.balance >= args.cents' INCR $.balance '=-args.cents' ON to INCR $.balance '=args.cents'"#,
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET acct:{b}:ann any '{"balance":100}'"#, "(revision)"),
            Line::new(r#"MODEL.SET acct:{b}:bob any '{"balance":5}'"#, "(revision)"),
            Line::new(
                r#"MODEL.CALL transfer 2 acct:{b}:ann acct:{b}:bob ARGS '{"cents":70}'"#,
                "[[30] [75]]",
            ),
            Line::new(
                r#"MODEL.CALL transfer 2 acct:{b}:ann acct:{b}:bob ARGS '{"cents":70}'"#,
                "CONDITION",
            ),
            Line::new(
                r#"MODEL.CALL transfer 2 acct:{b}:ann acct:{b}:bob ARGS '{"cents":-70}'"#,
                "SCHEMA",
            ),
        ]),
        CommandExample(&[
            Line::new(
                r#"MODEL.ACTION win 2 player board ON player INCR $.score '=args.n' AT board ZADD '=docs.player.score' '=args.name'"#,
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET p:{1} any '{"score":7}'"#, "(revision)"),
            Line::new(
                r#"MODEL.CALL win 2 p:{1} board:{1} ARGS '{"n":5,"name":"ann"}'"#,
                "[[12] [(integer) 1]]",
            ),
            Line::new(r#"MODEL.CALL win 2 p:{1} p:{1} ARGS '{"n":5,"name":"ann"}'"#, "ERR"),
        ]),
        CommandExample(&[
            Line::new("MODEL.ACTION count 1 n ON n INCR $.n 1", "(integer) 1"),
            Line::new("MODEL.ACTION count 1 n ON n INCR $.n 1", "(integer) 1"),
            Line::new("MODEL.ACTION count 1 n IFVERSION 1 ON n INCR $.n 2", "(integer) 2"),
            Line::new("MODEL.ACTION count 1 n IFVERSION 1 ON n INCR $.n 3", "REVISION"),
            Line::new("MODEL.ACTION count 1 n ON m INCR $.n 1", "ERR"),
            Line::new("MODEL.ACTION count 1 n ON n IF 'self.n <' INCR $.n 1", "EXPR"),
        ]),
    ],
    run,
};

/// The parsed arguments.
struct NewAction<'a> {
    name: &'a str,
    source: ActionSource,
    /// The version that has to be in force; 0 where the action is not to be defined.
    if_version: Option<u32>,
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let NewAction { name, source, if_version } = parse(args)?;
    check_may_define(host)?;
    let actions = host.actions();
    let with_action = |error: Error| error.text("action", name.as_bytes());
    let next = actions.next(name, source, settings.actions.count);
    let Some(entry) = next.map_err(with_action)? else {
        return Ok(Reply::Int(actions.version(name).into()).into());
    };
    let version = actions.version(name);
    if if_version.is_some_and(|wanted| wanted != version) {
        let message = "another version of the action is defined";
        return Err(with_action(Error::new(ErrorCode::Revision, message))
            .integer("definition-version", version.into()));
    }
    actions.define(&entry, &settings, &allowance).map_err(with_action)?;
    let mut outcome = Outcome::from(Reply::Int(entry.version.into()));
    outcome.definition = Some(definition::encode_action(&entry).into());
    Ok(outcome)
}

/// Refuses definitions of clients on a replica: it is sent calls, and has to know the same actions as its master.
pub fn check_may_define(host: &mut dyn Host) -> Result<()> {
    match host.defines_actions() {
        true => Ok(()),
        false => Err(Error::syntax("a replica has the actions of its master: define them there")),
    }
}

fn parse<'a>(args: &'a [&'a [u8]]) -> Result<NewAction<'a>> {
    let mut args = Args::new(args);
    let noun = ("action", "an action's");
    let name = check_new_name(args.next("an action")?, noun, limit::ACTION_NAME_BYTES)?;
    let roles = parse_roles(&mut args)?;
    let (mut params, mut if_version) = (None, None);
    loop {
        if params.is_none() && args.keyword("PARAMS") {
            params = Some(args.next("a schema")?.into());
        } else if if_version.is_none() && args.keyword("IFVERSION") {
            if_version = Some(parse_version(&mut args)?);
        } else {
            break;
        }
    }
    let blocks = args.rest().iter().map(|word| (*word).into()).collect();
    Ok(NewAction { name, source: ActionSource { roles, params, blocks }, if_version })
}

/// `numroles role [role ...]`.
fn parse_roles(args: &mut Args<'_>) -> Result<Vec<Box<str>>> {
    let written = args.next("numroles")?;
    let count = usize::try_from(argument::integer(written)?).ok();
    let count = count.filter(|count| (1..=args.left().len()).contains(count)).ok_or_else(|| {
        Error::syntax("numroles is not the number of roles that follow").text("argument", written)
    })?;
    let role = |name: &&[u8]| {
        let text = std::str::from_utf8(name);
        text.map(Box::from)
            .map_err(|_| Error::syntax("a role's name has to be UTF-8").text("role", name))
    };
    let roles = args.left()[..count].iter().map(role).collect();
    args.skip(count);
    roles
}
