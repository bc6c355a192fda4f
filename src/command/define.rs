//! `MODEL.DEFINE`: defines or redefines a model.

use super::args::Args;
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::codec::definition;
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::model::{
    Defaults, DefinitionSource, Formats, RULES_MAX, Refresh, RuleSource, TTL_MAX_S, VERSION_MAX,
    check_name,
};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static DEFINE: CommandSpec = CommandSpec {
    name: "MODEL.DEFINE",
    summary: "Defines a model: a schema, rules, a time to live",
    since: "0.2.0",
    complexity: "O(N) with N the size of the schema and the rules; documents are not visited",
    arity: -3,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::None,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("schema", ArgKind::String),
        ArgSpec::new(
            "rule",
            ArgKind::Block(&[
                ArgSpec::new("name", ArgKind::String),
                ArgSpec::new("expr", ArgKind::String),
            ]),
        )
        .token("RULE")
        .optional()
        .multiple(),
        ArgSpec::new(
            "ttl",
            ArgKind::Block(&[
                ArgSpec::new("seconds", ArgKind::Integer),
                ArgSpec::new(
                    "refresh",
                    ArgKind::OneOf(&[
                        ArgSpec::new("write", ArgKind::Token).token("WRITE"),
                        ArgSpec::new("read", ArgKind::Token).token("READ"),
                    ]),
                )
                .token("REFRESH")
                .optional(),
            ]),
        )
        .token("TTL")
        .optional(),
        ArgSpec::new("nodefaults", ArgKind::Token).token("NODEFAULTS").optional(),
        ArgSpec::new(
            "formats",
            ArgKind::OneOf(&[
                ArgSpec::new("assert", ArgKind::Token).token("ASSERT"),
                ArgSpec::new("annotate", ArgKind::Token).token("ANNOTATE"),
            ]),
        )
        .token("FORMATS")
        .optional(),
        ArgSpec::new("version", ArgKind::Integer).token("IFVERSION").optional(),
    ],
    reply: "the definition's version, which counts up; the version in force if the definition is the same, with schemas compared as JSON values",
    errors: &[ErrorCode::Err, ErrorCode::Revision, ErrorCode::Expr, ErrorCode::Limit],
    replicated: "the definition with its version; nothing if it is the same",
    examples: &[
        CommandExample(&[
            Line::new(
                r#"MODEL.DEFINE item '{"type":"object","properties":{"stock":{"type":"integer"}}}' RULE stock 'self.reserved <= self.stock'"#,
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET sku:1 item '{"stock":2,"reserved":0}'"#, "(revision)"),
            Line::new("MODEL.FIELDOP sku:1 INCR $.reserved 2", "[2]"),
            Line::new("MODEL.FIELDOP sku:1 INCR $.reserved 1", "RULE"),
            Line::new("MODEL.FIELDOP sku:1 SET $.stock 2.5", "SCHEMA"),
        ]),
        CommandExample(&[
            Line::new("MODEL.DEFINE session {} TTL 60 REFRESH WRITE", "(integer) 1"),
            Line::new("MODEL.DEFINE session {} TTL 60 REFRESH WRITE", "(integer) 1"),
            Line::new("MODEL.DEFINE session {} TTL 90", "(integer) 2"),
            Line::new(r#"MODEL.DEFINE session '{"type":"none"}'"#, "ERR"),
            Line::new("MODEL.DEFINE session {} RULE r 'self.a +'", "EXPR"),
            Line::new("MODEL.DEFINE any {}", "ERR"),
        ]),
        CommandExample(&[
            Line::new(r#"MODEL.DEFINE user '{"title":"a"}' IFVERSION 0"#, "(integer) 1"),
            Line::new(r#"MODEL.DEFINE user '{"title":"b"}' IFVERSION 1"#, "(integer) 2"),
            Line::new(r#"MODEL.DEFINE user '{"title":"a"}' IFVERSION 0"#, "REVISION"),
            Line::new(r#"MODEL.DEFINE user '{ "title": "b" }' IFVERSION 0"#, "(integer) 2"),
            Line::new("MODEL.DEFINE user {} NODEFAULTS FORMATS ANNOTATE", "(integer) 3"),
        ]),
    ],
    run,
};

/// The parsed arguments.
struct NewDefinition<'a> {
    name: &'a str,
    source: DefinitionSource,
    /// The version that has to be in force; 0 where the model is not to be defined.
    if_version: Option<u32>,
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let NewDefinition { name, source, if_version } = parse(args)?;
    let settings = host.settings();
    let models = host.models();
    let with_model = |error: Error| error.text("model", name.as_bytes());
    let Some(entry) = models.next(name, source).map_err(with_model)? else {
        return Ok(Reply::Int(models.version(name).into()).into());
    };
    let version = models.version(name);
    if if_version.is_some_and(|wanted| wanted != version) {
        let message = "another version of the model is defined";
        return Err(with_model(Error::new(ErrorCode::Revision, message))
            .integer("definition-version", version.into()));
    }
    let allowance = Allowance::new(&settings.work);
    models
        .define(&entry, &settings.schemas, &settings.expressions, &allowance)
        .map_err(with_model)?;
    let mut outcome = Outcome::from(Reply::Int(entry.version.into()));
    outcome.definition = Some(definition::encode(&entry));
    Ok(outcome)
}

fn parse<'a>(args: &'a [&'a [u8]]) -> Result<NewDefinition<'a>> {
    let mut args = Args::new(args);
    let name = check_name(args.next("a model")?, ANY_NAME)?;
    let mut source =
        DefinitionSource { schema: args.next("a schema")?.into(), ..DefinitionSource::default() };
    while args.keyword("RULE") {
        let rule = parse_rule(&mut args)?;
        if source.rules.len() == RULES_MAX {
            return Err(Error::limit(limit::RULES, RULES_MAX as u64));
        }
        if source.rules.iter().any(|known| known.name == rule.name) {
            return Err(Error::syntax("two rules have one name").text("rule", rule.name.as_bytes()));
        }
        source.rules.push(rule);
    }
    let (mut has_formats, mut if_version) = (false, None);
    while !args.is_finished() {
        if source.ttl_s.is_none() && args.keyword("TTL") {
            parse_ttl(&mut args, &mut source)?;
        } else if source.defaults == Defaults::Filled && args.keyword("NODEFAULTS") {
            source.defaults = Defaults::Ignored;
        } else if !has_formats && args.keyword("FORMATS") {
            has_formats = true;
            source.formats = match () {
                () if args.keyword("ASSERT") => Formats::Assert,
                () if args.keyword("ANNOTATE") => Formats::Annotate,
                () => return Err(Error::syntax("FORMATS needs ASSERT or ANNOTATE")),
            };
        } else if if_version.is_none() && args.keyword("IFVERSION") {
            if_version = Some(parse_version(&mut args)?);
        } else {
            break;
        }
    }
    args.finish()?;
    Ok(NewDefinition { name, source, if_version })
}

fn parse_ttl(args: &mut Args<'_>, source: &mut DefinitionSource) -> Result<()> {
    let seconds = args.integer("seconds")?;
    let valid = u64::try_from(seconds).ok().filter(|ttl| (1..=TTL_MAX_S).contains(ttl));
    source.ttl_s = Some(valid.ok_or_else(|| {
        Error::syntax("a time to live is at least a second").integer("seconds", seconds)
    })?);
    if args.keyword("REFRESH") {
        source.refresh = match () {
            () if args.keyword("WRITE") => Refresh::Write,
            () if args.keyword("READ") => Refresh::Read,
            () => return Err(Error::syntax("REFRESH needs WRITE or READ")),
        };
    }
    Ok(())
}

fn parse_version(args: &mut Args<'_>) -> Result<u32> {
    let version = args.integer("a version")?;
    let valid = u32::try_from(version).ok().filter(|version| *version <= VERSION_MAX);
    valid.ok_or_else(|| {
        Error::syntax("a version is a number from 0 on").integer("definition-version", version)
    })
}

fn parse_rule(args: &mut Args<'_>) -> Result<RuleSource> {
    let name = args.next("a rule's name")?;
    let text = std::str::from_utf8(name)
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= crate::model::NAME_BYTES_MAX)
        .ok_or_else(|| {
            Error::syntax("a rule's name is UTF-8, not empty, and at most 255 bytes")
                .text("rule", name)
        })?;
    let expr = super::args::expression(args.next("a rule's expression")?)
        .map_err(|error| error.text("rule", name))?;
    Ok(RuleSource { name: text.into(), expr: expr.into() })
}
