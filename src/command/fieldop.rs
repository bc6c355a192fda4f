//! `MODEL.FIELDOP`: a transaction of one block.

use std::slice;

use super::args::{ARGS, Args, CURRENT, EXPIRY, INIT, MKPATH, find_model, parse_current};
use super::host::{Access, Host, Key, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::op::Parsing;
use crate::path::Binding;
use crate::txn::{
    self, Block, Content, ContentDocument, ReplyForm, Request, StatementTraits, Statements,
    parse_statements,
};
use crate::value::Measured;

#[linkme::distributed_slice(COMMANDS)]
static FIELDOP: CommandSpec = CommandSpec {
    name: "MODEL.FIELDOP",
    summary: "Changes and reads places of one document, all or nothing",
    since: "0.1.0",
    complexity: "The sum of its statements",
    arity: -2,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        INIT,
        ARGS,
        CURRENT,
        MKPATH,
        EXPIRY,
        ArgSpec::new("statement", ArgKind::Statement).optional().multiple(),
    ],
    reply: "an array with one reply for each operator, in order; null for one whose WHEN is false",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Expr,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::TryAgain,
        ErrorCode::NoKey,
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
        ErrorCode::Limit,
    ],
    replicated: "the changes, with the revision and the absolute expiry; the command itself if it has the same effect anywhere: assertions are not checked again, and it has no guard, no clock, no expression in an operand but a value of `ARGS` or its negative, and no option that needs one; nothing if nothing changed",
    examples: &[
        CommandExample(&[
            Line::new(r#"MODEL.SET sku:1 any '{"stock":10,"reserved":0}'"#, "(revision)"),
            Line::new("MODEL.FIELDOP sku:1 INCR $.stock -1 INCR $.reserved 1", "[9 1]"),
            Line::new(
                r#"MODEL.FIELDOP sku:1 INCR $.stock -1 SET $.by '"Ann"' INCR $.by 1"#,
                "TYPE",
            ),
            Line::new("MODEL.GET sku:1", r#"{"stock":9,"reserved":1}"#),
        ]),
        CommandExample(&[
            Line::new(r#"MODEL.SET acct:1 any '{"balance":20}'"#, "(revision)"),
            Line::new(
                r#"MODEL.FIELDOP acct:1 ARGS '{"n":50}' IF 'self.balance >= args.n' INCR $.balance -50"#,
                "CONDITION",
            ),
            Line::new(
                "MODEL.FIELDOP acct:1 WHEN 'self.balance < 100' SET $.poor true WHEN 'self.balance >= 100' DEL $.poor EVAL $.fee 'self.balance / 10'",
                "[(integer) 1 (nil) 2]",
            ),
            Line::new("MODEL.FIELDOP acct:1 IF 'self.none > 1' GET $", "EXPR"),
        ]),
        CommandExample(&[
            Line::new("MODEL.FIELDOP hits INCR $.n 1", "NOKEY"),
            Line::new("MODEL.FIELDOP hits INIT any {} EX 60 INCR $.n 1", "[1]"),
            Line::new("MODEL.FIELDOP hits INIT any {} INCR $.n 1", "[2]"),
            Line::new("MODEL.FIELDOP hits EX 600", "[]"),
            Line::new("MODEL.FIELDOP hits WHEN 'self.n > 5' SET $.often true", "[(nil)]"),
        ]),
    ],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let replaying = host.replaying();
    let settings = if replaying { Settings::NONE } else { host.settings() };
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let mut parsed = FieldopArguments::default();
    parsed.parse(args, &settings, &allowance, replaying, host)?;
    parsed.prepare(host).map_err(|error| error.text("key", parsed.key.name))?;
    txn::execute(
        host,
        &Request {
            keys: slice::from_ref(&parsed.key),
            blocks: slice::from_ref(&parsed.block),
            statements: &parsed.statements,
            traits: StatementTraits::of(&parsed.statements),
            models: &[],
            args: parsed.args.as_ref(),
            docs: None,
            settings: &settings,
            allowance: &allowance,
            replaying,
            reply: ReplyForm::Block,
            token: None,
            natives: None,
        },
    )
}

/// The parsed arguments.
#[derive(Default)]
struct FieldopArguments<'a> {
    key: Key<'a>,
    /// The name of the model behind `INIT`.
    model: Option<&'a [u8]>,
    args: Option<Measured>,
    block: Block<'a>,
    statements: Statements<'a>,
}

impl<'a> FieldopArguments<'a> {
    /// Reads all arguments into `self`, which was made before because it is large and not moved again.
    fn parse(
        &mut self,
        args: &'a [&'a [u8]],
        settings: &Settings,
        allowance: &Allowance<'_>,
        replaying: bool,
        host: &mut dyn Host,
    ) -> Result<()> {
        let mut args = Args::new(args);
        self.key = args.key()?;
        host.prefetch(slice::from_ref(&self.key), Access::Change);
        let block = &mut self.block;
        let mut current = None;
        loop {
            if block.content.is_none() && args.keyword("INIT") {
                let (model, content) = args.model_and_json(settings)?;
                self.model = Some(model);
                block.content = Some(Content::initial(None, ContentDocument::given(content)));
            } else if self.args.is_none() && args.keyword("ARGS") {
                self.args = Some(args.object(settings)?);
            } else if current.is_none() && args.keyword("CURRENT") {
                current = Some(args.next("a path")?);
            } else if !block.make_path && args.keyword("MKPATH") {
                block.make_path = true;
            } else if block.expiry.is_none() {
                block.expiry = args.expiry_option()?;
                if block.expiry.is_none() {
                    break;
                }
            } else {
                break;
            }
        }
        // It may read ARGS, which may stand behind it.
        let binding =
            self.args.as_ref().map(|args| Binding::Args { args: args.value.view(), allowance });
        block.current = parse_current(current, &settings.paths, binding)?;
        let mut parsing = Parsing {
            limits: &settings.document,
            paths: &settings.paths,
            binding,
            compile: &mut |source, names| {
                host.compile(source, names, &settings.expressions, allowance)
            },
            transaction: false,
            replaying,
        };
        parse_statements(args.rest(), &mut parsing, &mut self.statements)?;
        // INIT and an expiry are whole commands without any statement.
        if self.statements.is_empty() && block.content.is_none() && block.expiry.is_none() {
            return Err(Error::syntax("expected a statement, INIT or an expiry"));
        }
        self.block.statements = 0..self.statements.len();
        Ok(())
    }

    /// Looks up the model, and refuses a time to live for a document that nothing can create.
    fn prepare(&mut self, host: &mut dyn Host) -> Result<()> {
        match (self.model, &mut self.block.content) {
            (Some(name), Some(content)) => content.model = find_model(host.models(), name)?,
            _ if self.block.expiry.is_some() && host.open(self.key)?.is_none() => {
                return Err(txn::no_key());
            }
            _ => {}
        }
        Ok(())
    }
}
