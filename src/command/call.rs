//! `MODEL.CALL`: calls an action.
//!
//! An action is a transaction whose blocks were parsed when it was defined. A call binds its roles to keys and hands
//! the same request to the same engine as `MODEL.TXN` does.

use super::action::CallBlocks;
use super::args::{ARGS, Args};
use super::host::{Access, Host, Outcome, Settings};
use super::txn::{CallKeys, Recorded, TOKEN, key_roles};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::path::Binding;
use crate::txn::{self, DocNames, ReplyForm, Request, StatementTraits};

#[linkme::distributed_slice(COMMANDS)]
static CALL: CommandSpec = CommandSpec {
    name: "MODEL.CALL",
    summary: "Calls an action: changes and reads documents as it was defined, all or nothing",
    since: "0.5.0",
    complexity: "The sum of the action's statements, and O(K) with K the number of keys",
    arity: -4,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::Counted(2),
    tips: &[],
    args: &[
        ArgSpec::new("action", ArgKind::String),
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).multiple(),
        TOKEN,
        ARGS,
    ],
    reply: "as that of MODEL.TXN: an array with one array for each block of the action, with one reply for each operator or native in it, in order; null for one whose WHEN is false",
    errors: &[
        ErrorCode::Err,
        ErrorCode::NoAction,
        // Of ARGS; that of a document comes last.
        ErrorCode::Schema,
        ErrorCode::Expr,
        // Of the token's key; that of a document comes after NOMODEL.
        ErrorCode::WrongType,
        ErrorCode::TokenMismatch,
        ErrorCode::TokenExpired,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::BusyKey,
        ErrorCode::Condition,
        ErrorCode::Revision,
        ErrorCode::LockLost,
        ErrorCode::NoPath,
        ErrorCode::Type,
        ErrorCode::Range,
        ErrorCode::Overflow,
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Unique,
        // Of natives, which are checked last.
        ErrorCode::NoPerm,
        ErrorCode::TryAgain,
        ErrorCode::Limit,
    ],
    replicated: "the changes, key by key, in one unit with the token; outside of a cluster the call itself if it has the same effect anywhere, as for MODEL.TXN; natives as the server's own commands, in the same unit; nothing if nothing changed",
    examples: &[
        CommandExample(&[
            Line::new(
                r#"MODEL.ACTION hit 1 counter PARAMS '{"properties":{"n":{"type":"integer","default":1}}}' ON counter INIT any '{"hits":0}' EX 60 INCR $.hits '=args.n'"#,
                "(integer) 1",
            ),
            Line::new("MODEL.CALL hit 1 hits:{u}:1", "[[1]]"),
            Line::new(r#"MODEL.CALL hit 1 hits:{u}:1 ARGS '{"n":2}'"#, "[[3]]"),
            Line::new(r#"MODEL.CALL hit 1 hits:{u}:1 ARGS '{"n":"2"}'"#, "SCHEMA"),
            Line::new(
                r#"MODEL.CALL hit 2 hits:{u}:1 once:{u}:9 TOKEN once:{u}:9 ARGS '{"n":4}'"#,
                "[[7]]",
            ),
            Line::new(
                r#"MODEL.CALL hit 2 hits:{u}:1 once:{u}:9 TOKEN once:{u}:9 ARGS '{"n":4}'"#,
                "[[7]]",
            ),
            Line::new(
                r#"MODEL.CALL hit 2 hits:{u}:1 once:{u}:9 TOKEN once:{u}:9 ARGS '{"n":5}'"#,
                "TOKENMISMATCH",
            ),
        ]),
        CommandExample(&[
            Line::new(
                "MODEL.ACTION spend 2 from to ON from INCR $.n -1 ON to INCR $.n '=docs.from.n'",
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET p:{c} any '{"n":9}'"#, "(revision)"),
            Line::new(r#"MODEL.SET q:{c} any '{"n":1}'"#, "(revision)"),
            Line::new("MODEL.CALL spend 2 p:{c} q:{c}", "[[8] [9]]"),
            Line::new("MODEL.CALL spend 1 p:{c}", "ERR"),
            Line::new("MODEL.CALL spent 2 p:{c} q:{c}", "NOACTION"),
        ]),
    ],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut cursor = Args::new(args);
    let name = cursor.next("an action")?;
    let mut outcome = call(host, args, cursor, name);
    // The outcome is large: it stays where it was made.
    if let Err(error) = outcome {
        outcome = Err(error.text("action", name));
    }
    outcome
}

fn call(host: &mut dyn Host, args: &[&[u8]], mut cursor: Args<'_>, name: &[u8]) -> Result<Outcome> {
    let replaying = host.replaying();
    let settings = if replaying { Settings::NONE } else { host.settings() };
    let keys = CallKeys::parse(&mut cursor)?;
    cursor.finish()?;
    // A call that was committed is answered whatever the action is now.
    let digest = keys.token.as_ref().map(|token| token.digest_of_call(args));
    let recorded = Recorded::find(host, keys.token.as_ref(), digest);
    if let Ok(Recorded::Reply(reply)) = recorded {
        return Ok(reply.into());
    }
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let action = host.actions().with(name, std::sync::Arc::clone)?;
    if keys.of_listed.len() != action.roles.len() {
        return Err(wrong_count(&action.roles, keys.of_listed.len()));
    }
    if !action.uses_natives() {
        host.prefetch(&keys.slots, Access::Change);
    }
    action.charge(&allowance)?;
    let given = action.arguments(keys.args, &settings, &allowance, replaying)?;
    let view = given.as_ref().map(|given| given.value.view());
    let binding = view.map(|args| Binding::Args { args, allowance: &allowance });
    let bound = action.bind(&settings, binding)?;
    let token = recorded?.begin(host, keys.token.as_ref(), digest)?;
    let mut blocks = CallBlocks::new();
    action.add_blocks(&keys.of_listed, host.models(), bound.as_ref(), &mut blocks)?;
    let models = action.statement_models(host.models())?;
    let natives = key_roles(&blocks, action.uses_natives(), &keys.slots)?;
    let (statements, traits) = match &bound {
        Some(bound) => (&bound.statements[..], StatementTraits::of(&bound.statements)),
        None => action.statements(),
    };
    txn::execute(
        host,
        &Request {
            keys: &keys.slots,
            blocks: &blocks,
            statements,
            traits,
            models: &models,
            args: given.as_ref(),
            docs: Some(DocNames::Roles(action.roles(&keys.of_listed))),
            settings: &settings,
            allowance: &allowance,
            replaying,
            reply: ReplyForm::Blocks,
            token,
            natives: natives.as_deref(),
        },
    )
}

/// A call has a key for each role, in their order, and one for its token.
#[cold]
fn wrong_count(roles: &[Box<str>], keys: usize) -> Error {
    Error::syntax("the action takes one key for each of its roles, and one more behind TOKEN")
        .text("roles", roles.join(" ").as_bytes())
        .integer("keys", keys as i64)
}
