//! `MODEL.TXN`: changes and reads several documents, all or nothing.

mod recorded;
mod request;

pub(super) use self::recorded::Recorded;
use self::request::Header;
pub use self::request::KEYS_MAX;
pub(super) use self::request::{
    BlockPlaces, CallKeys, TxnBody, find_statement_model, key_roles, model_of,
};
use super::args::{ARGS, Args, CURRENT, EXPIRY, INIT, MKPATH};
use super::host::{Access, Host, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{ErrorCode, Result};
use crate::native::NATIVE_BLOCK;
use crate::txn::{self, DocNames, ReplyForm, Request, StatementTraits};

/// The option that makes a transaction idempotent.
pub(super) const TOKEN: ArgSpec = ArgSpec::new(
    "token",
    ArgKind::Block(&[
        ArgSpec::new("token-key", ArgKind::Key),
        ArgSpec::new("window-milliseconds", ArgKind::Integer).token("WINDOW").optional(),
        ArgSpec::new("sent-unix-time-milliseconds", ArgKind::UnixTime).token("AT").optional(),
    ]),
)
.token("TOKEN")
.optional();

#[linkme::distributed_slice(COMMANDS)]
static TXN: CommandSpec = CommandSpec {
    name: "MODEL.TXN",
    summary: "Changes and reads several documents, all or nothing, once",
    since: "0.3.0",
    complexity: "The sum of its statements, and O(K) with K the number of keys",
    arity: -5,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::Counted(1),
    tips: &[],
    args: &[
        ArgSpec::new("numkeys", ArgKind::Integer),
        ArgSpec::new("key", ArgKind::Key).multiple(),
        TOKEN,
        ARGS,
        ArgSpec::new(
            "block",
            ArgKind::OneOf(&[
                ArgSpec::new(
                    "document",
                    ArgKind::Block(&[
                        ArgSpec::new("block-key", ArgKind::Key),
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
                        ArgSpec::new("native-key", ArgKind::Key),
                        ArgSpec::new("native", ArgKind::Native).multiple(),
                    ]),
                )
                .token("AT"),
            ]),
        )
        .multiple(),
    ],
    reply: "an array with one array for each block, with one reply for each operator or native in it, in order; null for one whose WHEN is false",
    errors: &[
        ErrorCode::Err,
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
    replicated: "the changes, key by key, in one unit with the token; the command itself if it has the same effect anywhere, as for MODEL.FIELDOP; nothing if nothing changed; natives as the server's own commands, in the same unit",
    examples: &[
        CommandExample(&[
            Line::new(r#"MODEL.SET acct:{a}:1 any '{"balance":80}'"#, "(revision)"),
            Line::new(r#"MODEL.SET acct:{a}:2 any '{"balance":5}'"#, "(revision)"),
            Line::new(
                r#"MODEL.TXN 2 acct:{a}:1 acct:{a}:2 ARGS '{"n":50}' ON acct:{a}:1 IF 'self.balance >= args.n' INCR $.balance -50 ON acct:{a}:2 INCR $.balance 50"#,
                "[[30] [55]]",
            ),
            Line::new(
                "MODEL.TXN 2 acct:{a}:1 acct:{a}:2 ON acct:{a}:2 INCR $.balance 50 ON acct:{a}:1 INCR $.balance -50 IF 'self.balance >= 0'",
                "CONDITION",
            ),
            Line::new("MODEL.MGET 2 acct:{a}:1 acct:{a}:2 $.balance", "[30 55]"),
        ]),
        CommandExample(&[
            Line::new(r#"MODEL.SET cart:{b} any '{"sku":"moka","n":2}'"#, "(revision)"),
            Line::new(r#"MODEL.SET stock:{b}:moka any '{"left":3}'"#, "(revision)"),
            Line::new(
                r#"MODEL.TXN 4 cart:{b} stock:{b}:moka order:{b}:1 paid:{b}:77 TOKEN paid:{b}:77 ON stock:{b}:moka EVAL $.left "value - docs['cart:{b}'].n" IF 'self.left >= 0' ON order:{b}:1 CREATE any {} EVAL $.of "docs['cart:{b}']" ON cart:{b} DELETE"#,
                r#"[[1] [(revision) {"sku":"moka","n":2}] [(integer) 1]]"#,
            ),
            Line::new(
                "MODEL.TXN 4 cart:{b} stock:{b}:moka order:{b}:1 paid:{b}:77 TOKEN paid:{b}:77 ON cart:{b} DELETE",
                "TOKENMISMATCH",
            ),
            Line::new("MODEL.GET order:{b}:1", r#"{"of":{"sku":"moka","n":2}}"#),
            Line::new("MODEL.TXN 1 a ON b GET $", "ERR"),
        ]),
        CommandExample(&[
            Line::new(r#"MODEL.SET p:{1} any '{"energy":25,"score":0}'"#, "(revision)"),
            Line::new(
                r#"MODEL.TXN 2 p:{1} board:{1} ARGS '{"n":50}' ON p:{1} IF 'self.energy >= 10' INCR $.energy -10 INCR $.score '=args.n' AT board:{1} ZADD "=docs['p:{1}'].score" '"ann"'"#,
                "[[15 50] [(integer) 1]]",
            ),
            Line::new(
                r#"MODEL.TXN 2 p:{1} board:{1} ON p:{1} INCR $.score 1 AT board:{1} ZINCRBY 1 '"ann"' SADD '"bob"'"#,
                "WRONGTYPE",
            ),
            Line::new(
                r#"MODEL.TXN 2 p:{1} board:{1} ON p:{1} IF "native['board:{1}'].score('ann') == 50.0" GET $.score"#,
                "[[50]]",
            ),
        ]),
    ],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let replaying = host.replaying();
    let settings = if replaying { Settings::NONE } else { host.settings() };
    let mut cursor = Args::new(args);
    let header = Header::parse(&mut cursor)?;
    // A request that was committed is answered before it is parsed: limits may have changed since.
    let digest = header.token.as_ref().map(|token| token.digest(args));
    let recorded = Recorded::find(host, header.token.as_ref(), digest);
    if let Ok(Recorded::Reply(reply)) = recorded {
        return Ok(reply.into());
    }
    // The keys of structures are opened in another way.
    if !cursor.left().iter().any(|arg| arg.eq_ignore_ascii_case(NATIVE_BLOCK.as_bytes())) {
        host.prefetch(&header.slots, Access::Change);
    }
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut body = TxnBody::default();
    // Malformed arguments are refused before a token that was used otherwise.
    body.parse(cursor, &header, &settings, &allowance, replaying, host)?;
    let roles = key_roles(&body.blocks, body.uses_natives(), &header.slots)?;
    let token = recorded?.begin(host, header.token.as_ref(), digest)?;
    body.find_models(host.models(), header.keys.names())?;
    let models = body.find_statement_models(host.models(), header.keys.names())?;
    txn::execute(
        host,
        &Request {
            keys: &header.slots,
            blocks: &body.blocks,
            statements: &body.statements,
            traits: StatementTraits::of(&body.statements),
            models: &models,
            args: body.args.as_ref(),
            docs: Some(DocNames::Keys(&header.keys)),
            settings: &settings,
            allowance: &allowance,
            replaying,
            reply: ReplyForm::Blocks,
            token,
            natives: roles.as_deref(),
        },
    )
}
