//! `MODEL.SET`: stores a whole document.

use std::sync::Arc;

use super::args::{ARGS, Args, CURRENT, EX, EXAT, PX, PXAT, find_model, parse_current};
use super::host::{Access, Host, Key, Outcome, Settings};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{AllowedNames, Program, Scope};
use crate::path::{Binding, Path};
use crate::reply::Reply;
use crate::txn::{
    self, Block, Content, ContentDocument, ExpiryOption, ReplyForm, Request, StatementTraits,
    check_condition, check_revision, no_key, parse_revision,
};
use crate::value::Measured;

#[linkme::distributed_slice(COMMANDS)]
static SET: CommandSpec = CommandSpec {
    name: "MODEL.SET",
    summary: "Stores a whole document",
    since: "0.1.0",
    complexity: "O(N) with N the size of the document",
    arity: -4,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("json", ArgKind::String),
        ArgSpec::new(
            "condition",
            ArgKind::OneOf(&[
                ArgSpec::new("nx", ArgKind::Token).token("NX"),
                ArgSpec::new("xx", ArgKind::Token).token("XX"),
            ]),
        )
        .optional(),
        ArgSpec::new("revision", ArgKind::Integer).token("IFREV").optional(),
        ArgSpec::new("expr", ArgKind::String).token("IF").optional(),
        ARGS,
        CURRENT,
        ArgSpec::new(
            "expiry",
            ArgKind::OneOf(&[
                EX,
                PX,
                EXAT,
                PXAT,
                ArgSpec::new("keepttl", ArgKind::Token).token("KEEPTTL"),
            ]),
        )
        .optional(),
    ],
    reply: "the new revision; null where the condition NX or XX does not hold",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Range,
        ErrorCode::Limit,
        ErrorCode::NoModel,
        ErrorCode::WrongType,
        ErrorCode::TryAgain,
        ErrorCode::NoKey,
        ErrorCode::Revision,
        ErrorCode::Condition,
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Unique,
        ErrorCode::Expr,
    ],
    replicated: "the document with its revision and absolute expiry",
    examples: &[
        CommandExample(&[
            Line::new(r#"MODEL.SET acct:1 any '{"balance":100}' NX"#, "(revision)"),
            Line::new("MODEL.SET acct:1 any {} NX", "(nil)"),
            Line::new("MODEL.SET acct:1 any {} IFREV 1", "REVISION"),
            Line::new("MODEL.SET acct:1 any {} IF 'self.balance < 0'", "CONDITION"),
            Line::new("MODEL.SET acct:1 any {} IFREV 1 CURRENT $.balance", "REVISION"),
            Line::new("MODEL.SET acct:1 any {} EX 60", "(revision)"),
            Line::new("MODEL.SET acct:1 any {", "ERR"),
            Line::new("MODEL.GET acct:1", "{}"),
        ]),
        CommandExample(&[
            Line::new(
                r#"MODEL.DEFINE acct '{"required":["balance"],"properties":{"open":{"default":true}}}' RULE covered 'self.balance >= 0'"#,
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET acct:1 acct '{"balance":100}'"#, "(revision)"),
            Line::new("MODEL.GET acct:1", r#"{"balance":100,"open":true}"#),
            Line::new("MODEL.SET acct:1 acct {}", "SCHEMA"),
            Line::new(r#"MODEL.SET acct:1 acct '{"balance":-1}'"#, "RULE"),
            Line::new("MODEL.SET acct:1 none {}", "NOMODEL"),
        ]),
    ],
    run,
};

/// The parsed arguments.
struct SetArguments<'a> {
    key: Key<'a>,
    model: &'a [u8],
    content: Measured,
    json_arg: usize,
    only: Option<Only>,
    revision: Option<u64>,
    condition: Option<Arc<Program>>,
    args: Option<Measured>,
    current: Option<Arc<Path<'a>>>,
    expiry: Option<ExpiryOption>,
}

/// The condition on what the key holds.
#[derive(Clone, Copy, PartialEq)]
enum Only {
    Missing,
    Existing,
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let settings = host.settings();
    let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
    let parsed = parse(args, &settings, &allowance, host)?;
    let key = parsed.key;
    let named = |error: Error| error.text("key", key.name);
    let model = find_model(host.models(), parsed.model).map_err(named)?;
    match parsed.conditions_hold(host, &settings, &allowance).map_err(named) {
        Ok(true) => {}
        Ok(false) => return Ok(Reply::Null.into()),
        Err(error) => {
            return Err(match &parsed.current {
                Some(path) => txn::told(host, key, path, &allowance, error)?,
                None => error,
            });
        }
    }
    let content = Content {
        model,
        document: ContentDocument::given(parsed.content),
        replaces: true,
        json_arg: Some(parsed.json_arg),
    };
    let (content, expiry) = (Some(content), parsed.expiry);
    let block = Block { content, expiry, current: parsed.current, ..Block::default() };
    txn::execute(
        host,
        &Request {
            keys: &[key],
            blocks: &[block],
            statements: &[],
            traits: StatementTraits::NONE,
            models: &[],
            args: None,
            docs: None,
            settings: &settings,
            allowance: &allowance,
            replaying: false,
            reply: ReplyForm::Revision,
            token: None,
            natives: None,
        },
    )
}

impl SetArguments<'_> {
    /// Returns false where `NX` or `XX` does not hold, which is no error. `NOKEY` or `REVISION` where
    /// `IFREV` does not; `NOKEY`, `CONDITION` or `EXPR` where `IF` does not.
    fn conditions_hold(
        &self,
        host: &mut dyn Host,
        settings: &Settings,
        allowance: &Allowance<'_>,
    ) -> Result<bool> {
        let clock = self.condition.as_ref().is_some_and(|condition| condition.reads_clock());
        let now_us = clock.then(|| host.now_us());
        let document = host.open(self.key)?;
        let found = document.as_ref().map(|document| document.revision);
        if self.only.is_some_and(|only| (only == Only::Missing) == found.is_some()) {
            return Ok(false);
        }
        if let Some(expected) = self.revision {
            check_revision(expected, Some(found.ok_or_else(no_key)?))?;
        }
        if let Some(condition) = &self.condition {
            let document = document.ok_or_else(no_key)?;
            let scope = Scope {
                this: Some(document.root.view()),
                args: self.args.as_ref().map(|args| args.value.view()),
                now_us,
                key: self.key.name,
                revision: found,
                allowance: Some(allowance),
                ..Scope::EMPTY
            };
            check_condition(condition, &scope, &settings.expressions)?;
        }
        Ok(true)
    }
}

fn parse<'a>(
    args: &'a [&'a [u8]],
    settings: &Settings,
    allowance: &Allowance<'_>,
    host: &mut dyn Host,
) -> Result<SetArguments<'a>> {
    let mut args = Args::new(args);
    let key = args.key()?;
    host.prefetch(&[key], Access::Change);
    let (model, content) = args.model_and_json(settings)?;
    let json_arg = args.position() - 1;
    let (mut only, mut revision, mut expiry) = (None, None, None);
    let (mut condition, mut given, mut current) = (None, None, None);
    while !args.is_finished() {
        if only.is_none() && args.keyword("NX") {
            only = Some(Only::Missing);
        } else if only.is_none() && args.keyword("XX") {
            only = Some(Only::Existing);
        } else if revision.is_none() && args.keyword("IFREV") {
            revision = Some(parse_revision(args.next("a revision")?)?);
        } else if condition.is_none() && args.keyword("IF") {
            let source = args.next("an expression")?;
            let names = AllowedNames { docs: false, ..AllowedNames::CONDITION };
            condition = Some(host.compile(source, names, &settings.expressions, allowance)?);
        } else if given.is_none() && args.keyword("ARGS") {
            given = Some(args.object(settings)?);
        } else if current.is_none() && args.keyword("CURRENT") {
            current = Some(args.next("a path")?);
        } else if expiry.is_none() && args.keyword("KEEPTTL") {
            expiry = Some(ExpiryOption::Keep);
        } else if expiry.is_none()
            && let Some(set) = args.expiry()?
        {
            expiry = Some(ExpiryOption::Set(set));
        } else {
            break;
        }
    }
    args.finish()?;
    let args = given;
    let binding = args.as_ref().map(|args| Binding::Args { args: args.value.view(), allowance });
    let current = parse_current(current, &settings.paths, binding)?;
    Ok(SetArguments {
        key,
        model,
        content,
        json_arg,
        only,
        revision,
        condition,
        args,
        current,
        expiry,
    })
}
